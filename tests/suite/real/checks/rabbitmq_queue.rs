//! The `RabbitMqQueue` check against a real broker: the numbers are right while messages come and go.

use deadpool_lapin::lapin::{
    BasicProperties, Channel,
    options::{BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
};
use health_core::{RabbitMqQueue, Reason, Status};
use health_tests::{
    daemon::Server as _,
    port,
    rabbitmq::{Server, pool},
    support::{checked, invalid, observed, rerun, shown, verdict},
    wait,
};

async fn publish(channel: &Channel, count: usize) {
    for _ in 0..count {
        let options = BasicPublishOptions::default();
        let confirm = channel.basic_publish("".into(), "orders".into(), options, b"x", BasicProperties::default());
        confirm.await.unwrap().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_length_and_the_consumers_are_right_while_messages_come_and_go() {
    let server = Server::start();
    let connection = server.connect().await;
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let few = pool(&server.url(), 2);
    drop(few.get().await.unwrap());
    let check = RabbitMqQueue::new(few.clone(), "orders").warn_above(3).fail_above(10);
    let health = checked(check).await;

    // The check does not declare the queue.
    for _ in 0..3 {
        let report = rerun(&health).await;
        assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Rejected)), "{report:?}");
        let numbers = (observed(&report, "pool_size"), observed(&report, "pool_available"));
        assert_eq!(numbers, (1.0, 1.0), "the connection stays in its pool");
        assert!(few.get().await.unwrap().status().connected());
    }
    let what = "three connections: that of the pool, that of the check and that of the test";
    wait::true_of(what, || port::connections_to(server.port()) == 3).await;
    channel.queue_declare("orders".into(), QueueDeclareOptions::default(), FieldTable::default()).await.unwrap();

    for (published, taken, length, status) in [
        (0, 0, 0.0, Status::Healthy),
        (3, 0, 3.0, Status::Healthy),
        (1, 0, 4.0, Status::Degraded),
        (7, 0, 11.0, Status::Unhealthy),
        (0, 9, 2.0, Status::Healthy),
        (5, 7, 0.0, Status::Healthy),
    ] {
        publish(&channel, published).await;
        for _ in 0..taken {
            let got = channel.basic_get("orders".into(), BasicGetOptions { no_ack: true }).await.unwrap();
            assert!(got.is_some());
        }
        let report = rerun(&health).await;
        assert_eq!((observed(&report, "length"), report.status()), (length, status), "{report:?}");
        assert_eq!(observed(&report, "consumers"), 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_consumers_is_unhealthy() {
    let server = Server::start();
    server.declare("orders").await;
    let check = RabbitMqQueue::new(pool(&server.url(), 2), "orders").min_consumers(1);
    let health = checked(check).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Threshold)));
    let connection = server.connect().await;
    let channel = connection.create_channel().await.unwrap();
    let options = BasicConsumeOptions::default();
    let _consumer =
        channel.basic_consume("orders".into(), "test".into(), options, FieldTable::default()).await.unwrap();
    let report = rerun(&health).await;
    assert_eq!((report.status(), observed(&report, "consumers")), (Status::Healthy, 1.0));
}

#[tokio::test]
async fn bad_input_is_refused() {
    let pool = pool("amqp://localhost", 1);
    assert!(invalid(RabbitMqQueue::new(pool.clone(), "")).contains("name it"));
    assert!(invalid(RabbitMqQueue::new(pool.clone(), "x".repeat(256))).contains("255"));
    assert!(invalid(RabbitMqQueue::new(pool, "x").warn_above(2).fail_above(1)).contains("less than"));
}
