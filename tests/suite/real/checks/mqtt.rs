//! The `Mqtt` check against a real broker, beyond the table of faults.

use health_core::{Health, Mqtt, Reason, Status};
use health_tests::{
    daemon::Server as _,
    mosquitto::{Application, PASSWORD, QUEUE, Server},
    port,
    proxy::{NetworkFault, Proxy},
    support::{checked, checked_within, millis, rerun, secs, shown, turns, verdict},
    wait,
};
use rumqttc::{AsyncClient, ConnAck, ConnectReturnCode, Event, MqttOptions, Packet, QoS};

/// The topic of a request, which identifies it in the traffic.
const QUESTION: &[u8] = b"health/never-subscribed";

/// The user of the tests has no right on any topic.
#[tokio::test(flavor = "multi_thread")]
async fn clients_of_both_versions_are_healthy_without_a_right_on_any_topic() {
    let server = Server::start();
    let v4 = checked(Application::start(server.port(), PASSWORD)).await;
    let v5 = checked(Application::start_v5(server.port(), PASSWORD)).await;
    for health in [&v4, &v5] {
        assert_eq!(rerun(health).await.status(), Status::Healthy, "{:?}", shown(health));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_rejected_and_a_closed_port_unreachable() {
    let server = Server::start();
    for (health, expected) in [
        (checked(Application::start(server.port(), "wrong")).await, Reason::Rejected),
        (checked(Application::start_v5(server.port(), "wrong")).await, Reason::Rejected),
        (checked(Application::start(1, PASSWORD)).await, Reason::Unreachable),
        (checked(Application::start_v5(1, PASSWORD)).await, Reason::Unreachable),
    ] {
        assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(expected)), "{:?}", shown(&health));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_is_a_timeout_and_only_one_request_is_pending() {
    let server = Server::start();
    let proxy = Proxy::before(server.port());
    let health = checked_within(millis(300), Application::start(proxy.port(), PASSWORD)).await;
    turns(&health, Status::Healthy, None).await;
    let _ = proxy.traffic();
    proxy.set(NetworkFault::BlackHole);
    for _ in 0..8 {
        assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Timeout)));
    }
    proxy.set(NetworkFault::None);
    let mut runs = 0;
    wait::done("healthy", async || {
        runs += 1;
        match rerun(&health).await.status() {
            Status::Healthy => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let sent = proxy.traffic().sent.concat();
    let questions = sent.windows(QUESTION.len()).filter(|window| *window == QUESTION).count();
    assert!(questions <= runs + 2, "{questions} requests in {runs} runs after the fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_queued_while_the_client_is_disconnected() {
    let mut server = Server::start();
    let (application, client) = Application::with_client(server.port(), PASSWORD);
    let health = checked(application).await;
    turns(&health, Status::Healthy, None).await;
    server.kill();
    // A run before the client has noticed the loss may still put a request into the queue.
    wait::until("the client has closed its connection", || port::connections_to(server.port()) == 0);
    turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
    for _ in 0..QUEUE * 2 {
        assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Unreachable)));
    }
    for number in 0..QUEUE {
        client
            .try_publish("orders", QoS::AtMostOnce, false, "x")
            .unwrap_or_else(|_| panic!("no room in the queue for message {number}"));
    }
    server.run();
    turns(&health, Status::Healthy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_restarts_is_healthy_again() {
    let mut server = Server::start();
    let health = checked(Application::start_v5(server.port(), PASSWORD)).await;
    for _ in 0..2 {
        turns(&health, Status::Healthy, None).await;
        server.stop();
        turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
        server.run();
    }
    turns(&health, Status::Healthy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_loop_that_is_no_longer_polled_is_reported() {
    let server = Server::start();
    let application = Application::start(server.port(), PASSWORD);
    let polling = application.polling();
    let health = checked(application).await;
    turns(&health, Status::Healthy, None).await;
    polling.abort();
    turns(&health, Status::Unhealthy, Some(Reason::Failed)).await;
    assert!(shown(&health).message().unwrap().contains("the task that polls it has ended"), "{:?}", shown(&health));
}

/// No task polls the event loop here. The check sees only the results that the observer gets.
#[tokio::test]
async fn an_observer_without_results_is_a_timeout_and_a_full_queue_is_saturated() {
    let queue_of_one = || AsyncClient::new(MqttOptions::new("app", "127.0.0.1", 1), 1);
    let (client, _event_loop) = queue_of_one();
    let (mqtt, _observer) = Mqtt::new(client);
    let health = checked_quickly(mqtt).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Timeout)));
    assert!(shown(&health).message().unwrap().contains("pass each result"), "{:?}", shown(&health));

    let (client, _event_loop) = queue_of_one();
    client.try_publish("orders", QoS::AtMostOnce, false, "x").unwrap();
    let (mqtt, observer) = Mqtt::new(client);
    let accepted = ConnAck::new(ConnectReturnCode::Success, false);
    observer.observe(&Ok(Event::Incoming(Packet::ConnAck(accepted))));
    let health = checked_quickly(mqtt).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Saturated)));
}

/// Runs a check that is expected to time out.
async fn checked_quickly(mqtt: Mqtt) -> Health {
    checked_within(secs(1), mqtt).await
}
