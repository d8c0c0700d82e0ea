//! An application that burns every core. Its database and its cache answer, so no check may become Unhealthy.

use std::{hint::black_box, time::Instant};

use health_core::{Change, CheckExt as _, Health, Postgres, Probe, Redis, Status, check_fn};
use health_tests::{
    bare_clock::{BareClock, measure},
    postgres, redis,
    support::{Burning, millis},
    wait,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_burns_every_core_is_no_outage() {
    let (database, cache) = (postgres::Server::start(), redis::Server::start());
    let health = Health::builder()
        .check("database", Postgres::new(postgres::pool(database.config(), 4)).every(millis(200)))
        .check("cache", Redis::new(redis::pool(&cache.url(), 4)).every(millis(200)))
        .check("own", check_fn(|| async { Ok(()) }).every(millis(100)))
        .start()
        .unwrap();
    assert!(health.ready().await);
    let step = async || {
        let mut changes = health.subscribe();
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
        let runs = |check: &str| health.report().check(check).unwrap().history().totals().durations().count();
        let checks = ["database", "cache"];
        let before = checks.map(runs);
        wait::true_of("ten runs of each check", || {
            checks.iter().zip(before).all(|(it, before)| runs(it) >= before + 10)
        })
        .await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        drop(burning);
        let mut bad = Vec::new();
        while let Ok(Some(change)) = tokio::time::timeout(millis(1), changes.next()).await {
            if let Change::Check(change) = change
                && change.to == Status::Unhealthy
            {
                bad.push(change);
            }
        }
        bad
    };
    measure("a busy application", &BareClock::start(), step, |bad| assert!(bad.is_empty(), "{bad:?}")).await;
    assert_eq!(health.status(Probe::Readiness), Status::Healthy, "{:?}", health.report());
}
