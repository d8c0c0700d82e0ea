//! The `KafkaLag` check against Tansu: the numbers are right while messages are produced and consumed.

use std::sync::Arc;

use health_core::{KafkaLag, Reason, Status};
use health_tests::{
    daemon::Server as _,
    kafka::{Server, config, consume, consumer, produce},
    support::{checked, invalid, observed, rerun, shown, verdict},
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread")]
async fn the_sum_and_the_worst_partition_are_right_while_messages_come_and_go() {
    let mut server = Server::start();
    server.create_topic("orders", 3);
    let port = server.port();
    let reader = Arc::new(consumer(port, "readers"));
    let check = KafkaLag::new(Arc::clone(&reader)).topic("orders").warn_above(15).fail_partition_above(20);
    let health = checked(check).await;
    let report = shown(&health);
    assert_eq!((report.status(), observed(&report, "partitions")), (Status::Healthy, 3.0), "{report:?}");

    let mut consumed = [0; 3];
    for (produced, taken, sum, worst, expected) in [
        ([5, 2, 0], [0, 0, 0], 7.0, 5.0, (Status::Healthy, None)),
        ([0, 0, 0], [5, 1, 0], 1.0, 1.0, (Status::Healthy, None)),
        ([8, 8, 0], [0, 0, 0], 17.0, 9.0, (Status::Degraded, Some(Reason::Threshold))),
        ([0, 0, 21], [8, 0, 0], 30.0, 21.0, (Status::Unhealthy, Some(Reason::Threshold))),
        ([0, 0, 0], [0, 9, 21], 0.0, 0.0, (Status::Healthy, None)),
    ] {
        block_in_place(|| {
            for partition in 0..3_usize {
                let id = i32::try_from(partition).unwrap();
                produce(port, "orders", id, produced[partition]);
                if taken[partition] > 0 {
                    consume(&reader, "orders", id, consumed[partition], usize::try_from(taken[partition]).unwrap());
                    consumed[partition] += taken[partition];
                }
            }
        });
        let report = rerun(&health).await;
        let numbers = (observed(&report, "lag"), observed(&report, "worst"));
        assert_eq!((numbers, verdict(&report)), ((sum, worst), expected), "{report:?}");
    }
    // A committed offset from an earlier topic of the same name that had more messages.
    block_in_place(|| {
        let mut beyond = TopicPartitionList::new();
        beyond.add_partition_offset("orders", 1, Offset::Offset(1_000)).unwrap();
        reader.commit(&beyond, CommitMode::Sync).unwrap();
    });
    let report = rerun(&health).await;
    let whole = 10.0;
    assert_eq!((observed(&report, "lag"), observed(&report, "worst")), (whole, whole), "{report:?}");
    let health = checked(KafkaLag::new(reader).topic("missing")).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Rejected)));
}

#[test]
fn bad_input_is_refused() {
    let lag = || KafkaLag::new(Arc::new(consumer(1, "readers")));
    assert!(invalid(lag()).contains("at least one topic"));
    assert!(invalid(lag().topic("")).contains("empty topic name"));
    let alone = config(1).create::<BaseConsumer>().unwrap();
    assert!(invalid(KafkaLag::new(Arc::new(alone)).topic("x")).contains("set group.id"));
    assert!(invalid(lag().topic("x").warn_partition_above(2).fail_partition_above(1)).contains("less than"));
}
