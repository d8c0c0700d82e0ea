//! A publisher that hangs, on the paused clock: how long a stop waits for it.

use health_core::{Health, Publisher, Source, async_trait};
use health_tests::support::{millis, secs};
use tokio::time::Instant;

/// Never comes back, and never asks for a change.
struct Hangs;

#[async_trait]
impl Publisher for Hangs {
    async fn publish(self: Box<Self>, _source: Source) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_a_second_for_last_words_and_no_longer() {
    let health = Health::builder().start().unwrap();
    health.publish(Hangs);
    let began = Instant::now();
    health.stop().await;
    assert!((secs(1)..millis(1_100)).contains(&began.elapsed()), "{:?}", began.elapsed());
}
