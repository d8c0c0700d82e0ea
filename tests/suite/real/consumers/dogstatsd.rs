//! Service checks for DogStatsD: Datadog's own client sends the same datagrams.

use std::{net::UdpSocket, os::unix::net::UnixDatagram};

use health_core::{CheckExt as _, Dogstatsd, Health, Outcome, Reason, Visibility, check_fn};
use health_tests::{
    port,
    tools::{consumer, said},
    wait::HANG,
};
use serde_json::json;
use tokio::task::block_in_place;

fn receive(socket: &UdpSocket) -> String {
    let mut bytes = [0; 8192];
    socket.set_read_timeout(Some(HANG)).unwrap();
    let length = block_in_place(|| socket.recv(&mut bytes)).expect("a datagram");
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

/// Returns the arguments with which Datadog's client sends the same datagram. Splits the fields as the Agent does.
fn arguments(datagram: &str) -> serde_json::Value {
    let mut fields = datagram.trim_end().split('|').skip(1);
    let (name, status) = (fields.next().unwrap(), fields.next().unwrap().parse::<u8>().unwrap());
    let mut call = json!({"check_name": name, "status": status});
    for field in fields {
        match field.split_once(':') {
            Some(("d", at)) => call["timestamp"] = json!(at.parse::<u64>().unwrap()),
            Some(("h", host)) => call["hostname"] = json!(host),
            Some(("m", message)) => call["message"] = json!(message.replace("m\\:", "m:").replace("\\n", "\n")),
            _ => call["tags"] = json!(field.strip_prefix('#').unwrap().split(',').collect::<Vec<_>>()),
        }
    }
    call
}

fn without_its_time(datagram: &str) -> String {
    datagram.split('|').filter(|field| !field.starts_with("d:")).collect::<Vec<_>>().join("|")
}

#[tokio::test(flavor = "multi_thread")]
async fn datadogs_own_client_sends_the_same_bytes() {
    let agent = UdpSocket::bind(port::local(0)).unwrap();
    let evil = || async { Ok(Outcome::unhealthy("m: first | 'second'\nthird ü").reason(Reason::Rejected)) };
    let health = Health::builder()
        .service("orders, \"east\"|x")
        .check("database", check_fn(evil))
        .check("cache", check_fn(|| async { Ok(Outcome::degraded("slow")) }).optional())
        .check("worker", check_fn(|| async { Ok(()) }))
        .start()
        .unwrap();
    health.refresh("database").await.unwrap();
    health.refresh("cache").await.unwrap();
    health.refresh("worker").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dsd.socket");
    let unix = UnixDatagram::bind(&path).unwrap();
    unix.set_read_timeout(Some(HANG)).unwrap();
    let over_unix = || {
        let mut bytes = [0; 8192];
        let length = block_in_place(|| unix.recv(&mut bytes)).expect("a datagram");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let full = |to: Dogstatsd| to.tag("env:pro,d").hostname("a-host").visibility(Visibility::Full);
    health.publish(full(Dogstatsd::udp(agent.local_addr().unwrap()).unwrap()));
    let ours: Vec<String> = (0..4).map(|_| receive(&agent)).collect();
    health.publish(full(Dogstatsd::unix(&path).unwrap()));
    assert!(ours[0].starts_with("_sc|health.status|2|d:"), "{ours:#?}");
    assert!(ours[0].ends_with("|h:a-host|#service:orders___east__x,env:pro_d|m:database rejected\n"), "{ours:#?}");
    assert!(ours[1].contains("|#check:database,service:"), "{ours:#?}");
    assert!(ours[1].ends_with("|m:rejected: m\\: first / 'second' third ü\n"), "{ours:#?}");
    assert!(ours[3].starts_with("_sc|health.check.status|0|") && !ours[3].contains("|m:"), "{ours:#?}");
    for datagram in &ours {
        assert_eq!(without_its_time(&over_unix()), without_its_time(datagram));
    }
    health.stop().await;
    agent.set_nonblocking(true).unwrap();
    assert!(agent.recv(&mut [0; 8192]).is_err(), "more than four datagrams");
    unix.set_nonblocking(true).unwrap();
    while unix.recv(&mut [0; 8192]).is_ok() {}
    unix.set_nonblocking(false).unwrap();

    let theirs = UdpSocket::bind(port::local(0)).unwrap();
    let calls: String = ours.iter().map(|datagram| arguments(datagram).to_string() + "\n").collect();
    let port = theirs.local_addr().unwrap().port().to_string();
    for agent in [port.as_str(), path.to_str().unwrap()] {
        let (code, text) = block_in_place(|| said(consumer("datadog_service_check.py").arg(agent), calls.as_bytes()));
        assert_eq!(code, Some(0), "{text}");
    }
    for datagram in &ours {
        assert_eq!((receive(&theirs), over_unix()), (datagram.clone(), datagram.clone()));
    }
}
