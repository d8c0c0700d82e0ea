//! The `RedisConnection` check over one connection that the application shares, beyond the table of faults.

use std::time::Duration;

use deadpool_redis::redis::{Client, aio::ConnectionLike, cluster::ClusterClient};
use health_core::{CheckExt as _, Health, Reason, RedisConnection, Status};
use health_tests::{
    daemon::Server as _,
    port,
    proxy::{NetworkFault, Proxy},
    redis::{self, PASSWORD, Server},
    support::{millis, secs},
    wait::{self, HANG},
};
use tokio::task::block_in_place;

fn client(port: u16, password: &str) -> Client {
    Client::open(format!("redis://:{password}@127.0.0.1:{port}/0")).unwrap()
}

/// Returns a [`Health`] whose only check runs only on `refresh`.
fn watch<C>(check: RedisConnection<C>, timeout: Duration) -> Health
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    Health::builder().check("cache", check.every(HANG).recheck(HANG).timeout(timeout)).start().unwrap()
}

/// Runs the check once and returns its status, reason and message.
async fn run(health: &Health) -> (Status, Option<Reason>, String) {
    health.refresh("cache").await.unwrap();
    let report = health.report();
    let check = report.check("cache").unwrap();
    (check.status(), check.reason(), check.message().unwrap_or_default().to_owned())
}

async fn says(health: &Health, status: Status, reason: Option<Reason>) -> String {
    let (found, why, message) = run(health).await;
    assert_eq!((found, why), (status, reason), "{message}");
    message
}

/// Runs the check again and again until it is healthy.
async fn recovers(health: &Health) {
    wait::done("healthy again", async || match run(health).await {
        (Status::Healthy, ..) => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connecting_manager_reports_the_cause_from_its_first_run() {
    let server = block_in_place(Server::start);
    let nobody = port::free();
    for (port, password, reason) in
        [(nobody, PASSWORD, Reason::Unreachable), (server.port(), "not-the-password", Reason::Rejected)]
    {
        let client = client(port, password);
        let health = watch(RedisConnection::new(redis::manager(client.clone()), client), secs(2));
        let message = says(&health, Status::Unhealthy, Some(reason)).await;
        assert!(message.contains("over a new connection"), "{message}");
        health.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_reconnect_is_unreachable_although_the_server_works() {
    let mut server = block_in_place(Server::start);
    let client = client(server.port(), PASSWORD);
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let health = watch(RedisConnection::new(connection, client.clone()), secs(2));
    says(&health, Status::Healthy, None).await;
    block_in_place(|| {
        server.stop();
        server.run();
    });
    says(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
    client.get_multiplexed_async_connection().await.unwrap();
    health.stop().await;
}

/// The other end of the connection disappears without a notice, but the server still answers new connections.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_a_timeout_and_the_message_says_that_the_server_answers() {
    let server = block_in_place(Server::start);
    let proxy = Proxy::before(server.port());
    let client = client(proxy.port(), PASSWORD);
    let health = watch(RedisConnection::new(redis::manager(client.clone()), client), secs(2));
    says(&health, Status::Healthy, None).await;
    proxy.set(NetworkFault::HalfOpen);
    let message = says(&health, Status::Unhealthy, Some(Reason::Timeout)).await;
    assert!(message.contains("the server answers over a new connection"), "{message}");
    // The second connection is kept for the next run and not opened again.
    let connections = proxy.traffic().connections;
    says(&health, Status::Unhealthy, Some(Reason::Timeout)).await;
    assert_eq!(proxy.traffic().connections, 0, "{connections} connections before");
    health.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_that_refuses_the_reconnect_is_saturated() {
    let server = block_in_place(Server::start);
    let proxy = Proxy::before(server.port());
    let client = client(proxy.port(), PASSWORD);
    let health = watch(RedisConnection::new(redis::manager(client.clone()), client), secs(2));
    says(&health, Status::Healthy, None).await;
    block_in_place(|| server.impose(health_tests::daemon::Rule::Full));
    says(&health, Status::Healthy, None).await;
    proxy.set(NetworkFault::Refused);
    wait::true_of("no connection", || port::connections_to(proxy.port()) == 0).await;
    proxy.set(NetworkFault::None);
    says(&health, Status::Unhealthy, Some(Reason::Saturated)).await;
    block_in_place(|| server.impose(health_tests::daemon::Rule::Open));
    recovers(&health).await;
    health.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writable_fails_on_a_replica() {
    let server = block_in_place(Server::start);
    let client = client(server.port(), PASSWORD);
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let health = watch(RedisConnection::new(connection, client).writable(), secs(2));
    says(&health, Status::Healthy, None).await;
    server.say(&["REPLICAOF", "127.0.0.1", &port::free().to_string()]).await.unwrap();
    let message = says(&health, Status::Unhealthy, Some(Reason::Rejected)).await;
    assert!(message.contains("its role is"), "{message}");
    health.stop().await;
}

/// A cluster of one node that serves every slot.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_unreachable_while_its_master_is_down() {
    let mut server = block_in_place(Server::start);
    block_in_place(|| {
        server.set_arguments(&["--cluster-enabled", "yes"]);
        server.stop();
        server.run();
    });
    server.say(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await.unwrap();
    wait::done("a cluster that is ready", async || {
        let said = format!("{:?}", server.say(&["CLUSTER", "INFO"]).await);
        if said.contains("cluster_state:ok") { Ok(()) } else { Err(said) }
    })
    .await;
    let client = client(server.port(), PASSWORD);
    let cluster = ClusterClient::new(vec![server.url()]).unwrap().get_async_connection().await.unwrap();
    let health = watch(RedisConnection::new(cluster, client), secs(2));
    says(&health, Status::Healthy, None).await;
    block_in_place(|| server.kill());
    says(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
    block_in_place(|| server.run());
    recovers(&health).await;
    health.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_a_timeout_within_the_deadline_and_recovers() {
    let server = block_in_place(Server::start);
    let client = client(server.port(), PASSWORD);
    let health = watch(RedisConnection::new(redis::manager(client.clone()), client), millis(500));
    says(&health, Status::Healthy, None).await;
    block_in_place(|| server.freeze());
    for _ in 0..5 {
        says(&health, Status::Unhealthy, Some(Reason::Timeout)).await;
    }
    block_in_place(|| server.thaw());
    recovers(&health).await;
    health.stop().await;
}
