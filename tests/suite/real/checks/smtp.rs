//! The `Smtp` check against a real server, beyond the table of faults.

use health_core::{Reason, Smtp, Status};
use health_tests::{
    daemon::Server as _,
    port,
    proxy::{NetworkFault, Proxy},
    smtp::{PASSWORD, Server, transport},
    support::{checked, checked_within, rerun, secs, shown, turns, verdict},
    wait,
};
use lettre::{AsyncTransport as _, address::Envelope};

#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_kept_in_the_pool() {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let health = checked(Smtp::new(transport(proxy.port(), PASSWORD))).await;
    for _ in 0..4 {
        // lettre returns a connection to its pool in a task of its own.
        wait::true_of("one open connection", || port::connections_to(proxy.port()) == 1).await;
        assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
    }
    assert!(proxy.traffic().connections <= 2, "the runs do not share a session");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_reason() {
    let server = Server::start();
    let reason = async |port, password| {
        let health = checked(Smtp::new(transport(port, password))).await;
        assert_eq!(shown(&health).status(), Status::Unhealthy);
        shown(&health).reason()
    };
    assert_eq!(reason(server.port(), "wrong").await, Some(Reason::Rejected));
    assert_eq!(reason(1, PASSWORD).await, Some(Reason::Unreachable));
    server.set_limit(0);
    assert_eq!(reason(server.port(), PASSWORD).await, Some(Reason::Saturated));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_died_in_the_pool_is_no_outage() {
    let mut server = Server::start();
    let proxy = Proxy::before(server.port());
    let health = checked(Smtp::new(transport(proxy.port(), PASSWORD))).await;
    server.stop();
    server.run();
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "closed by a restart: {:?}", shown(&health));
    proxy.set(NetworkFault::CloseOnRequest);
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "closed on request: {:?}", shown(&health));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_unreachable_until_it_is_back() {
    let mut server = Server::start();
    let health = checked(Smtp::new(transport(server.port(), PASSWORD))).await;
    for _ in 0..2 {
        turns(&health, Status::Healthy, None).await;
        server.kill();
        turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
        server.run();
    }
    turns(&health, Status::Healthy, None).await;
}

/// A connection with a pending answer must not be the next one that the application gets.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_a_timeout_and_the_next_message_is_sent_in_order() {
    let server = Server::start();
    let mailer = transport(server.port(), PASSWORD);
    let health = checked_within(secs(1), Smtp::new(mailer.clone())).await;
    turns(&health, Status::Healthy, None).await;
    server.freeze();
    for _ in 0..4 {
        assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Timeout)));
    }
    server.thaw();
    turns(&health, Status::Healthy, None).await;
    let address = |text: &str| text.parse().expect("an address");
    let envelope = Envelope::new(Some(address("app@mail.test")), vec![address("user@mail.test")]).unwrap();
    let response = mailer.send_raw(&envelope, b"Subject: x\r\n\r\nx").await.unwrap();
    assert!(response.has_code(250), "{response:?}");
    wait::true_of("at most two connections are open", || port::connections_to(server.port()) <= 2).await;
}
