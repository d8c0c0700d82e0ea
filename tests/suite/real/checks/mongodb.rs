//! The `MongoDb` check against a server of its protocol, beyond the table of faults.

use health_core::{MongoDb, Reason, Status};
use health_tests::{
    daemon::Server as _,
    mongodb::{Operation, PLACES, client, options},
    proxy::{NetworkFault, Proxy},
    service::{Kind, Server, TOKEN},
    support::{checked, checked_within, millis, rerun, secs, shown, turns, verdict},
    wait::HANG,
};
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread")]
async fn dead_connections_are_no_outage() {
    let server = Server::start(Kind::MongoDb);
    let proxy = Proxy::before(server.port());
    let client = client(proxy.port(), TOKEN).await;
    let health = checked(MongoDb::new(client.clone())).await;
    turns(&health, Status::Healthy, None).await;
    proxy.set(NetworkFault::CloseOnRequest);
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
    proxy.set(NetworkFault::None);
    // The driver's monitor must first notice that its own connection is dead too.
    let health = checked_within(secs(8), MongoDb::new(client)).await;
    turns(&health, Status::Healthy, None).await;
    proxy.set(NetworkFault::HalfOpen);
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_is_healthy_unless_writable_is_set() {
    let server = Server::start(Kind::MongoDb);
    server.put("role", "secondary");
    let client = client(server.port(), TOKEN).await;
    let plain = checked_within(secs(4), MongoDb::new(client.clone())).await;
    let writable = checked_within(secs(4), MongoDb::new(client).writable()).await;
    turns(&plain, Status::Healthy, None).await;
    turns(&writable, Status::Unhealthy, Some(Reason::Unreachable)).await;
    server.put("role", "primary");
    turns(&writable, Status::Healthy, None).await;
    turns(&plain, Status::Healthy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_code_decides_the_reason() {
    let server = Server::start(Kind::MongoDb);
    let health = checked_within(secs(4), MongoDb::new(client(server.port(), TOKEN).await)).await;
    for (code, reason) in [
        ("13", Reason::Rejected),
        ("91", Reason::Unreachable),
        ("50", Reason::Timeout),
        ("462", Reason::Saturated),
        ("1", Reason::Failed),
    ] {
        server.put("code", code);
        turns(&health, Status::Unhealthy, Some(reason)).await;
    }
    server.put("code", "");
    turns(&health, Status::Healthy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_connected_is_unreachable() {
    let health = checked_within(secs(4), MongoDb::new(client(1, TOKEN).await)).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Unreachable)));
}

/// Returns a check that knows the options of its client, and the client.
async fn with_options(server: &Server) -> (MongoDb, mongodb::Client) {
    let options = options(server.port(), TOKEN).await;
    let client = mongodb::Client::with_options(options.clone()).unwrap();
    (MongoDb::new(client.clone()).beside(options), client)
}

/// The check waits for longer than half of its deadline, because operations before it occupy every connection in turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_busy_for_most_of_the_deadline_is_no_outage() {
    let server = Server::start(Kind::MongoDb);
    let (check, client) = with_options(&server).await;
    let health = checked_within(secs(12), check).await;
    turns(&health, Status::Healthy, None).await;
    let operations: Vec<_> = (0..PLACES * 4).map(|_| Operation::pause(&client, 2_000)).collect();
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
    drop(operations);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_finds_no_server_is_unreachable_although_the_second_client_finds_one() {
    let server = Server::start(Kind::MongoDb);
    let check = MongoDb::new(client(1, TOKEN).await).beside(options(server.port(), TOKEN).await);
    let health = checked_within(secs(4), check).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Unreachable)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_free_connection_is_saturated_and_hides_no_outage() {
    let mut server = Server::start(Kind::MongoDb);
    let (check, client) = with_options(&server).await;
    let tolerant = checked_within(secs(4), check.saturated_for(HANG)).await;
    turns(&tolerant, Status::Healthy, None).await;
    let operations: Vec<_> = (0..PLACES).map(|_| Operation::hold(&client)).collect();
    turns(&tolerant, Status::Degraded, Some(Reason::Saturated)).await;
    let blind = checked_within(secs(4), MongoDb::new(client.clone())).await;
    turns(&blind, Status::Unhealthy, Some(Reason::Timeout)).await;
    let impatient = MongoDb::new(client.clone()).beside(options(server.port(), TOKEN).await).saturated_for(millis(1));
    turns(&checked_within(secs(4), impatient).await, Status::Unhealthy, Some(Reason::Saturated)).await;
    block_in_place(|| server.freeze());
    turns(&tolerant, Status::Unhealthy, Some(Reason::Timeout)).await;
    block_in_place(|| server.thaw());
    turns(&tolerant, Status::Degraded, Some(Reason::Saturated)).await;
    block_in_place(|| server.kill());
    turns(&tolerant, Status::Unhealthy, Some(Reason::Unreachable)).await;
    block_in_place(|| server.run());
    turns(&tolerant, Status::Degraded, Some(Reason::Saturated)).await;
    drop(operations);
    turns(&tolerant, Status::Healthy, None).await;
}
