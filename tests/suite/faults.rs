//! What every networked check must survive, written once: each fault under a prober that polls a real server, with the
//! right status and reason in time, and recovery without a restart of anything.

use std::time::{Duration, Instant};

use health_core::{Endpoint, Health, Registration, Status, testing::Frozen};
use health_tests::{
    black_hole::BlackHole,
    mount::{self, Form, Framework, Server},
    port,
    prober::Prober,
};
use tokio::time::sleep;

use crate::support::{long, millis, secs};

/// The timeout of every check here, which is the default.
const TIMEOUT: Duration = secs(2);
/// A fault shows within the timeout and this.
const NOTICED: Duration = millis(3500);
/// A recovery shows within this.
const RECOVERED: Duration = secs(3);

/// A server that can be started and hurt, and a check of it.
pub(crate) trait Subject: Sized {
    /// The application's pool.
    type Pool: Clone;
    /// A connection taken from it.
    type Held: Send;

    fn start() -> Self;
    fn run(&mut self);
    fn stop(&mut self);
    fn kill(&mut self);
    fn freeze(&self);
    fn thaw(&self);
    fn port(&self) -> u16;
    /// A pool of this size on that port.
    fn pool(port: u16, password: &str, size: usize) -> Self::Pool;
    const PASSWORD: &'static str;
    fn check(pool: Self::Pool, saturated_for: Duration) -> Registration;
    /// Takes a connection of the pool, as the application does.
    async fn take(pool: &Self::Pool) -> Self::Held;
    /// Ends every other session from the server's side.
    async fn terminate_sessions(&self);
    /// Makes the server accept this password from now on.
    async fn accept_password(&self, password: &str);
}

/// A check under a prober, served over HTTP.
struct Watched {
    health: Health,
    prober: Prober,
    /// Asks another server, on a thread of its own and without a check, at the same time: what it sees is the
    /// machine's mood, and nothing that a health page could have done.
    control: Prober,
    /// Keep serving.
    _servers: [Server; 2],
}

impl Watched {
    fn start(check: Registration) -> Self {
        let health = Health::builder().check("subject", check).start().unwrap();
        let server = mount::serve(Framework::Axum, Form::Routes, Endpoint::from(health.clone()));
        let prober = Prober::start(server.address, "/health/checks/subject");
        let nothing = Frozen::new(Health::builder()).unwrap();
        let other = mount::serve(Framework::Axum, Form::Routes, Endpoint::from(nothing.health()));
        let control = Prober::start(other.address, "/health");
        Self { health, prober, control, _servers: [server, other] }
    }

    async fn is_healthy(&self) {
        self.prober.sees("healthy", "", Instant::now(), secs(10)).await;
    }

    async fn turns(&self, reason: &str, since: Instant) {
        let after = self.prober.sees("unhealthy", reason, since, NOTICED).await;
        println!("unhealthy {reason} after {after:?}");
        // Not after having said something else.
        let mut bad = self.prober.bad_since(since);
        bad.retain(|sample| sample.at <= since + after && sample.reason != reason && sample.reason != "pending");
        assert!(bad.iter().all(|sample| sample.status == "degraded"), "{bad:?}");
    }

    async fn recovers(&self, since: Instant) {
        let after = self.prober.sees("healthy", "", since, RECOVERED).await;
        println!("healthy again after {after:?}");
        // It stays so.
        let recovered = since + after;
        sleep(millis(1500)).await;
        let bad = self.prober.bad_since(recovered);
        assert!(bad.is_empty(), "{bad:?}");
    }

    async fn end(self) {
        self.prober.never_waited(TIMEOUT, &self.control);
        // A stopped service closes its connections.
        drop((self.prober, self.control));
        self.health.stop().await;
    }
}

fn pool<S: Subject>(subject: &S, size: usize) -> S::Pool {
    S::pool(subject.port(), S::PASSWORD, size)
}

fn watch<S: Subject>(subject: &S) -> Watched {
    Watched::start(S::check(pool(subject, 4), secs(10)))
}

