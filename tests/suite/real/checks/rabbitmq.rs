//! The `RabbitMq` check against a real broker, beyond the table of faults.

use deadpool_lapin::lapin::{BasicProperties, Channel, Connection, options::BasicPublishOptions};
use health_core::{CheckExt as _, Health, RabbitMq, RabbitMqQueue, Reason, Status};
use health_tests::{
    daemon::Server as _,
    port,
    rabbitmq::{PASSWORD, Server, pool, url},
    support::{checked, checked_within, millis, observed, rerun, secs, shown, turns, verdict},
    wait::{self, HANG},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_broker_is_degraded_and_a_busy_pool_is_saturated() {
    let server = Server::start();
    let few = pool(&server.url(), 1);
    let health = checked_within(secs(4), RabbitMq::new(few.clone()).saturated_for(HANG)).await;
    let strict = checked_within(secs(4), RabbitMq::new(few.clone()).saturated_for(millis(1))).await;
    turns(&health, Status::Healthy, None).await;
    assert_eq!(observed(&shown(&health), "pool_max"), 1.0);

    // Every connection of the pool is in use, so the check uses a connection beside the pool.
    let held = few.get().await.unwrap();
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    turns(&strict, Status::Unhealthy, Some(Reason::Saturated)).await;
    drop(held);
    turns(&health, Status::Healthy, None).await;
    turns(&strict, Status::Healthy, None).await;
    wait::true_of("two connections: that of the pool, and one beside it for both checks", || {
        port::connections_to(server.port()) == 2
    })
    .await;

    // The broker notifies only publishing connections that they are blocked.
    server.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    let publisher = few.get().await.unwrap();
    let channel = publishes(&publisher).await;
    drop((publisher, channel));
    assert_eq!(verdict(&*rerun(&health).await), (Status::Degraded, Some(Reason::Saturated)));
    server.control(&["set_vm_memory_high_watermark", "absolute", "1GB"]);
    turns(&health, Status::Healthy, None).await;
}

/// Publishes on a connection until the broker, which is short of memory, blocks it.
async fn publishes(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.unwrap();
    let properties = BasicProperties::default();
    let sent = channel.basic_publish("".into(), "nowhere".into(), BasicPublishOptions::default(), b"x", properties);
    drop(sent.await.unwrap());
    wait::true_of("the broker blocks", || connection.status().blocked()).await;
    channel
}

/// Of several connections the broker blocks only the one that has published. The verdict must not change from run to
/// run.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_with_one_blocked_connection_does_not_flap() {
    let server = Server::start();
    server.declare("orders").await;
    let pool = pool(&server.url(), 4);
    let (one, other) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    drop((pool.get().await.unwrap(), pool.get().await.unwrap(), other));
    server.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    let channel = publishes(&one).await;
    drop(one);
    let health = checked(RabbitMq::new(pool.clone()).every(HANG).recheck(HANG)).await;
    let queue = checked(RabbitMqQueue::new(pool, "orders").every(HANG).recheck(HANG)).await;
    for check in [&health, &queue] {
        turns(check, Status::Degraded, Some(Reason::Saturated)).await;
        for _ in 0..6 {
            assert_eq!(verdict(&*rerun(check).await), (Status::Degraded, Some(Reason::Saturated)));
        }
        assert!(shown(check).message().unwrap().contains("the broker blocks a connection"));
    }
    assert_eq!(observed(&shown(&queue), "length"), 0.0, "the length is observed although a connection is blocked");
    server.control(&["set_vm_memory_high_watermark", "absolute", "1GB"]);
    turns(&health, Status::Healthy, None).await;
    turns(&queue, Status::Healthy, None).await;
    drop(channel);
}

/// The application uses the user's last channel. Opening one more would close the application's connection.
#[tokio::test(flavor = "multi_thread")]
async fn the_check_uses_none_of_the_applications_channels() {
    let server = Server::start();
    server.declare("orders").await;
    let pool = pool(&server.url(), 1);
    let connection = pool.get().await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    server.control(&["set_user_limits", "app", "{\"max-channels\": 1}"]);
    drop(connection);
    let health = checked(RabbitMq::new(pool.clone()).every(HANG).recheck(HANG)).await;
    let queue = checked(RabbitMqQueue::new(pool, "orders").every(HANG).recheck(HANG)).await;
    for _ in 0..3 {
        for check in [&health, &queue] {
            assert_eq!(
                verdict(&*rerun(check).await),
                (Status::Degraded, Some(Reason::Saturated)),
                "{:?}",
                shown(check)
            );
        }
    }
    // The broker answers in order: if it had closed the connection, this call would fail.
    let declared = channel.queue_declare("orders".into(), durable(), Default::default()).await;
    assert!(declared.is_ok() && channel.status().connected(), "{declared:?}");
    server.control(&["clear_user_limits", "app", "all"]);
    turns(&health, Status::Healthy, None).await;
    turns(&queue, Status::Healthy, None).await;
}

fn durable() -> deadpool_lapin::lapin::options::QueueDeclareOptions {
    deadpool_lapin::lapin::options::QueueDeclareOptions { durable: true, ..Default::default() }
}

/// The user's only connection is that of the pool.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_at_its_limit_of_connections_is_no_outage() {
    let server = Server::start();
    server.declare("orders").await;
    server.control(&["add_user", "poor", PASSWORD]);
    server.control(&["set_permissions", "poor", ".*", ".*", ".*"]);
    server.control(&["set_user_limits", "poor", "{\"max-connections\": 1}"]);
    let pool = pool(&url(server.port(), PASSWORD).replace("app:", "poor:"), 1);
    drop(pool.get().await.unwrap());
    let health = checked_within(secs(4), RabbitMq::new(pool.clone()).every(HANG).recheck(HANG)).await;
    let queue = checked_within(secs(4), RabbitMqQueue::new(pool.clone(), "orders").every(HANG).recheck(HANG)).await;
    // The refusal proves that the broker works, and the pool has an idle connection.
    turns(&health, Status::Healthy, None).await;
    // Reading the length of a queue needs a channel.
    turns(&queue, Status::Degraded, Some(Reason::Saturated)).await;
    let held = pool.get().await.unwrap();
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    drop(held);
    turns(&health, Status::Healthy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_host_that_is_down_is_unreachable() {
    let server = Server::start();
    server.control(&["add_vhost", "orders"]);
    server.control(&["set_permissions", "--vhost", "orders", "app", ".*", ".*", ".*"]);
    let health = checked(RabbitMq::new(pool(&server.url().replace("%2f", "orders"), 1))).await;
    turns(&health, Status::Healthy, None).await;
    server.control(&["eval", "rabbit_vhost_sup_sup:stop_and_delete_vhost(<<\"orders\">>)."]);
    turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_virtual_host_is_rejected() {
    let server = Server::start();
    let health = Health::builder()
        .check("x", RabbitMq::new(pool(&format!("{}no", server.url()), 1)).timeout(HANG))
        .start()
        .unwrap();
    assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Rejected)));
}
