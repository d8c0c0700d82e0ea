//! librdkafka's call blocks its thread for the whole deadline; the only thread of the application's runtime does not.

use std::{sync::Arc, time::Instant};

use health_core::{Kafka, Reason, Status};
use health_tests::{
    bare_clock::{BareClock, measure},
    kafka::config,
    support::{checked_within, millis, secs, shown, verdict},
};
use rdkafka::consumer::BaseConsumer;
use tokio::sync::oneshot;

#[tokio::test]
async fn a_cluster_that_is_gone_holds_up_no_other_task() {
    let step = async || {
        let consumer: Arc<BaseConsumer> = Arc::new(config(1).create().unwrap());
        let (end, mut ended) = oneshot::channel::<()>();
        let other = tokio::spawn(async move {
            let mut longest = millis(0);
            while ended.try_recv().is_err() {
                let before = Instant::now();
                tokio::time::sleep(millis(10)).await;
                longest = longest.max(before.elapsed());
            }
            longest
        });
        let health = checked_within(secs(1), Kafka::consumer(consumer)).await;
        end.send(()).unwrap();
        (verdict(&shown(&health)), other.await.unwrap())
    };
    // A moment in which a bare thread had no turn, either, does not count.
    measure("another task", &BareClock::start(), step, |(verdict, longest)| {
        assert_eq!(*verdict, (Status::Unhealthy, Some(Reason::Unreachable)));
        assert!(*longest < millis(500), "{longest:?} without a turn, in a run of a second");
    })
    .await;
}