pub(crate) async fn refused<S: Subject>() {
    let mut subject = S::start();
    subject.stop();
    let began = Instant::now();
    let watched = watch(&subject);
    watched.turns("unreachable", began).await;
    subject.run();
    watched.recovers(Instant::now()).await;
    watched.end().await;
}

pub(crate) async fn stopped_process<S: Subject>() {
    let subject = S::start();
    let watched = watch(&subject);
    watched.is_healthy().await;
    let began = Instant::now();
    subject.freeze();
    watched.turns("timeout", began).await;
    sleep(secs(3)).await;
    subject.thaw();
    watched.recovers(Instant::now()).await;
    watched.end().await;
}

pub(crate) async fn killed_while_a_check_runs<S: Subject>() {
    let mut subject = S::start();
    let watched = watch(&subject);
    watched.is_healthy().await;
    // Standing still it answers nothing, so a run is under way when it dies.
    subject.freeze();
    sleep(millis(1300)).await;
    let began = Instant::now();
    subject.kill();
    watched.turns("unreachable", began).await;
    let report = watched.health.report();
    let results = &report.check("subject").unwrap().history.results;
    let longest = results.iter().filter(|result| result.reason.is_some()).map(|result| result.duration).max();
    assert!(longest > Some(millis(100)), "no run was under way: {longest:?}");
    subject.run();
    watched.recovers(Instant::now()).await;
    watched.end().await;
}

pub(crate) async fn restart<S: Subject>() {
    let mut subject = S::start();
    let watched = watch(&subject);
    watched.is_healthy().await;
    let began = Instant::now();
    subject.stop();
    watched.turns("unreachable", began).await;
    subject.run();
    watched.recovers(Instant::now()).await;
    watched.end().await;
}

pub(crate) async fn wrong_password<S: Subject>() {
    let subject = S::start();
    let began = Instant::now();
    let watched = Watched::start(S::check(S::pool(subject.port(), "not-the-password", 4), secs(10)));
    watched.turns("rejected", began).await;
    subject.accept_password("not-the-password").await;
    watched.recovers(Instant::now()).await;
    watched.end().await;
}

pub(crate) async fn black_hole<S: Subject>() {
    let mut subject = S::start();
    subject.stop();
    let hole = BlackHole::on(subject.port());
    let began = Instant::now();
    let watched = watch(&subject);
    watched.turns("timeout", began).await;
    drop(hole);
    subject.run();
    watched.recovers(Instant::now()).await;
    watched.end().await;
}

/// However long it was down: who watches sees the recovery at once.
pub(crate) async fn long_outage<S: Subject>() {
    let mut subject = S::start();
    let watched = watch(&subject);
    watched.is_healthy().await;
    subject.stop();
    sleep(secs(if long() { 120 } else { 25 })).await;
    let failures = watched.health.report().check("subject").unwrap().consecutive_failures;
    assert!(failures > 10, "only {failures} failures");
    subject.run();
    watched.recovers(Instant::now()).await;
    watched.end().await;
}

/// Terminated sessions are no outage: not one bad answer.
pub(crate) async fn terminated_sessions<S: Subject>() {
    let subject = S::start();
    let pool = pool(&subject, 4);
    let watched = Watched::start(S::check(pool.clone(), secs(10)));
    watched.is_healthy().await;
    let began = Instant::now();
    for _ in 0..6 {
        // Every connection of the pool is open, and then dead.
        let held = [S::take(&pool).await, S::take(&pool).await, S::take(&pool).await, S::take(&pool).await];
        drop(held);
        subject.terminate_sessions().await;
        sleep(millis(1200)).await;
    }
    let mut bad = watched.prober.bad_since(began);
    // Where the machine is slow, the check may find all of them in the hands of this test, and says so; for one interval.
    bad.retain(|sample| (&*sample.status, &*sample.reason) != ("degraded", "saturated"));
    assert!(bad.is_empty(), "{bad:?}");
    watched.is_healthy().await;
    watched.end().await;
}

