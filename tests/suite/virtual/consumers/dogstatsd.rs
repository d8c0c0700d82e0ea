//! Service checks of DogStatsD on the sockets of the test and on the paused clock: a datagram has arrived when the
//! clock moves.

use std::{io, net::UdpSocket, os::unix::net::UnixDatagram, time::Duration};

use health_core::{CheckExt as _, Dogstatsd, Health, Toggle, check_fn};
use health_tests::{
    port,
    support::{millis, runs, secs},
};
use tokio::time::sleep;

/// Returns every datagram that has arrived.
fn received(mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>) -> Vec<String> {
    let mut bytes = [0; 8192];
    std::iter::from_fn(|| receive(&mut bytes).ok().map(|length| String::from_utf8_lossy(&bytes[..length]).into_owned()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_change_is_sent_at_once_and_a_deploy_sends_nothing() {
    let agent = UdpSocket::bind(port::local(0)).unwrap();
    agent.set_nonblocking(true).unwrap();
    let toggle = Toggle::new();
    let health = Health::builder().check("switch", toggle.check().every(millis(100))).start().unwrap();
    assert!(health.ready().await);
    let told = async || {
        sleep(millis(1)).await;
        received(|bytes| agent.recv(bytes))
    };
    health.publish(Dogstatsd::udp(agent.local_addr().unwrap()).unwrap());
    assert_eq!(told().await.len(), 2);
    toggle.unhealthy("moved by password=hunter2");
    health.refresh("switch").await.unwrap();
    let bad = told().await;
    assert!(
        bad.iter().any(|it| it.starts_with("_sc|health.check.status|2|") && it.contains("check:switch")),
        "{bad:?}"
    );
    assert!(bad.iter().any(|it| it.starts_with("_sc|health.status|2|")), "{bad:?}");
    assert!(bad.iter().all(|it| !it.contains("moved") && !it.contains("hunter2")), "{bad:?}");
    toggle.healthy();
    health.refresh("switch").await.unwrap();
    let good = told().await;
    assert!(good.iter().any(|it| it.starts_with("_sc|health.status|0|")), "{good:?}");
    // Draining and stopping send nothing.
    health.drain(Duration::ZERO).await;
    health.stop().await;
    assert_eq!(told().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_absent_or_hanging_agent_does_not_delay_the_checks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dsd.socket");
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) }).every(millis(50))).start().unwrap();
    assert!(health.ready().await);
    let publish = || health.publish(Dogstatsd::unix(&path).unwrap().every(secs(1)));
    publish();
    // Nothing listens on that path or on this port.
    health.publish(Dogstatsd::udp(port::local(port::free())).unwrap().every(secs(1)));
    sleep(millis(200)).await;
    // This agent reads nothing, so its buffer is full after a few datagrams.
    let hangs = UnixDatagram::bind(&path).unwrap();
    hangs.set_nonblocking(true).unwrap();
    (0..500).for_each(|_| publish());
    sleep(secs(1)).await;
    let before = runs(&health);
    sleep(secs(1)).await;
    assert!(runs(&health) - before >= 15, "{} runs in a second at an interval of 50 ms", runs(&health) - before);
    // The agent reads again, and then it receives again.
    assert!(!received(|bytes| hangs.recv(bytes)).is_empty());
    sleep(secs(2)).await;
    let again = received(|bytes| hangs.recv(bytes));
    assert!(!again.is_empty() && again.iter().all(|it| it.starts_with("_sc|health.")), "{again:?}");
    health.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_is_sent_in_place_of_its_members() {
    let agent = UdpSocket::bind(port::local(0)).unwrap();
    agent.set_nonblocking(true).unwrap();
    let toggle = Toggle::new();
    let health = Health::builder()
        .group("lanes")
        .check("lane-0", check_fn(|| async { Ok(()) }).tag("lanes"))
        .check("lane-1", toggle.check().tag("lanes"))
        .start()
        .unwrap();
    assert!(health.ready().await);
    let told = async || {
        sleep(millis(1)).await;
        received(|bytes| agent.recv(bytes))
    };
    health.publish(Dogstatsd::udp(agent.local_addr().unwrap()).unwrap());
    let first = told().await;
    assert!(
        first.iter().any(|it| it.starts_with("_sc|health.group.status|0|") && it.contains("group:lanes")),
        "{first:?}"
    );
    assert_eq!(first.len(), 2, "{first:?}");
    toggle.unhealthy("moved");
    health.refresh("lane-1").await.unwrap();
    let bad = told().await;
    let group = bad.iter().find(|it| it.starts_with("_sc|health.group.status|2|")).unwrap();
    assert!(group.contains("group:lanes") && group.ends_with("|m:maintenance, 1 of 2\n"), "{group}");
    assert!(bad.iter().all(|it| !it.contains("check:")), "{bad:?}");
    health.stop().await;
}
