//! The `Memcached` check against a real server, beyond the table of faults.

use std::net::TcpStream;

use health_core::{Memcached, Reason, Status};
use health_tests::{
    daemon::Server as _,
    memcached::{PASSWORD, Server},
    port,
    proxy::{NetworkFault, Proxy},
    support::{checked, checked_within, invalid, rerun, secs, shown, turns, verdict},
    wait,
};

fn check(port: u16) -> Memcached {
    Memcached::new(format!("127.0.0.1:{port}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_runs_share_one_connection() {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let health = checked(check(proxy.port()).credentials("app", PASSWORD)).await;
    for _ in 0..4 {
        assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
    }
    assert_eq!(proxy.traffic().connections, 1);
    assert_eq!(port::connections_to(proxy.port()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_missing_credentials_are_rejected() {
    let server = Server::start();
    for check in [check(server.port()), check(server.port()).credentials("app", "wrong")] {
        let health = checked(check).await;
        assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Rejected)), "{:?}", shown(&health));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_authentication_is_sent_no_password() {
    let server = Server::start_open(&[]);
    let proxy = Proxy::before(server.port());
    let health = checked(check(proxy.port()).credentials("app", PASSWORD)).await;
    assert_eq!(shown(&health).status(), Status::Healthy, "{:?}", shown(&health));
    let sent = proxy.traffic().sent.concat();
    // Each run sends one `version` command and nothing else.
    let text = String::from_utf8_lossy(&sent);
    assert!(!text.is_empty() && text.replace("version\r\n", "").is_empty(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_idle_connection_is_no_outage() {
    let mut server = Server::start_open(&[]);
    let proxy = Proxy::before(server.port());
    let health = checked(check(proxy.port())).await;
    server.stop();
    server.run();
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "closed by a restart: {:?}", shown(&health));
    proxy.set(NetworkFault::CloseOnRequest);
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "closed on request: {:?}", shown(&health));
    proxy.set(NetworkFault::None);
    // Half of the deadline passes before the check opens a new connection.
    let health = checked_within(secs(10), check(proxy.port())).await;
    proxy.set(NetworkFault::HalfOpen);
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "half-open: {:?}", shown(&health));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_a_timeout_and_leaks_no_connection() {
    let server = Server::start_open(&[]);
    let health = checked_within(secs(1), check(server.port())).await;
    turns(&health, Status::Healthy, None).await;
    server.freeze();
    for _ in 0..3 {
        assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Timeout)));
    }
    server.thaw();
    turns(&health, Status::Healthy, None).await;
    wait::true_of("only one connection is left", || port::connections_to(server.port()) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_unreachable_until_it_is_back() {
    let mut server = Server::start_open(&[]);
    let health = checked(check(server.port())).await;
    for _ in 0..2 {
        turns(&health, Status::Healthy, None).await;
        server.kill();
        turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
        server.run();
    }
    turns(&health, Status::Healthy, None).await;
}

/// The server also counts some of its own descriptors, so it is full before it has this number of clients.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_saturated() {
    let server = Server::start_open(&["-c", "64"]);
    let held: Vec<TcpStream> = (0..70).map_while(|_| TcpStream::connect(port::local(server.port())).ok()).collect();
    let health = checked(check(server.port())).await;
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    drop(held);
    turns(&health, Status::Healthy, None).await;
}

#[test]
fn an_invalid_address_is_refused() {
    for address in ["", "cache", "cache:", ":11211", "cache:0"] {
        assert!(invalid(Memcached::new(address)).contains("a host and a port"), "{address}");
    }
}
