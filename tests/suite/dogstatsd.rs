//! Service checks of DogStatsD: the same datagrams as Datadog's own client sends, and no agent is needed for anything.

use std::{
    net::UdpSocket,
    os::unix::net::UnixDatagram,
    time::{Duration, Instant, UNIX_EPOCH},
};

use health_core::{CheckExt as _, Dogstatsd, Health, Outcome, Reason, Status, Toggle, Visibility, check_fn};
use health_tests::{
    datadog_agent::DatadogAgent,
    port,
    tools::{consumer, said},
};
use serde_json::json;
use tokio::task::block_in_place;

use crate::support::{millis, secs};

fn receive(socket: &UdpSocket) -> String {
    let mut bytes = [0; 8192];
    socket.set_read_timeout(Some(secs(5))).unwrap();
    let length = block_in_place(|| socket.recv(&mut bytes)).expect("a datagram");
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

/// Everything that comes within a moment.
fn drain(socket: &UdpSocket) -> Vec<String> {
    let mut datagrams = vec![receive(socket)];
    let began = Instant::now();
    let mut bytes = [0; 8192];
    socket.set_read_timeout(Some(millis(200))).unwrap();
    while began.elapsed() < secs(3) {
        match block_in_place(|| socket.recv(&mut bytes)) {
            Ok(length) => datagrams.push(String::from_utf8(bytes[..length].to_vec()).unwrap()),
            Err(_) => break,
        }
    }
    datagrams
}

/// What a datagram says, as Datadog's client takes it: its fields, split as the agent splits them.
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
#[ignore = "needs Datadog's client for Python: tests/run"]
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
    unix.set_read_timeout(Some(secs(5))).unwrap();
    let over_unix = || {
        let mut bytes = [0; 8192];
        let length = block_in_place(|| unix.recv(&mut bytes)).expect("a datagram");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let full = |to: Dogstatsd| to.tag("env:pro,d").hostname("a-host").visibility(Visibility::Full);
    health.publish(full(Dogstatsd::udp(agent.local_addr().unwrap()).unwrap()));
    let ours = drain(&agent);
    health.publish(full(Dogstatsd::unix(&path).unwrap()));
    assert_eq!(ours.len(), 4, "{ours:#?}");
    assert!(ours[0].starts_with("_sc|health.status|2|d:"), "{ours:#?}");
    assert!(ours[0].ends_with("|h:a-host|#service:orders___east__x,env:pro_d|m:database rejected\n"), "{ours:#?}");
    assert!(ours[1].contains("|#check:database,service:"), "{ours:#?}");
    assert!(ours[1].ends_with("|m:rejected: m\\: first / 'second' third ü\n"), "{ours:#?}");
    assert!(ours[3].starts_with("_sc|health.check.status|0|") && !ours[3].contains("|m:"), "{ours:#?}");
    for datagram in &ours {
        assert_eq!(without_its_time(&over_unix()), without_its_time(datagram));
    }
    health.stop().await;
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Datadog Agent: tests/run"]
async fn the_datadog_agent_sends_on_what_it_is_told() {
    let agent = block_in_place(|| DatadogAgent::start(&[]));
    let database = Toggle::new();
    let slow = || async { Ok(Outcome::degraded("m: first | 'second'\nthird ü")) };
    let health = Health::builder()
        .service("orders")
        .check("database", database.check())
        .check("cache", check_fn(slow).optional())
        .start()
        .unwrap();
    assert!(health.ready().await);
    database.unhealthy("maintenance");
    health.refresh("database").await.unwrap();
    let to = Dogstatsd::unix(&agent.socket).unwrap().tag("env:production").hostname("a-host");
    health.publish(to.visibility(Visibility::Full));
    let sends_on = |name: &str, status: u8, tags: &[&str], message: &str| {
        let began = Instant::now();
        let mut tags = [tags, &["service:orders", "env:production"]].concat();
        tags.sort_unstable();
        let wanted = json!({
            "check": name,
            "host_name": "a-host",
            "status": status,
            "message": message,
            "tags": tags,
        });
        loop {
            let mut sent = block_in_place(|| agent.service_check());
            let at = sent.as_object_mut().unwrap().remove("timestamp").unwrap().as_u64().unwrap();
            let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
            assert!((now - 60..=now).contains(&at), "{at} at {now}");
            if sent == wanted {
                break;
            }
            assert!(began.elapsed() < secs(40), "{sent}, not {wanted}");
        }
    };
    sends_on("health.status", 2, &[], "database failed");
    sends_on("health.check.status", 2, &["check:database"], "failed: maintenance");
    sends_on("health.check.status", 1, &["check:cache"], "failed: m\\: first / 'second' third ü");
    database.healthy();
    health.refresh("database").await.unwrap();
    sends_on("health.status", 1, &[], "cache failed");
    sends_on("health.check.status", 0, &["check:database"], "");
    health.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_at_once_and_a_deploy_is_none() {
    let agent = UdpSocket::bind(port::local(0)).unwrap();
    let toggle = Toggle::new();
    let health = Health::builder().check("switch", toggle.check().every(millis(100))).start().unwrap();
    assert!(health.ready().await);
    health.publish(Dogstatsd::udp(agent.local_addr().unwrap()).unwrap());
    assert_eq!(drain(&agent).len(), 2);
    toggle.unhealthy("maintenance by password=hunter2");
    health.refresh("switch").await.unwrap();
    let bad = drain(&agent);
    assert!(
        bad.iter().any(|it| it.starts_with("_sc|health.check.status|2|") && it.contains("check:switch")),
        "{bad:?}"
    );
    assert!(bad.iter().any(|it| it.starts_with("_sc|health.status|2|")), "{bad:?}");
    assert!(bad.iter().all(|it| !it.contains("maintenance") && !it.contains("hunter2")), "{bad:?}");
    toggle.healthy();
    health.refresh("switch").await.unwrap();
    let good = drain(&agent);
    assert!(good.iter().any(|it| it.starts_with("_sc|health.status|0|")), "{good:?}");
    // Draining and stopping tell nothing new.
    health.drain(Duration::ZERO).await;
    health.stop().await;
    agent.set_read_timeout(Some(millis(300))).unwrap();
    assert!(block_in_place(|| agent.recv(&mut [0; 100])).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_absent_or_hangs_touches_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dsd.socket");
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) }).every(millis(50))).start().unwrap();
    assert!(health.ready().await);
    let publish = || health.publish(Dogstatsd::unix(&path).unwrap().every(secs(1)));
    publish();
    // Nobody listens there, nor on this port.
    health.publish(Dogstatsd::udp(port::local(port::free())).unwrap().every(secs(1)));
    tokio::time::sleep(millis(200)).await;
    // One that reads nothing: its buffer is full after a few datagrams.
    let hangs = UnixDatagram::bind(&path).unwrap();
    (0..500).for_each(|_| publish());
    tokio::time::sleep(secs(1)).await;
    let runs = || health.report().checks[0].history.totals.runs[Status::Healthy as usize];
    let before = runs();
    tokio::time::sleep(secs(1)).await;
    assert!(runs() - before >= 8, "{} runs in a second", runs() - before);
    // It reads again, and is told again.
    hangs.set_nonblocking(true).unwrap();
    while hangs.recv(&mut [0; 8192]).is_ok() {}
    hangs.set_nonblocking(false).unwrap();
    hangs.set_read_timeout(Some(secs(3))).unwrap();
    let mut bytes = [0; 8192];
    let length = block_in_place(|| hangs.recv(&mut bytes)).unwrap();
    assert!(bytes[..length].starts_with(b"_sc|health."));
    health.stop().await;
}
