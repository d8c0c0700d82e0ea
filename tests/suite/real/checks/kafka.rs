//! The `Kafka` check against Tansu, and against librdkafka's mock cluster for the loss of brokers.

use std::sync::Arc;

use health_core::{CheckExt as _, Kafka, Reason, Status};
use health_tests::{
    daemon::Server as _,
    kafka::{Server, config},
    support::{checked, checked_within, invalid, millis, observed, rerun, secs, shown, verdict},
    wait,
};
use rdkafka::{
    consumer::BaseConsumer,
    mocking::MockCluster,
    producer::{BaseProducer, DefaultProducerContext},
};

#[tokio::test(flavor = "multi_thread")]
async fn brokers_and_topics_are_seen_by_consumers_and_producers() {
    let mut server = Server::start();
    server.create_topic("orders", 3);
    let consumer: Arc<BaseConsumer> = Arc::new(config(server.port()).create().unwrap());
    let producer: Arc<BaseProducer> = Arc::new(config(server.port()).create().unwrap());
    let report = shown(&checked(Kafka::consumer(Arc::clone(&consumer)).topic("orders")).await);
    assert_eq!((report.status(), observed(&report, "brokers")), (Status::Healthy, 1.0), "{report:?}");
    let health = checked(Kafka::producer(producer).topic("orders").topic("missing")).await;
    for _ in 0..2 {
        let report = rerun(&health).await;
        assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Rejected)));
        let message = report.message().unwrap_or_default();
        assert!(message.contains("topic missing does not exist"), "the check must not create the topic: {message}");
    }
    let report = shown(&checked(Kafka::consumer(consumer).min_brokers(2)).await);
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Threshold)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_and_a_lost_cluster_are_unhealthy() {
    let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(3).unwrap();
    cluster.create_topic("orders", 3, 1).unwrap();
    let mut config = config(0);
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let consumer: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
    let check = Kafka::consumer(Arc::clone(&consumer)).min_brokers(3).topic("orders");
    let health = checked_within(secs(5), check.every(millis(200)).recheck(millis(200))).await;
    let until = async |status, reason, words: &str| {
        wait::done(words, async || {
            let report = rerun(&health).await;
            let says = report.message().unwrap_or_default().contains(words);
            if verdict(&report) == (status, reason) && says { Ok(report) } else { Err(report) }
        })
        .await
    };
    let report = until(Status::Healthy, None, "").await;
    assert_eq!(observed(&report, "brokers"), 3.0);

    cluster.partition_leader("orders", 1, None).unwrap();
    until(Status::Unhealthy, Some(Reason::Unreachable), "1 of 3 partitions have no leader").await;
    cluster.partition_leader("orders", 1, Some(2)).unwrap();
    until(Status::Healthy, None, "").await;

    // Two of three brokers are too few, although both answer all the time.
    cluster.broker_down(1).unwrap();
    until(Status::Unhealthy, Some(Reason::Threshold), "2 brokers, fewer than 3").await;
    let patient = checked(Kafka::consumer(Arc::clone(&consumer)).min_brokers(3).topic("orders")).await;
    for _ in 0..5 {
        assert_eq!(verdict(&*rerun(&patient).await), (Status::Unhealthy, Some(Reason::Threshold)));
    }
    patient.stop().await;
    cluster.broker_down(2).unwrap();
    cluster.broker_down(3).unwrap();
    until(Status::Unhealthy, Some(Reason::Unreachable), "").await;
    for broker in 1..=3 {
        cluster.broker_up(broker).unwrap();
    }
    until(Status::Healthy, None, "").await;
    health.stop().await;
}

#[test]
fn bad_input_is_refused() {
    let consumer: Arc<BaseConsumer> = Arc::new(config(1).create().unwrap());
    assert!(invalid(Kafka::consumer(Arc::clone(&consumer)).topic("")).contains("give the topic's name"));
    assert!(invalid(Kafka::consumer(consumer).min_brokers(0)).contains("can never fail"));
}
