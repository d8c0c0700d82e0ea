//! Tests of the check of a pool, with a test driver whose sessions die without its pool noticing.

use std::{
    collections::HashSet,
    fmt,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use deadpool::managed::{Metrics, RecycleResult};

use super::*;

/// A driver that creates numbered sessions, and never notices that one has died.
#[derive(Default)]
struct Driver {
    created: AtomicUsize,
    detached: AtomicUsize,
    attempts: AtomicUsize,
    refuses: AtomicBool,
    hangs: AtomicBool,
}

struct Session(usize);

#[derive(Debug)]
enum Error {
    Dead,
    SaidNo,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Error {}

impl Manager for Driver {
    type Type = Session;
    type Error = Error;

    async fn create(&self) -> Result<Session, Error> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        while self.hangs.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(10)).await;
        }
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Error::Dead);
        }
        Ok(Session(self.created.fetch_add(1, Ordering::SeqCst)))
    }

    async fn recycle(&self, _: &mut Session, _: &Metrics) -> RecycleResult<Error> {
        Ok(())
    }

    fn detach(&self, _: &mut Session) {
        self.detached.fetch_add(1, Ordering::SeqCst);
    }
}

/// A server with a configured behaviour for each session.
#[derive(Default)]
struct Server {
    dead: Mutex<HashSet<usize>>,
    all_dead: AtomicBool,
    hangs: AtomicBool,
    says_no: AtomicBool,
    /// Sessions whose other end has gone without closing them.
    silent: Mutex<HashSet<usize>>,
    slow: AtomicBool,
}

impl Server {
    fn kill(&self, sessions: impl IntoIterator<Item = usize>) {
        self.dead.lock().unwrap().extend(sessions);
    }
}

#[async_trait]
impl RoundTrip<Driver> for Server {
    async fn ask(&self, session: &mut Session) -> Result<Outcome, Error> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.slow.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(700)).await;
        }
        if self.silent.lock().unwrap().contains(&session.0) {
            std::future::pending::<()>().await;
        }
        if self.all_dead.load(Ordering::SeqCst) || self.dead.lock().unwrap().contains(&session.0) {
            return Err(Error::Dead);
        }
        if self.says_no.load(Ordering::SeqCst) { Err(Error::SaidNo) } else { Ok(Outcome::healthy()) }
    }

    fn explain(&self, error: Error) -> Failure {
        let broken = matches!(error, Error::Dead);
        let reason = if broken { Reason::Unreachable } else { Reason::Rejected };
        Failure { error: CheckError::from(error).reason(reason), broken }
    }
}

/// Creates a pool of this size with every session open, and its check.
async fn pool_check(size: usize) -> (Pool<Driver>, PoolCheck<Driver>) {
    let pool = Pool::<Driver>::builder(Driver::default()).max_size(size).build().unwrap();
    let mut open = Vec::new();
    for _ in 0..size {
        open.push(pool.get().await.unwrap());
    }
    drop(open);
    (pool.clone(), PoolCheck::new(pool))
}

fn said(outcome: &Outcome) -> (Status, Option<Reason>) {
    (outcome.status, outcome.reason)
}

const HEALTHY: (Status, Option<Reason>) = (Status::Healthy, None);
const SATURATED: (Status, Option<Reason>) = (Status::Degraded, Some(Reason::Saturated));