/// An exhausted pool over a working server: Degraded, then Unhealthy when it lasts, and good once a connection is free.
pub(crate) async fn exhausted_pool<S: Subject>() {
    let subject = S::start();
    let pool = pool(&subject, 2);
    let watched = Watched::start(S::check(pool.clone(), secs(4)));
    watched.is_healthy().await;
    let held = [S::take(&pool).await, S::take(&pool).await];
    let began = Instant::now();
    let degraded = watched.prober.sees("degraded", "saturated", began, NOTICED).await;
    println!("degraded after {degraded:?}");
    let unhealthy = watched.prober.sees("unhealthy", "saturated", began, secs(8)).await;
    assert!(unhealthy - degraded >= secs(3), "{unhealthy:?} after {degraded:?}");
    drop(held);
    watched.recovers(Instant::now()).await;
    watched.end().await;
}

/// An exhausted pool does not hide an outage.
pub(crate) async fn exhausted_pool_and_stopped_process<S: Subject>() {
    let mut subject = S::start();
    let pool = pool(&subject, 2);
    let watched = Watched::start(S::check(pool.clone(), secs(60)));
    watched.is_healthy().await;
    let held = [S::take(&pool).await, S::take(&pool).await];
    watched.prober.sees("degraded", "saturated", Instant::now(), NOTICED).await;
    let began = Instant::now();
    subject.freeze();
    watched.turns("timeout", began).await;
    subject.thaw();
    watched.prober.sees("degraded", "saturated", Instant::now(), RECOVERED).await;
    // And once more with a server that is gone.
    let began = Instant::now();
    subject.stop();
    watched.turns("unreachable", began).await;
    subject.run();
    watched.prober.sees("degraded", "saturated", Instant::now(), RECOVERED).await;
    drop(held);
    watched.recovers(Instant::now()).await;
    watched.end().await;
}

/// Twenty rounds (200 in the long form) of every kind of loss leave no connection more than the first.
pub(crate) async fn no_connection_is_left_behind<S: Subject>() {
    let subject = S::start();
    let pool = pool(&subject, 4);
    let check = S::check(pool.clone(), secs(60)).every(secs(1)).timeout(secs(1)).max_age(millis(50));
    let health = Health::builder().check("subject", check).start().unwrap();
    let until = async |healthy: bool| {
        let began = Instant::now();
        while (health.refresh("subject").await.unwrap() == Status::Healthy) != healthy {
            assert!(began.elapsed() < secs(10), "it does not turn: {:?}", health.report());
            sleep(millis(10)).await;
        }
    };
    let mut first = 0;
    for round in 0..if long() { 200 } else { 20 } {
        subject.freeze();
        until(false).await;
        subject.thaw();
        until(true).await;
        let held = [S::take(&pool).await, S::take(&pool).await, S::take(&pool).await, S::take(&pool).await];
        // Exhausted: over a connection beside the pool.
        // A run in which the machine stalled has timed out; the next one tells.
        let began = Instant::now();
        while health.refresh("subject").await != Ok(Status::Degraded) {
            assert!(began.elapsed() < secs(10), "in round {round}: {:?}", health.report().check("subject"));
        }
        drop(held);
        subject.terminate_sessions().await;
        until(true).await;
        // What was given up is closed by tasks that may need a moment.
        let began = Instant::now();
        loop {
            let connections = port::connections_to(subject.port());
            if round == 0 && began.elapsed() > secs(1) {
                first = connections;
            }
            if (1..=first).contains(&connections) {
                break;
            }
            assert!(
                began.elapsed() < secs(3),
                "{connections} connections after round {round}, {first} after the first"
            );
            sleep(millis(20)).await;
        }
    }
    health.stop().await;
}

/// The faults as tests of a subject.
macro_rules! fault_tests {
    ($subject:ty, $needs:literal) => {
        $crate::faults::fault_tests!($subject, $needs,
            refused, long_outage, stopped_process, killed_while_a_check_runs, restart, wrong_password, black_hole,
            terminated_sessions, exhausted_pool, exhausted_pool_and_stopped_process, no_connection_is_left_behind);
    };
    ($subject:ty, $needs:literal, $($fault:ident),+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = $needs]
        async fn $fault() {
            $crate::faults::$fault::<$subject>().await;
        })+
    };
}
pub(crate) use fault_tests;
