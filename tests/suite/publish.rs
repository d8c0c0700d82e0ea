//! Publishers of an application's own that behave badly.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use health_core::{CheckExt as _, Health, Publisher, Source, Status, async_trait, check_fn};

use crate::support::{millis, secs};

/// Never comes back, and never asks for a change.
struct Hangs;

#[async_trait]
impl Publisher for Hangs {
    async fn publish(self: Box<Self>, _source: Source) {
        std::future::pending::<()>().await;
    }
}

static PANICKED: AtomicBool = AtomicBool::new(false);

struct Panics;

#[async_trait]
impl Publisher for Panics {
    async fn publish(self: Box<Self>, source: Source) {
        PANICKED.store(true, Ordering::Relaxed);
        assert!(source.report().checks.is_empty(), "of no use");
    }
}

/// Holds a thread of the runtime, which it must not.
struct Blocks;

#[async_trait]
impl Publisher for Blocks {
    async fn publish(self: Box<Self>, _source: Source) {
        std::thread::sleep(secs(3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_hangs_panics_or_blocks_delays_no_check_and_no_answer() {
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) }).every(millis(50))).start().unwrap();
    assert!(health.ready().await);
    health.publish(Hangs);
    health.publish(Panics);
    health.publish(Blocks);
    let began = Instant::now();
    while !PANICKED.load(Ordering::Relaxed) {
        assert!(began.elapsed() < secs(10), "it is not run");
        tokio::time::sleep(millis(10)).await;
    }
    let runs = || health.report().checks[0].history.totals.runs[Status::Healthy as usize];
    let before = runs();
    let asked = Instant::now();
    while asked.elapsed() < secs(1) {
        let began = Instant::now();
        assert_eq!(crate::support::code(&health, "/readyz"), 200);
        assert!(began.elapsed() < millis(500), "{:?}", began.elapsed());
        tokio::time::sleep(millis(10)).await;
    }
    assert!(runs() - before >= 8, "{} runs in a second", runs() - before);
    // They have a second for their last words, and no more.
    let began = Instant::now();
    health.stop().await;
    assert!(began.elapsed() < secs(2), "{:?}", began.elapsed());
}
