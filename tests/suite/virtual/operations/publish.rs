//! The time for which a stop waits for a hanging publisher, on the paused clock.

use health_core::{Health, Publisher, Source, async_trait};
use health_tests::support::{millis, secs};
use tokio::time::Instant;

/// Never returns and never reads a change.
struct Hangs;

#[async_trait]
impl Publisher for Hangs {
    async fn publish(self: Box<Self>, _source: Source) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_one_second_for_a_hanging_publisher() {
    let health = Health::builder().start().unwrap();
    health.publish(Hangs);
    let began = Instant::now();
    health.stop().await;
    assert!((secs(1)..millis(1_100)).contains(&began.elapsed()), "{:?}", began.elapsed());
}
