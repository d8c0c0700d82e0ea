//! The application's own pools of PostgreSQL and Redis, dead, exhausted and in motion: what is no outage, what is one, and
//! that no connection is left behind. What a network does to them is in `fault_table`.

use std::{pin::pin, time::Duration};

use deadpool::managed::Object;
use health_core::{Change, Health, Postgres, Redis, Registration, Status};
use health_tests::{
    port, postgres, redis,
    support::{long, millis, secs},
    wait::{self, HANG},
};
use tokio::task::{JoinHandle, block_in_place};

/// A server, and what its pool and its check are.
trait Subject: health_tests::daemon::Server + Sized + 'static {
    /// The application's pool.
    type Pool: Clone;
    /// A connection taken from it.
    type Held: Send;

    fn begin() -> Self;
    fn pool_of(&self, size: usize) -> Self::Pool;
    fn check(pool: Self::Pool, saturated_for: Duration) -> Registration;
    /// Takes a connection of the pool, as the application does.
    async fn take(pool: &Self::Pool) -> Self::Held;
    /// Ends every other session from the server's side.
    async fn terminate_sessions(&self);
}

impl Subject for postgres::Server {
    type Pool = deadpool_postgres::Pool;
    type Held = deadpool_postgres::Object;

    fn begin() -> Self {
        Self::start()
    }

    fn pool_of(&self, size: usize) -> Self::Pool {
        self.pool(size)
    }

    fn check(pool: Self::Pool, saturated_for: Duration) -> Registration {
        Postgres::new(pool).saturated_for(saturated_for).into()
    }

    async fn take(pool: &Self::Pool) -> Self::Held {
        pool.get().await.expect("a connection")
    }

    async fn terminate_sessions(&self) {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
        self.connect().await.simple_query(others).await.expect("a superuser");
    }
}

impl Subject for redis::Server {
    type Pool = deadpool_redis::Pool;
    type Held = deadpool_redis::Connection;

    fn begin() -> Self {
        Self::start()
    }

    fn pool_of(&self, size: usize) -> Self::Pool {
        self.pool(size)
    }

    fn check(pool: Self::Pool, saturated_for: Duration) -> Registration {
        Redis::new(pool).saturated_for(saturated_for).into()
    }

    async fn take(pool: &Self::Pool) -> Self::Held {
        pool.get().await.expect("a connection")
    }

    async fn terminate_sessions(&self) {
        let mut kill = deadpool_redis::redis::cmd("CLIENT");
        kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let killed: deadpool_redis::redis::Value =
            kill.query_async(&mut self.connect().await).await.expect("the default user");
        drop(killed);
    }
}

/// What a check called `subject` shows.
fn shown(health: &Health) -> String {
    let report = health.report();
    let check = &report.checks()[0];
    format!("{}{}", check.status(), check.reason().map_or_else(String::new, |reason| format!(" {reason}")))
}

async fn says(health: &Health, expected: &str) {
    wait::ok(expected, || if shown(health) == expected { Ok(()) } else { Err(shown(health)) }).await;
}

/// A check that may take all the time it needs, so that what fails it is no slow machine.
fn patient(check: Registration) -> Health {
    let check = check.every(millis(100)).recheck(millis(100)).timeout(HANG);
    Health::builder().check("subject", check).start().unwrap()
}

/// A check whose deadline a frozen server lets pass.
fn prompt(check: Registration) -> Health {
    let check = check.every(millis(200)).recheck(millis(200)).timeout(secs(1));
    Health::builder().check("subject", check).start().unwrap()
}

/// Does something while every change is watched: the first one to Unhealthy fails the test.
async fn stays_good(health: &Health, during: impl Future<Output = ()>) {
    says(health, "healthy").await;
    let mut changes = health.subscribe();
    let bad = async {
        while let Some(change) = changes.next().await {
            if let Change::Check(change) = change {
                assert!(change.to < Status::Unhealthy, "{change:?}");
            }
        }
    };
    let (mut during, mut bad) = (pin!(during), pin!(bad));
    tokio::select! {
        biased;
        () = &mut bad => panic!("no more changes are told"),
        () = &mut during => {}
    }
    says(health, "healthy").await;
}

/// Sessions that the server ended while they lay in the pool.
async fn ended_sessions_are_no_outage<S: Subject>() {
    let subject = S::begin();
    let pool = subject.pool_of(4);
    let health = patient(S::check(pool.clone(), HANG));
    let runs = || health.report().checks()[0].history().totals().durations().count();
    stays_good(&health, async {
        for _ in 0..6 {
            // Every connection of the pool is open, and then dead.
            let held = [S::take(&pool).await, S::take(&pool).await, S::take(&pool).await, S::take(&pool).await];
            drop(held);
            subject.terminate_sessions().await;
            let before = runs();
            wait::true_of("two more runs", || runs() >= before + 2).await;
        }
    })
    .await;
}

