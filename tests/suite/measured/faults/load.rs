//! A pool that is never idle, in real time. If its queue is shorter than half of the deadline, every run is Healthy.
//! With a longer queue a run is Degraded at worst. The check barely delays the application.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use deadpool_postgres::Pool;
use health_core::{CheckExt as _, Health, Postgres, Status};
use health_tests::{
    bare_clock::{BareClock, measure},
    postgres,
    support::{long, millis, secs},
    wait::HANG,
};
use tokio::task::JoinHandle;

/// The deadline of the check. Half of it is the longest healthy queue.
const TIMEOUT: Duration = secs(2);

/// Tasks of an application that take a connection, hold it for one query, and take the next one.
struct Application {
    longest: Arc<Mutex<Duration>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Records the wait if it is the longest.
fn note(longest: &Mutex<Duration>, waited: Duration) {
    let mut longest = longest.lock().unwrap();
    *longest = waited.max(*longest);
}

impl Application {
    fn start(pool: &Pool, tasks: usize, query: Duration) -> Self {
        let longest = Arc::new(Mutex::new(Duration::ZERO));
        let sql = format!("SELECT pg_sleep({})", query.as_secs_f64());
        let task = |_| {
            let (pool, longest, sql) = (pool.clone(), Arc::clone(&longest), sql.clone());
            tokio::spawn(async move {
                loop {
                    let asked = Instant::now();
                    let session = pool.get().await.unwrap();
                    let waited = asked.elapsed();
                    note(&longest, waited);
                    session.simple_query(&sql).await.unwrap();
                }
            })
        };
        let tasks = (0..tasks).map(task).collect();
        Self { longest, tasks }
    }

    /// Returns the longest wait since the last call.
    fn longest(&self) -> Duration {
        assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a task of the application has failed");
        std::mem::take(&mut *self.longest.lock().unwrap())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The measured values of one pool.
#[derive(Debug)]
struct Measured {
    runs: u64,
    not_healthy: u64,
    unhealthy: u64,
    checked: Duration,
    /// The longest waits for two pools without a check, which run beside the checked one.
    unchecked: [Duration; 2],
    round_trip: Duration,
}

async fn load(server: &postgres::Server, size: usize, query: Duration) -> Measured {
    let pools = [server.pool(size), server.pool(size), server.pool(size)];
    let [checked, one, other] = pools.each_ref().map(|pool| Application::start(pool, size * 10, query));
    let check = Postgres::new(pools[0].clone()).saturated_for(HANG).timeout(TIMEOUT);
    let health = Health::builder().check("subject", check.every(millis(250)).recheck(millis(250))).start().unwrap();
    let control = server.connect().await;
    // After this time the pools are full, and every task has had a connection.
    tokio::time::sleep(query * 20 + secs(1)).await;
    let totals = || {
        let report = health.report();
        let totals = report.checks()[0].history().totals();
        (totals.durations().count(), totals.runs(Status::Healthy), totals.runs(Status::Unhealthy))
    };
    let before = totals();
    let _ = [checked.longest(), one.longest(), other.longest()];
    let (began, mut round_trip) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < if long() { secs(60) } else { secs(5) } {
        let asked = Instant::now();
        control.simple_query("").await.unwrap();
        round_trip = round_trip.max(asked.elapsed());
        tokio::time::sleep(millis(5)).await;
    }
    let (after, runs) = (totals(), totals().0 - before.0);
    health.stop().await;
    Measured {
        runs,
        not_healthy: runs - (after.1 - before.1),
        unhealthy: after.2 - before.2,
        checked: checked.longest(),
        unchecked: [one.longest(), other.longest()],
        round_trip,
    }
}

fn judge(size: usize, query: Duration, measured: &Measured) {
    let Measured { runs, not_healthy, unhealthy, checked, unchecked, round_trip } = measured;
    let what = format!("a pool of {size} and queries of {query:?}: {measured:?}");
    assert!(*runs > 0, "{what}");
    assert_eq!(*unhealthy, 0, "{what}");
    // The longest wait in the queues of the pools without a check. On a slow machine it is longer than the queries
    // alone would make it.
    let longest = unchecked[0].max(unchecked[1]);
    assert!(*not_healthy == 0 || longest > TIMEOUT / 2, "{what}");
    // The unit tests of the core are exact, on the paused clock. Here even two pools without a check differ. The noise
    // is the difference between them, or one place in the queue.
    let noise = query.max(unchecked[0].abs_diff(unchecked[1]));
    let limit = longest + *round_trip + noise;
    assert!(*checked <= limit, "at most {limit:?}: {what}");
    println!("{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_never_idle_is_no_outage_and_its_check_barely_delays_the_application() {
    let (server, clock) = (postgres::Server::start(), BareClock::start());
    let short = millis(10);
    for size in [1, 2, 10] {
        let step = async || load(&server, size, short).await;
        measure("short queries", &clock, step, |measured| judge(size, short, measured)).await;
    }
    // Long queries leave the machine idle, so two pools run beside each other. The third pool runs alone, because its
    // ten connections already keep the server busy.
    let long = millis(200);
    let step = async || tokio::join!(load(&server, 1, long), load(&server, 2, long));
    measure("long queries", &clock, step, |(one, two)| {
        judge(1, long, one);
        judge(2, long, two);
    })
    .await;
    let step = async || load(&server, 10, long).await;
    measure("long queries", &clock, step, |measured| judge(10, long, measured)).await;
}
