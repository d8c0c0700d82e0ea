//! The `Kafka` check against Tansu, and against librdkafka's own cluster for the loss of brokers.

use std::{sync::Arc, time::Instant};

use health_core::{CheckExt as _, Health, Kafka, Reason, Status};
use health_tests::{
    daemon::Server as _,
    kafka::{Server, config},
};
use rdkafka::{
    consumer::BaseConsumer,
    mocking::MockCluster,
    producer::{BaseProducer, DefaultProducerContext},
};

use crate::support::{Mood, checked, invalid, millis, observed, rerun, secs, shown, verdict};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Tansu: tests/run"]
async fn brokers_and_topics_are_seen_by_consumers_and_producers() {
    let mut server = Server::start();
    server.create_topic("orders", 3);
    let consumer: Arc<BaseConsumer> = Arc::new(config(server.port()).create().unwrap());
    let producer: Arc<BaseProducer> = Arc::new(config(server.port()).create().unwrap());
    let report = shown(&checked(Kafka::consumer(Arc::clone(&consumer)).topic("orders").timeout(secs(5))).await);
    assert_eq!((report.status, observed(&report, "brokers")), (Status::Healthy, 1.0), "{report:?}");
    let health = checked(Kafka::producer(producer).topic("orders").topic("missing").timeout(secs(5))).await;
    for _ in 0..2 {
        let report = rerun(&health).await;
        assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Rejected)));
        let message = report.message.as_deref().unwrap_or_default();
        assert!(message.contains("there is no topic missing"), "asking did not create it: {message}");
    }
    let report = shown(&checked(Kafka::consumer(consumer).min_brokers(2).timeout(secs(5))).await);
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Threshold)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_and_a_lost_cluster_are_unhealthy() {
    let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(3).unwrap();
    cluster.create_topic("orders", 3, 1).unwrap();
    let mut config = config(0);
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let consumer: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
    let check = Kafka::consumer(consumer).min_brokers(3).topic("orders");
    let health = checked(check.timeout(secs(2)).every(millis(200)).recheck(millis(200))).await;
    let until = async |status, reason, words: &str| {
        let began = Instant::now();
        loop {
            let report = rerun(&health).await;
            if verdict(&report) == (status, reason) && report.message.as_deref().unwrap_or_default().contains(words) {
                return report;
            }
            assert!(began.elapsed() < secs(15), "no {status} {reason:?} {words:?} but {report:?}");
        }
    };
    let report = until(Status::Healthy, None, "").await;
    assert_eq!(observed(&report, "brokers"), 3.0);

    cluster.partition_leader("orders", 1, None).unwrap();
    until(Status::Unhealthy, Some(Reason::Unreachable), "1 of 3 partitions have no leader").await;
    cluster.partition_leader("orders", 1, Some(2)).unwrap();
    until(Status::Healthy, None, "").await;

    // One broker of three is one too few, and the others answer all the time.
    cluster.broker_down(1).unwrap();
    until(Status::Unhealthy, Some(Reason::Threshold), "2 brokers, fewer than 3").await;
    let began = Instant::now();
    while began.elapsed() < secs(2) {
        let report = rerun(&health).await;
        assert_eq!(report.reason, Some(Reason::Threshold), "{report:?}");
    }
    cluster.broker_down(2).unwrap();
    cluster.broker_down(3).unwrap();
    until(Status::Unhealthy, Some(Reason::Unreachable), "").await;
    for broker in 1..=3 {
        cluster.broker_up(broker).unwrap();
    }
    until(Status::Healthy, None, "").await;
    health.stop().await;
}

/// librdkafka's call blocks for the whole deadline; the only thread of this runtime does not.
#[tokio::test]
async fn a_cluster_that_is_gone_holds_up_no_other_task() {
    let consumer: Arc<BaseConsumer> = Arc::new(config(1).create().unwrap());
    let health = Health::builder().check("x", Kafka::consumer(consumer).timeout(secs(1))).start().unwrap();
    let mood = Mood::watch();
    let longest = tokio::spawn(async {
        let mut longest = millis(0);
        for _ in 0..150 {
            let before = Instant::now();
            tokio::time::sleep(millis(10)).await;
            longest = longest.max(before.elapsed());
        }
        longest
    });
    assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Unreachable)));
    let longest = longest.await.unwrap();
    let allowed = millis(300) + mood.stalled() * 2;
    assert!(longest < allowed, "{longest:?} of {allowed:?}");
}

#[test]
fn bad_input_is_refused() {
    let consumer: Arc<BaseConsumer> = Arc::new(config(1).create().unwrap());
    assert!(invalid(Kafka::consumer(consumer).topic("")).contains("name it"));
}
