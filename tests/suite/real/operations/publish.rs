//! An application's own publishers that hang, panic or block.

use std::sync::{
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use health_core::{CheckExt as _, Health, Publisher, Source, async_trait, check_fn};
use health_tests::{
    support::{code, millis, runs},
    wait,
};

/// A publisher that never returns and never receives a change.
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
        assert!(source.report().checks().is_empty(), "a publisher that panics");
    }
}

/// A publisher that blocks a thread of the runtime, which is against the rules, until the test releases it.
struct Blocks(mpsc::Receiver<()>);

#[async_trait]
impl Publisher for Blocks {
    async fn publish(self: Box<Self>, _source: Source) {
        let _ = self.0.recv();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_publisher_that_hangs_panics_or_blocks_delays_no_check_and_no_answer() {
    let health = Health::builder()
        .check("x", check_fn(|| async { Ok(()) }).every(millis(50)).stale_after(wait::HANG))
        .start()
        .unwrap();
    assert!(health.ready().await);
    let (end, ended) = mpsc::channel::<()>();
    health.publish(Hangs);
    health.publish(Panics);
    health.publish(Blocks(ended));
    wait::true_of("the panicking publisher has run", || PANICKED.load(Ordering::Relaxed)).await;
    let before = runs(&health);
    wait::true_of("ten more runs", || {
        assert_eq!(code(&health, "/readyz"), 200);
        runs(&health) >= before + 10
    })
    .await;
    // Each publisher gets one second for its last messages. The blocked publisher has not returned by then.
    health.stop().await;
    drop(end);
}
