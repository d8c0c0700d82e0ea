//! The `Nats` check against a real server, beyond the table of faults.

use health_core::{Health, Nats, Reason, Status};
use health_tests::{
    daemon::Server as _,
    nats::{PASSWORD, Server, client},
    support::{checked, checked_within, invalid, rerun, secs, shown, verdict},
    wait,
};
use tokio_stream::StreamExt as _;

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_a_timeout_although_the_client_says_connected() {
    let server = Server::start();
    let client = client(server.port(), PASSWORD).await;
    client.flush().await.unwrap();
    let health = checked_within(secs(1), Nats::new(client.clone())).await;
    let subject = checked(Nats::new(client.clone()).subject("health.ping")).await;
    assert_eq!(rerun(&subject).await.status(), Status::Healthy, "{:?}", shown(&subject));
    turns_healthy(&health).await;
    server.freeze();
    assert_eq!(client.connection_state(), async_nats::connection::State::Connected);
    client.flush().await.expect("the kernel buffers the data");
    assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Timeout)));
    server.thaw();
    turns_healthy(&health).await;
}

/// A debugging client that subscribes to every subject is no outage.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_to_every_subject_does_not_disturb_the_check() {
    let server = Server::start();
    let own = client(server.port(), PASSWORD).await;
    own.flush().await.unwrap();
    let health = checked_within(secs(5), Nats::new(own.clone())).await;
    let subject = checked_within(secs(5), Nats::new(own).subject("health.ping")).await;
    let monitor = client(server.port(), PASSWORD).await;
    for listened in [">", "_INBOX.>", "health.>"] {
        let mut listener = monitor.subscribe(listened).await.unwrap();
        monitor.flush().await.unwrap();
        wait::done("the subscription", async || {
            // A client that receives its own message has a subscription that the server knows.
            monitor.publish(listened.replace('>', "probe"), "".into()).await.unwrap();
            tokio::time::timeout(secs(1), listener.next()).await.map(drop)
        })
        .await;
        assert_eq!(rerun(&health).await.status(), Status::Healthy, "{listened}: {:?}", shown(&health));
        assert_eq!(rerun(&subject).await.status(), Status::Healthy, "{listened}: {:?}", shown(&subject));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_no_echo_is_healthy() {
    let server = Server::start();
    let options = async_nats::ConnectOptions::with_user_and_password("app".to_owned(), PASSWORD.to_owned()).no_echo();
    let own = options.connect(format!("127.0.0.1:{}", server.port())).await.unwrap();
    let health = checked_within(secs(5), Nats::new(own)).await;
    turns_healthy(&health).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_the_right_to_publish_gets_a_hint_in_the_message() {
    let server = Server::start_restricted("publish: \"health.ping\", subscribe: \">\"");
    let own = client(server.port(), PASSWORD).await;
    own.flush().await.unwrap();
    let health = checked_within(secs(1), Nats::new(own.clone())).await;
    let report = rerun(&health).await;
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Timeout)));
    assert!(report.message().unwrap().contains("has no right to the subject"), "{report:?}");
    let subject = checked(Nats::new(own).subject("health.ping")).await;
    assert_eq!(rerun(&subject).await.status(), Status::Healthy, "{:?}", shown(&subject));
}

/// Waits until the check is healthy. A slow machine may need more than one run of one second.
async fn turns_healthy(health: &Health) {
    wait::done("healthy", async || match rerun(health).await.status() {
        Status::Healthy => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test]
async fn a_client_that_never_connected_is_unreachable_and_bad_subjects_are_refused() {
    let client = client(1, PASSWORD).await;
    let report = shown(&checked(Nats::new(client.clone())).await);
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Unreachable)));
    for subject in ["", "a.>", "a.*", "a b"] {
        assert!(invalid(Nats::new(client.clone()).subject(subject)).contains("cannot be published to"), "{subject:?}");
    }
}
