//! The `RabbitMqConnection` check over one connection of the application, beyond the table of faults.

use std::sync::{Arc, Mutex};

use deadpool_lapin::lapin::{BasicProperties, Connection, ConnectionProperties, options::BasicPublishOptions};
use health_core::{RabbitMqConnection, Reason, Status};
use health_tests::{
    daemon::Server as _,
    proxy::{NetworkFault, Proxy},
    rabbitmq::{PASSWORD, Server, url},
    support::{checked_within, rerun, secs, shown, turns, verdict},
};
use tokio::task::block_in_place;

async fn connect(port: u16) -> Arc<Connection> {
    let connection = Connection::connect(&url(port, PASSWORD), ConnectionProperties::default()).await;
    Arc::new(connection.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_runs_share_one_channel_and_a_blocked_connection_is_degraded() {
    let server = block_in_place(Server::start);
    let proxy = Proxy::before(server.port());
    let connection = connect(proxy.port()).await;
    let health = checked_within(secs(1), RabbitMqConnection::new(Arc::clone(&connection))).await;
    turns(&health, Status::Healthy, None).await;
    let _ = proxy.traffic();
    for _ in 0..5 {
        assert_eq!(verdict(&*rerun(&health).await), (Status::Healthy, None));
    }
    // Five times `basic.qos`, and no channel is opened.
    let sent: Vec<u8> = proxy.traffic().sent.concat();
    let frames = |class: u8, method: u8| sent.windows(4).filter(|it| *it == [0, class, 0, method]).count();
    assert_eq!((frames(60, 10), frames(20, 10)), (5, 0));

    // The broker notifies only publishing connections that they are blocked.
    server.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    let channel = connection.create_channel().await.unwrap();
    let properties = BasicProperties::default();
    let published = channel.basic_publish("".into(), "nobody".into(), BasicPublishOptions::default(), b"x", properties);
    drop(published.await.unwrap());
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    server.control(&["set_vm_memory_high_watermark", "absolute", "1GB"]);
    turns(&health, Status::Healthy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ended_is_unreachable_until_the_application_has_another() {
    let mut server = block_in_place(Server::start);
    let current = Arc::new(Mutex::new(None));
    let of_the_application = Arc::clone(&current);
    let health =
        checked_within(secs(1), RabbitMqConnection::current(move || of_the_application.lock().unwrap().clone())).await;
    turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
    assert!(shown(&health).message().unwrap().contains("the application has no connection"));

    let first = connect(server.port()).await;
    *current.lock().unwrap() = Some(first);
    turns(&health, Status::Healthy, None).await;
    block_in_place(|| {
        server.stop();
        server.run();
    });
    turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;

    let second = connect(server.port()).await;
    *current.lock().unwrap() = Some(second);
    turns(&health, Status::Healthy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_request_is_not_sent_again() {
    let server = block_in_place(Server::start);
    let proxy = Proxy::before(server.port());
    let health = checked_within(secs(1), RabbitMqConnection::new(connect(proxy.port()).await)).await;
    turns(&health, Status::Healthy, None).await;
    proxy.set(NetworkFault::DropAnswers);
    let _ = proxy.traffic();
    for _ in 0..3 {
        turns(&health, Status::Unhealthy, Some(Reason::Timeout)).await;
    }
    let sent: Vec<u8> = proxy.traffic().sent.concat();
    let questions = sent.windows(4).filter(|it| *it == [0, 60, 0, 10]).count();
    assert_eq!(questions, 1, "only one request is pending");
    proxy.set(NetworkFault::Refused);
    turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
}
