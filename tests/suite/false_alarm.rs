//! What is no outage: slow answers up to the deadline, a busy or stalled machine, a pool in motion, sessions that the
//! server ends.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use deadpool::managed::Object;
use health_core::{Change, CheckExt as _, Health, Postgres, Probe, Redis, Registration, Status, check_fn};
use health_tests::{postgres, redis};
use tokio::time::sleep;

use crate::support::{millis, secs};

/// Fails on the first word of anything bad between when it is ready and when the future is over.
async fn stays_good(health: &Health, during: impl Future<Output = ()>) {
    assert!(health.ready().await);
    let mut changes = health.subscribe();
    let bad = async {
        while let Some(change) = changes.next().await {
            if let Change::Check(change) = change {
                assert!(change.to < Status::Unhealthy, "{change:?}");
            }
        }
    };
    tokio::select! {
        () = during => {}
        () = bad => {}
    }
    assert_eq!(health.status(Probe::Readiness), Status::Healthy, "{:?}", health.report());
}

/// A check whose answers take any time up to the deadline, and every sixteenth the deadline itself.
fn slow(seed: u64) -> Registration {
    let state = AtomicU64::new(seed);
    check_fn(move || {
        let random =
            state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20;
        let latency = if random.is_multiple_of(16) { secs(2) } else { millis(random / 16 % 2000) };
        async move {
            sleep(latency).await;
            Ok(())
        }
    })
    .timeout(secs(2))
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_answers_up_to_the_deadline() {
    let health = Health::builder().check("a", slow(1)).check("b", slow(2)).check("c", slow(3).every(secs(1))).start();
    let health = health.unwrap();
    stays_good(&health, sleep(secs(3600))).await;
    let runs: usize = health.report().checks.iter().map(|check| check.history.results.len()).sum();
    assert_eq!(runs, 180, "the last sixty of each");
}

/// Both timers of a run are over before anything had a turn: the answer that has come counts.
#[tokio::test]
async fn a_stall_of_the_whole_runtime_longer_than_every_deadline() {
    let answers = check_fn(|| async {
        sleep(millis(10)).await;
        Ok(())
    });
    let health = Health::builder().check("x", answers.timeout(millis(50)).every(secs(3600))).start().unwrap();
    stays_good(&health, async {
        for _ in 0..8 {
            let stall = async {
                // Once the run has begun.
                sleep(millis(2)).await;
                thread::sleep(millis(400));
            };
            let (refreshed, ()) = tokio::join!(health.refresh("x"), stall);
            assert_eq!(refreshed, Ok(Status::Healthy));
        }
    })
    .await;
}

/// Burns every core twice over.
struct Burning(Arc<AtomicBool>);

impl Burning {
    fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..cores * 2 {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                let mut number = 1_u64;
                while !over.load(Ordering::Relaxed) {
                    number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                }
            });
        }
        Self(over)
    }
}

impl Drop for Burning {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: tests/run"]
async fn an_application_that_burns_every_core() {
    let (database, cache) = (postgres::Server::start(), redis::Server::start());
    let health = Health::builder()
        .check("database", Postgres::new(postgres::pool(database.config(), 4)).every(millis(200)))
        .check("cache", Redis::new(redis::pool(&cache.url(), 4)).every(millis(200)))
        .check("own", check_fn(|| async { Ok(()) }).every(millis(100)))
        .start()
        .unwrap();
    let burning = Burning::start();
    // The runtime's workers are busy, too.
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(async {
                loop {
                    let began = Instant::now();
                    while began.elapsed() < millis(5) {
                        black_box(began);
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    stays_good(&health, sleep(secs(6))).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    drop(burning);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run"]
async fn a_pool_in_motion_and_sessions_that_the_server_ends() {
    let database = postgres::Server::start();
    let pool = postgres::pool(database.config(), 8);
    let health = Health::builder().check("database", Postgres::new(pool.clone()).every(millis(50))).start().unwrap();
    // The application comes and goes: it asks, holds, and throws connections away.
    let churn: Vec<_> = (0..6_u64)
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
                    sleep(millis(number * 3)).await;
                }
            })
        })
        .collect();
    stays_good(&health, async {
        for _ in 0..30 {
            sleep(millis(150)).await;
            let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
            database.connect().await.simple_query(ended).await.unwrap();
        }
    })
    .await;
    churn.iter().for_each(tokio::task::JoinHandle::abort);
}
