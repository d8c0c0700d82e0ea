//! The `Fred` check against a real server, beyond the table of faults.

use deadpool_redis::redis::cmd;
use fred::interfaces::ClientLike as _;
use health_core::{Fred, Reason, Status};
use health_tests::{
    daemon::Rule,
    fred::{client, connect, pool},
    redis::{PASSWORD, Server},
    support::{checked, checked_within, millis, observed, rerun, secs, shown, turns, verdict},
    wait,
};

/// Returns the number of pings that the server has answered.
async fn pings(server: &Server) -> usize {
    let mut connection = server.connect().await;
    let text: String = cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
    let calls = text.lines().find_map(|line| line.strip_prefix("cmdstat_ping:calls=")?.split_once(','));
    calls.map_or(0, |(count, _)| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_a_timeout_and_gets_one_ping() {
    let server = Server::start();
    let client = client(server.port(), PASSWORD, None);
    let health = checked_within(millis(500), Fred::new(client.clone())).await;
    connect(&client);
    turns(&health, Status::Healthy, None).await;
    let before = pings(&server).await;
    server.freeze();
    for _ in 0..5 {
        assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Timeout)));
    }
    health.stop().await;
    server.thaw();
    let fresh = checked(Fred::new(client)).await;
    assert_eq!(shown(&fresh).status(), Status::Healthy, "{:?}", shown(&fresh));
    // At most one more run before the freeze, one ping during it, and one after it.
    let after = pings(&server).await;
    assert!(after <= before + 3, "{before} answered, then {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_why_a_client_is_not_connected_is_reported() {
    let server = Server::start();
    let stranger = client(server.port(), "not-the-password", None);
    let health = checked(Fred::new(stranger.clone())).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Unreachable)), "not connected yet");
    connect(&stranger);
    turns(&health, Status::Unhealthy, Some(Reason::Rejected)).await;
    server.accept_password("not-the-password").await;
    turns(&health, Status::Healthy, None).await;
    server.set_rule(Rule::LockedOut).await;
    turns(&health, Status::Unhealthy, Some(Reason::Rejected)).await;
    server.set_rule(Rule::Open).await;
    turns(&health, Status::Healthy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connected_client_of_a_pool_is_enough() {
    let mut server = Server::start();
    let pool = pool(server.port(), PASSWORD, 3);
    let health = checked_within(secs(1), Fred::pool(pool.clone())).await;
    // Only one of the three clients connects.
    connect(&pool.clients()[1]);
    turns(&health, Status::Healthy, None).await;
    let report = rerun(&health).await;
    assert_eq!((observed(&report, "pool_size"), observed(&report, "pool_connected")), (3.0, 1.0));
    server.stop();
    turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_healthy_again_after_its_server_restarts() {
    let mut server = Server::start();
    let pool = pool(server.port(), PASSWORD, 3);
    let health = checked_within(secs(1), Fred::pool(pool.clone())).await;
    connect(&pool);
    wait::ok("three connections", || {
        let connected = pool.clients().iter().filter(|client| client.is_connected()).count();
        if connected == 3 { Ok(()) } else { Err(connected) }
    })
    .await;
    turns(&health, Status::Healthy, None).await;
    server.stop();
    turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
    server.run();
    turns(&health, Status::Healthy, None).await;
}
