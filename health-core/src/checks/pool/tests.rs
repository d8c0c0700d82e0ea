//! Tests of the check of a pool, with a test driver whose sessions die without its pool noticing.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::deadpool::managed::{Manager, Metrics, Object, Pool, RecycleResult};
use async_trait::async_trait;
use tokio::time::sleep;

use super::{
    deadpool::{Deadpool, Session as PoolSession},
    *,
};

/// A driver that creates numbered sessions, and never notices that one has died.
#[derive(Default)]
struct Driver {
    created: AtomicUsize,
    detached: AtomicUsize,
    attempts: AtomicUsize,
    refuses: AtomicBool,
    hangs: AtomicBool,
    /// Whether the server has no room for another session.
    full: AtomicBool,
    /// The time to open a session, in milliseconds.
    slowness: AtomicU64,
    /// The sessions whose test by the pool never ends.
    untestable: Mutex<HashSet<usize>>,
}

struct Session(usize);

#[derive(Debug)]
enum Error {
    Dead,
    SaidNo,
    Full,
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
        sleep(Duration::from_millis(self.slowness.load(Ordering::SeqCst))).await;
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Error::Dead);
        }
        if self.full.load(Ordering::SeqCst) {
            return Err(Error::Full);
        }
        Ok(Session(self.created.fetch_add(1, Ordering::SeqCst)))
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Error> {
        if self.untestable.lock().unwrap().contains(&session.0) {
            std::future::pending::<()>().await;
        }
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
    /// The sessions whose other end is gone without having closed them.
    silent: Mutex<HashSet<usize>>,
    slow: AtomicBool,
}

impl Server {
    fn kill(&self, sessions: impl IntoIterator<Item = usize>) {
        self.dead.lock().unwrap().extend(sessions);
    }
}

#[async_trait]
impl RoundTrip<Deadpool<Driver>> for Server {
    async fn ask(&self, session: &PoolSession<Driver>) -> Result<Outcome, Failure> {
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
            return Err(explain(Error::Dead));
        }
        if self.says_no.load(Ordering::SeqCst) { Err(explain(Error::SaidNo)) } else { Ok(Outcome::healthy()) }
    }
}

fn explain(error: Error) -> Failure {
    let (reason, is_broken) = match error {
        Error::Dead => (Reason::Unreachable, true),
        Error::SaidNo => (Reason::Rejected, false),
        Error::Full => (Reason::Saturated, false),
    };
    Failure::new(error, reason, is_broken)
}

type TestedCheck = PoolCheck<Deadpool<Driver>>;