/// An exhausted pool over a working server: Degraded, and Unhealthy for a check that tolerates no such thing.
async fn an_exhausted_pool_is_saturated<S: Subject>() {
    let subject = S::begin();
    let pool = subject.pool_of(2);
    let tolerant = patient(S::check(pool.clone(), HANG));
    let strict = patient(S::check(pool.clone(), millis(1)));
    says(&tolerant, "healthy").await;
    says(&strict, "healthy").await;
    let held = [S::take(&pool).await, S::take(&pool).await];
    says(&tolerant, "degraded saturated").await;
    says(&strict, "unhealthy saturated").await;
    drop(held);
    says(&tolerant, "healthy").await;
    says(&strict, "healthy").await;
}

/// An exhausted pool does not hide an outage.
async fn an_exhausted_pool_hides_no_outage<S: Subject>() {
    let mut subject = S::begin();
    let pool = subject.pool_of(2);
    let health = prompt(S::check(pool.clone(), HANG));
    says(&health, "healthy").await;
    let held = [S::take(&pool).await, S::take(&pool).await];
    says(&health, "degraded saturated").await;
    subject.freeze();
    says(&health, "unhealthy timeout").await;
    subject.thaw();
    says(&health, "degraded saturated").await;
    // And once more with a server that is gone.
    block_in_place(|| subject.stop());
    says(&health, "unhealthy unreachable").await;
    block_in_place(|| subject.run());
    says(&health, "degraded saturated").await;
    drop(held);
    says(&health, "healthy").await;
}

/// Rounds of every kind of loss leave no connection more than the pool has places, and one beside it.
async fn no_connection_is_left_behind<S: Subject>() {
    const PLACES: usize = 4;
    let subject = S::begin();
    let pool = subject.pool_of(PLACES);
    let health = prompt(S::check(pool.clone(), HANG));
    says(&health, "healthy").await;
    for round in 0..if long() { 200 } else { 6 } {
        subject.freeze();
        says(&health, "unhealthy timeout").await;
        subject.thaw();
        says(&health, "healthy").await;
        let held = [S::take(&pool).await, S::take(&pool).await, S::take(&pool).await, S::take(&pool).await];
        says(&health, "degraded saturated").await;
        drop(held);
        subject.terminate_sessions().await;
        says(&health, "healthy").await;
        let what = format!("after round {round} no more connections than {PLACES} and one");
        wait::true_of(&what, || port::connections_to(subject.port()) <= PLACES + 1).await;
    }
    health.stop().await;
    drop(pool);
}

/// The application comes and goes, asks, holds and throws connections away, while the server ends every session again and
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_in_motion_and_sessions_that_the_server_ends_are_no_outage() {
    let database = postgres::Server::start();
    let pool = postgres::pool(database.config(), 8);
    let health = patient(Postgres::new(pool.clone()).into());
    let churn: Vec<JoinHandle<()>> = (0..6_u64)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                loop {
                    if let Ok(client) = pool.get().await {
                        let _ = client.simple_query("SELECT pg_sleep(0.005)").await;
                        if number % 3 == 0 {
                            drop(Object::take(client));
                        }
                    }
                    tokio::time::sleep(millis(number * 3)).await;
                }
            })
        })
        .collect();
    let runs = || health.report().checks()[0].history().totals().durations().count();
    stays_good(&health, async {
        for _ in 0..20 {
            // At the check's own pace: two new sessions that end one after the other would be an outage, and rightly.
            let before = runs();
            database.terminate_sessions().await;
            wait::true_of("two more runs", || runs() >= before + 2).await;
        }
    })
    .await;
    churn.iter().for_each(JoinHandle::abort);
}

/// The faults as tests of a subject.
macro_rules! of {
    ($name:ident, $subject:ty: $($fault:ident),+) => {
        mod $name {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fault() {
                super::$fault::<$subject>().await;
            })+
        }
    };
}

of!(postgres_pool, health_tests::postgres::Server:
    ended_sessions_are_no_outage, an_exhausted_pool_is_saturated, an_exhausted_pool_hides_no_outage, no_connection_is_left_behind);
of!(redis_pool, health_tests::redis::Server:
    ended_sessions_are_no_outage, an_exhausted_pool_is_saturated, an_exhausted_pool_hides_no_outage, no_connection_is_left_behind);