#[tokio::test]
async fn sessions_that_died_in_the_pool_are_discarded_until_one_answers() {
    let (pool, check) = pool_check(3).await;
    let server = Server::default();
    server.kill([0, 1]);
    assert_eq!(said(&check.run(&server).await), HEALTHY);
    assert_eq!(pool.status().size, 1);
    server.kill([2]);
    assert_eq!(said(&check.run(&server).await), HEALTHY, "a new one answers");
    assert_eq!(pool.manager().created.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn two_new_sessions_that_fail_are_unhealthy() {
    let (pool, check) = pool_check(3).await;
    let server = Server::default();
    server.all_dead.store(true, Ordering::SeqCst);
    assert_eq!(said(&check.run(&server).await), (Status::Unhealthy, Some(Reason::Unreachable)));
    assert_eq!((pool.status().size, pool.manager().created.load(Ordering::SeqCst)), (0, 5));
}

#[tokio::test]
async fn a_session_on_which_the_server_refuses_returns_to_the_pool() {
    let (pool, check) = pool_check(1).await;
    let server = Server::default();
    server.says_no.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(said(&check.run(&server).await), (Status::Unhealthy, Some(Reason::Rejected)));
    }
    assert_eq!((pool.status().size, pool.manager().created.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_discards_its_session() {
    let (pool, check) = pool_check(2).await;
    let server = Server::default();
    server.hangs.store(true, Ordering::SeqCst);
    assert!(timeout(Duration::from_secs(1), check.run(&server)).await.is_err());
    assert_eq!(pool.status().size, 1);
    server.hangs.store(false, Ordering::SeqCst);
    assert_eq!(said(&check.run(&server).await), HEALTHY);
}

#[tokio::test(start_paused = true)]
async fn one_session_is_kept_beside_the_pool_while_the_pool_is_exhausted() {
    let (pool, mut check) = pool_check(1).await;
    check.saturated_for = Duration::from_secs(10);
    let server = Server::default();
    let manager = || (pool.manager().created.load(Ordering::SeqCst), pool.manager().detached.load(Ordering::SeqCst));
    let held = pool.get().await.unwrap();
    for _ in 0..3 {
        assert_eq!(said(&check.run(&server).await), SATURATED);
        assert_eq!(manager(), (2, 0), "kept");
    }
    // If the kept session has died, a new one is asked, and the verdict stays.
    server.kill([1]);
    assert_eq!(said(&check.run(&server).await), SATURATED);
    assert_eq!(manager(), (3, 1));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(said(&check.run(&server).await), (Status::Unhealthy, Some(Reason::Saturated)));
    drop(held);
    assert_eq!(said(&check.run(&server).await), HEALTHY);
    assert_eq!(manager(), (3, 2), "let go of");
}

#[tokio::test(start_paused = true)]
async fn saturation_is_timed_anew_after_the_pool_had_room() {
    let (pool, check) = pool_check(1).await;
    let server = Server::default();
    let held = pool.get().await.unwrap();
    assert_eq!(said(&check.run(&server).await), SATURATED);
    drop(Object::take(held));
    pool.manager().refuses.store(true, Ordering::SeqCst);
    assert_eq!(said(&check.run(&server).await), (Status::Unhealthy, Some(Reason::Unreachable)));
    pool.manager().refuses.store(false, Ordering::SeqCst);
    sleep(Duration::from_secs(60)).await;
    let held = pool.get().await.unwrap();
    assert_eq!(said(&check.run(&server).await), SATURATED);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_merely_busy_is_not_exhausted() {
    let (pool, check) = pool_check(1).await;
    let held = pool.get().await.unwrap();
    tokio::spawn(async move {
        sleep(Duration::from_millis(30)).await;
        drop(held);
    });
    assert_eq!(said(&check.run(&Server::default()).await), HEALTHY);
    assert_eq!(pool.manager().created.load(Ordering::SeqCst), 1);
}

/// The application takes, holds and discards sessions, while the server ends all of them again and again.
#[tokio::test(start_paused = true)]
async fn a_pool_in_use_whose_sessions_are_ended_repeatedly_is_no_outage() {
    let (pool, check) = pool_check(8).await;
    let server = Server::default();
    for number in 0..6 {
        let pool = pool.clone();
        tokio::spawn(async move {
            loop {
                let session = pool.get().await.unwrap();
                sleep(Duration::from_millis(5)).await;
                if number % 3 == 0 {
                    drop(Object::take(session));
                }
                sleep(Duration::from_millis(1 + number * 3)).await;
            }
        });
    }
    for _ in 0..200 {
        sleep(Duration::from_millis(150)).await;
        server.kill(0..pool.manager().created.load(Ordering::SeqCst));
        assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    }
}

/// Each attempt that hangs leaves behind a thread of such a driver.
#[cfg(feature = "rabbitmq")]
#[tokio::test(start_paused = true)]
async fn attempts_that_cannot_be_cancelled_become_rare_while_they_hang() {
    let pool = Pool::<Driver>::builder(Driver::default()).max_size(2).build().unwrap();
    let check = PoolCheck::with_uncancellable_attempts(pool.clone());
    let driver = pool.manager();
    let run = async || match timeout(Duration::from_secs(1), check.run(&Server::default())).await {
        Ok(outcome) => said(&outcome),
        Err(_) => (Status::Unhealthy, Some(Reason::Timeout)),
    };
    driver.hangs.store(true, Ordering::SeqCst);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(600) {
        assert_eq!(run().await, (Status::Unhealthy, Some(Reason::Timeout)));
        sleep(Duration::from_secs(1)).await;
    }
    let attempts = driver.attempts.load(Ordering::SeqCst);
    assert!((10..=17).contains(&attempts), "{attempts} attempts in ten minutes");
    assert_eq!(pool.status().available + pool.status().size, 0, "no place of the pool is held");
    // The attempts that hang come to an end, and the next run connects at once.
    driver.hangs.store(false, Ordering::SeqCst);
    sleep(Duration::from_millis(20)).await;
    assert_eq!(run().await, HEALTHY);
    assert_eq!(driver.detached.load(Ordering::SeqCst), attempts, "what came too late was let go");
    assert_eq!(run().await, HEALTHY);
    assert_eq!(driver.attempts.load(Ordering::SeqCst), attempts + 1, "kept, not made anew");
    driver.refuses.store(true, Ordering::SeqCst);
    drop(pool.get().await);
    assert_eq!(run().await, HEALTHY);
}

/// Runs the check with a deadline in one second.
async fn run_within_a_second(check: &PoolCheck<Driver>, server: &Server) -> (Status, Option<Reason>) {
    let run = crate::check::deadline::Run { check: "x".into(), deadline: Instant::now() + Duration::from_secs(1) };
    said(&run.scope(check.run(server)).await)
}

#[tokio::test(start_paused = true)]
async fn neither_a_silently_dead_session_nor_a_slow_one_is_an_outage() {
    let (pool, check) = pool_check(3).await;
    let server = Server::default();
    let three = (pool.get().await.unwrap(), pool.get().await.unwrap(), pool.get().await.unwrap());
    drop(three);
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    server.silent.lock().unwrap().extend(0..3);
    for left in [2, 1, 0] {
        let began = Instant::now();
        assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
        assert_eq!((began.elapsed().as_millis(), pool.status().size), (500, left), "discarded after half of the time");
    }
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    // A slow answer counts, even if a new session would answer too late, and the pool keeps its session.
    let created = pool.manager().created.load(Ordering::SeqCst);
    server.slow.store(true, Ordering::SeqCst);
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    assert_eq!((pool.status().size, pool.manager().created.load(Ordering::SeqCst)), (1, created + 1));
    // If no new session can be created, the deadline decides.
    server.slow.store(false, Ordering::SeqCst);
    server.silent.lock().unwrap().extend(0..100);
    pool.manager().refuses.store(true, Ordering::SeqCst);
    assert_eq!(run_within_a_second(&check, &server).await, (Status::Unhealthy, Some(Reason::Timeout)));
    assert_eq!(run_within_a_second(&check, &server).await, (Status::Unhealthy, Some(Reason::Unreachable)));
}