/// Creates a pool of this size with all of its sessions open, and a check of it.
async fn pool_check(size: usize) -> (Pool<Driver>, TestedCheck) {
    let pool = Pool::<Driver>::builder(Driver::default()).max_size(size).build().unwrap();
    let mut open = Vec::new();
    for _ in 0..size {
        open.push(pool.get().await.unwrap());
    }
    drop(open);
    (pool.clone(), PoolCheck::new(Deadpool::new(pool, explain)))
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
async fn a_session_over_which_the_server_refuses_a_request_returns_to_the_pool() {
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
    // If the kept session has died, a new one is used, and the verdict stays.
    server.kill([1]);
    assert_eq!(said(&check.run(&server).await), SATURATED);
    assert_eq!(manager(), (3, 1));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(said(&check.run(&server).await), (Status::Unhealthy, Some(Reason::Saturated)));
    drop(held);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(said(&check.run(&server).await), HEALTHY);
    assert_eq!(manager(), (3, 2), "closed");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_saturation_restarts_after_the_pool_had_room() {
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
async fn a_pool_that_is_busy_for_a_moment_is_healthy() {
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

/// Each hanging attempt leaves a thread of the driver behind.
#[tokio::test(start_paused = true)]
async fn attempts_to_connect_that_cannot_be_cancelled_become_rare_while_they_hang() {
    let pool = Pool::<Driver>::builder(Driver::default()).max_size(2).build().unwrap();
    let check = PoolCheck::new(Deadpool::asked_beside(pool.clone(), explain));
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
    // The hanging attempts end. The connection of the first one is used at once, and no other attempt starts.
    driver.hangs.store(false, Ordering::SeqCst);
    assert_eq!(run().await, HEALTHY);
    assert_eq!(run().await, HEALTHY);
    assert_eq!(driver.attempts.load(Ordering::SeqCst), attempts);
    assert_eq!(driver.detached.load(Ordering::SeqCst), attempts - 1, "one is kept");
}

/// Runs the check with a deadline in one second.
async fn run_within_a_second(check: &TestedCheck, server: &Server) -> (Status, Option<Reason>) {
    let run = crate::check::deadline::Run {
        check: "x".into(),
        deadline: Instant::now() + Duration::from_secs(1),
        outer: Vec::new(),
    };
    said(&run.scope(check.run(server)).await)
}

#[tokio::test(start_paused = true)]
async fn neither_a_silently_dead_session_nor_a_slow_one_is_an_outage() {
    let (pool, check) = pool_check(3).await;
    let server = Server::default();
    let three = (pool.get().await.unwrap(), pool.get().await.unwrap(), pool.get().await.unwrap());
    drop(three);
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    // The idle sessions that were not used since are closed together with the silent one.
    sleep(Duration::from_secs(60)).await;
    server.silent.lock().unwrap().extend(0..3);
    let began = Instant::now();
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    assert_eq!(began.elapsed().as_millis(), 500, "after half of the time");
    let began = Instant::now();
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    assert_eq!(began.elapsed().as_millis(), 0);
    // A slow answer counts, even if a new session would answer too late, and the pool keeps its session.
    let created = pool.manager().created.load(Ordering::SeqCst);
    server.slow.store(true, Ordering::SeqCst);
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    assert_eq!((pool.status().size, pool.manager().created.load(Ordering::SeqCst)), (1, created + 1));
    // If no new session can be created, the run ends at its deadline.
    server.slow.store(false, Ordering::SeqCst);
    server.silent.lock().unwrap().extend(0..100);
    pool.manager().refuses.store(true, Ordering::SeqCst);
    let began = Instant::now();
    assert_eq!(run_within_a_second(&check, &server).await, (Status::Unhealthy, Some(Reason::Unreachable)));
    assert_eq!(began.elapsed().as_millis(), 990, "the silent session had until the deadline to answer");
    assert_eq!(run_within_a_second(&check, &server).await, (Status::Unhealthy, Some(Reason::Unreachable)));
}

#[tokio::test(start_paused = true)]
async fn sessions_that_hang_in_the_pools_own_test_are_no_outage() {
    let (pool, check) = pool_check(4).await;
    let server = Server::default();
    pool.manager().untestable.lock().unwrap().extend(0..4);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    let began = Instant::now();
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    assert_eq!(began.elapsed().as_millis(), 0, "the other sessions are closed, too");
    // A session that returns from its user and then hangs in its test.
    let held =
        [pool.get().await.unwrap(), pool.get().await.unwrap(), pool.get().await.unwrap(), pool.get().await.unwrap()];
    pool.manager().untestable.lock().unwrap().extend(0..100);
    assert_eq!(run_within_a_second(&check, &server).await, SATURATED);
    drop(held);
    for _ in 0..2 {
        assert!(run_within_a_second(&check, &server).await.0 < Status::Unhealthy);
    }
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
}

/// Keeps a pool in use by as many tasks. Each takes a session, holds it for this time, and takes the next one.
fn load(pool: &Pool<Driver>, tasks: usize, hold: Duration) -> Vec<tokio::task::JoinHandle<()>> {
    let busy = || {
        let pool = pool.clone();
        tokio::spawn(async move {
            loop {
                let session = pool.get().await.unwrap();
                sleep(hold).await;
                drop(session);
            }
        })
    };
    (0..tasks).map(|_| busy()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pool_with_a_permanent_queue_is_healthy_if_the_queue_is_short_and_never_unhealthy() {
    for (tasks, hold, expected) in [(20, 40, HEALTHY), (20, 120, SATURATED), (200, 120, SATURATED)] {
        let (pool, mut check) = pool_check(2).await;
        check.saturated_for = Duration::from_secs(60);
        let server = Server::default();
        let tasks = load(&pool, tasks, Duration::from_millis(hold));
        for run in 0..40 {
            sleep(Duration::from_millis(200)).await;
            assert_eq!(run_within_a_second(&check, &server).await, expected, "{hold} {run}");
        }
        assert!(pool.manager().created.load(Ordering::SeqCst) <= 3, "one beside the pool");
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// The wait in the queue is longer than the deadline, and the place is kept from run to run. The pool serves, so this
/// is not an outage.
#[tokio::test(start_paused = true)]
async fn the_place_in_the_queue_is_kept_across_runs() {
    let (pool, mut check) = pool_check(1).await;
    check.saturated_for = Duration::from_secs(5);
    let server = Server::default();
    let tasks = load(&pool, 10, Duration::from_millis(400));
    for _ in 0..60 {
        sleep(Duration::from_millis(200)).await;
        let said = run_within_a_second(&check, &server).await;
        assert!(said == SATURATED || said == HEALTHY, "{said:?}");
    }
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    // A pool without a free session is Unhealthy after `saturated_for`, and not before.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    let held = pool.get().await.unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(8) {
        let expected = if began.elapsed() > Duration::from_millis(4_500) {
            (Status::Unhealthy, Some(Reason::Saturated))
        } else {
            SATURATED
        };
        assert_eq!(run_within_a_second(&check, &server).await, expected, "{:?}", began.elapsed());
        sleep(Duration::from_millis(500)).await;
    }
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn the_check_delays_the_application_by_one_round_trip_at_most() {
    let longest = async |is_checked: bool| {
        let (pool, check) = pool_check(1).await;
        let server = Server::default();
        let tasks = load(&pool, 9, Duration::from_millis(10));
        let own = pool.clone();
        let measured = tokio::spawn(async move {
            let (mut longest, began) = (Duration::ZERO, Instant::now());
            while began.elapsed() < Duration::from_secs(5) {
                let asked = Instant::now();
                let session = own.get().await.unwrap();
                longest = longest.max(asked.elapsed());
                sleep(Duration::from_millis(10)).await;
                drop(session);
            }
            longest
        });
        let runs = async {
            loop {
                if is_checked {
                    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let longest = select! {
            longest = measured => longest.unwrap(),
            () = runs => Duration::ZERO,
        };
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        longest
    };
    let (without, with) = (longest(false).await, longest(true).await);
    assert!(with <= without + Duration::from_millis(1), "{with:?} instead of {without:?}");
}

#[tokio::test(start_paused = true)]
async fn a_full_server_is_saturated_and_unhealthy_only_after_saturated_for() {
    let (pool, check) = pool_check(1).await;
    let server = Server::default();
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    pool.manager().full.store(true, Ordering::SeqCst);
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY, "the pool serves");
    let held = pool.get().await.unwrap();
    for _ in 0..3 {
        assert_eq!(run_within_a_second(&check, &server).await, SATURATED);
    }
    sleep(SATURATED_FOR).await;
    assert_eq!(run_within_a_second(&check, &server).await, (Status::Unhealthy, Some(Reason::Saturated)));
    drop(Object::take(held));
    // The pool cannot connect, and the time of saturation continues.
    assert_eq!(run_within_a_second(&check, &server).await, (Status::Unhealthy, Some(Reason::Saturated)));
    pool.manager().full.store(false, Ordering::SeqCst);
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    // A pool that has never had a connection is Unhealthy at once.
    let pool = Pool::<Driver>::builder(Driver::default()).max_size(2).build().unwrap();
    pool.manager().full.store(true, Ordering::SeqCst);
    let check = PoolCheck::new(Deadpool::new(pool.clone(), explain));
    assert_eq!(run_within_a_second(&check, &server).await, (Status::Unhealthy, Some(Reason::Saturated)));
}

#[tokio::test(start_paused = true)]
async fn a_slow_attempt_to_connect_is_not_restarted() {
    // By the pool.
    let pool = Pool::<Driver>::builder(Driver::default()).max_size(2).build().unwrap();
    pool.manager().slowness.store(1_400, Ordering::SeqCst);
    let check = PoolCheck::new(Deadpool::new(pool.clone(), explain));
    let server = Server::default();
    assert_eq!(run_within_a_second(&check, &server).await, (Status::Unhealthy, Some(Reason::Timeout)));
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    assert_eq!(pool.manager().attempts.load(Ordering::SeqCst), 1);
    // Beside the pool.
    let held = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    assert_eq!(run_within_a_second(&check, &server).await, (Status::Unhealthy, Some(Reason::Timeout)));
    sleep(Duration::from_millis(200)).await;
    assert_eq!(run_within_a_second(&check, &server).await, SATURATED);
    assert_eq!(pool.manager().attempts.load(Ordering::SeqCst), 3);
    drop(held);
    // An attempt that hangs is given up in the end.
    let pool = Pool::<Driver>::builder(Driver::default()).max_size(2).build().unwrap();
    pool.manager().slowness.store(1_000_000, Ordering::SeqCst);
    let check = PoolCheck::new(Deadpool::new(pool.clone(), explain));
    assert_eq!(run_within_a_second(&check, &server).await, (Status::Unhealthy, Some(Reason::Timeout)));
    pool.manager().slowness.store(0, Ordering::SeqCst);
    sleep(Duration::from_millis(1_100)).await;
    assert_eq!(run_within_a_second(&check, &server).await, HEALTHY);
    assert_eq!(pool.manager().attempts.load(Ordering::SeqCst), 2);
}

/// Runs all checks at the same time.
async fn together(checks: &[TestedCheck], server: &Server) -> Vec<(Status, Option<Reason>)> {
    let mut runs: Vec<_> = checks.iter().map(|check| Box::pin(run_within_a_second(check, server))).collect();
    let mut said: Vec<Option<_>> = vec![None; runs.len()];
    std::future::poll_fn(|context| {
        for (run, said) in runs.iter_mut().zip(&mut said) {
            if said.is_none()
                && let std::task::Poll::Ready(answer) = run.as_mut().poll(context)
            {
                *said = Some(answer);
            }
        }
        if said.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    said.into_iter().flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn the_checks_of_one_pool_share_its_connections() {
    let pool = Pool::<Driver>::builder(Driver::default()).max_size(2).build().unwrap();
    let checks: Vec<TestedCheck> = (0..8).map(|_| PoolCheck::new(Deadpool::new(pool.clone(), explain))).collect();
    let server = Server::default();
    server.slow.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let said = together(&checks, &server).await;
    assert_eq!(said, [HEALTHY; 8]);
    assert_eq!((began.elapsed().as_millis(), pool.status().size), (700, 1), "over one connection, at once");
    let held = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    server.slow.store(false, Ordering::SeqCst);
    assert_eq!(together(&checks, &server).await, [SATURATED; 8]);
    assert_eq!(pool.manager().created.load(Ordering::SeqCst), 3, "one beside the pool");
    drop(held);
}
