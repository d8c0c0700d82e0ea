//! The call of librdkafka blocks its thread for the whole deadline, but not the only thread of the application's
//! runtime.

use std::{cell::Cell, sync::Arc, time::Duration};

use health_core::{Kafka, Reason, Status};
use health_tests::{
    bare_clock::{BareClock, measure},
    kafka::config,
    support::{checked_within, millis, secs, shown, verdict},
};
use rdkafka::consumer::BaseConsumer;

#[tokio::test]
async fn an_unreachable_kafka_cluster_holds_up_no_other_task() {
    let clock = BareClock::start();
    let step = async || {
        let consumer: Arc<BaseConsumer> = Arc::new(config(1).create().unwrap());
        let is_over = Cell::new(false);
        let run = async {
            let health = checked_within(secs(1), Kafka::consumer(consumer)).await;
            is_over.set(true);
            verdict(&shown(&health))
        };
        let other = async {
            let mut longest = Duration::ZERO;
            while !is_over.get() {
                let before = clock.now();
                tokio::time::sleep(millis(10)).await;
                longest = longest.max(clock.now() - before);
            }
            longest
        };
        tokio::join!(run, other)
    };
    let judge = |((status, reason), longest): &((Status, Option<Reason>), Duration)| {
        let is_gone = matches!(reason, Some(Reason::Unreachable | Reason::Timeout));
        assert!(*status == Status::Unhealthy && is_gone, "{status} {reason:?}");
        assert!(*longest < millis(500), "another task waited {longest:?}, on the clock of a bare thread");
    };
    measure("another task", &clock, step, judge).await;
}
