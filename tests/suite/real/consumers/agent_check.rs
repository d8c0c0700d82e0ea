//! HAProxy's `agent-check`, followed by HAProxy itself.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpStream},
    process::Command,
};

use health_core::{AgentCheck, CheckExt as _, Endpoint, Health, Lifecycle, Outcome, Reason, Toggle, check_fn};
use health_tests::{
    haproxy::Haproxy,
    mount::{Form, Framework, serve},
    port,
    support::secs,
    tools::{deploy, said},
    wait,
};
use tokio::task::block_in_place;

/// What an agent says.
fn line(agent: SocketAddr) -> String {
    let mut text = String::new();
    block_in_place(|| TcpStream::connect(agent).unwrap().read_to_string(&mut text)).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_follows_through_up_down_half_and_drain() {
    let (database, cache) = (Toggle::new(), Toggle::new());
    let health =
        Health::builder().check("database", database.check()).check("cache", cache.check().optional()).start().unwrap();
    assert!(health.ready().await);
    let agent = AgentCheck::bind(port::local(0)).unwrap().degraded_weight(50);
    let address = agent.local_addr().unwrap();
    health.publish(agent);
    let server = serve(Framework::Axum, Form::Routes, Endpoint::from(health.clone()));
    let proxy = block_in_place(|| Haproxy::with_agent(server.address.port(), address.port()));
    let follows =
        |state: &'static str, weight: &'static str| block_in_place(|| proxy.waits_for_weight("a", state, weight));
    follows("UP", "100");
    assert_eq!(line(address), "ready up 100%\n");

    cache.unhealthy("maintenance");
    health.refresh("cache").await.unwrap();
    assert_eq!(line(address), "ready up 50%\n");
    follows("UP", "50");

    database.unhealthy("maintenance");
    health.refresh("database").await.unwrap();
    assert_eq!(line(address), "ready down #database failed, cache failed\n");
    follows("DOWN", "50");

    cache.healthy();
    database.healthy();
    for check in ["cache", "database"] {
        health.refresh(check).await.unwrap();
    }
    follows("UP", "100");
    let draining = tokio::spawn({
        let health = health.clone();
        async move { health.drain(secs(30)).await }
    });
    wait::done("a drain", async || match line(address).as_str() {
        "drain up\n" => Ok(()),
        other => Err(other.to_owned()),
    })
    .await;
    follows("DRAIN", "100");
    health.stop().await;
    draining.abort();
    // Nobody speaks for what has stopped.
    wait::true_of("nobody listens", || TcpStream::connect(address).is_err()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_is_one_plain_short_line_and_who_hangs_is_alone() {
    let bad = || async { Ok(Outcome::unhealthy("x\ny").reason(Reason::Unreachable)) };
    let mut builder = Health::builder();
    for number in 0..30 {
        builder = builder.check(format!("another-check-{number}"), check_fn(bad));
    }
    let health = builder.start().unwrap();
    wait::true_of("the service has started", || health.report().lifecycle == Lifecycle::Ready).await;
    let agent = AgentCheck::bind(port::local(0)).unwrap();
    let address = agent.local_addr().unwrap();
    health.publish(agent);
    // A hundred clients that read nothing.
    let idle: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    let text = line(address);
    assert!(text.starts_with("ready down #") && text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
    assert!(text.len() < 100 && text.matches('#').count() == 1, "{text:?}");
    drop(idle);
    health.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cause_may_be_a_check_that_does_not_count_itself() {
    let hidden = check_fn(|| async { Ok(Outcome::unhealthy("x").reason(Reason::Rejected)) }).report_only();
    let shown = check_fn(|| async { Ok(()) }).depends_on("hidden");
    let health = Health::builder().check("hidden", hidden).check("shown", shown).start().unwrap();
    // Until then it would say, rightly, that it is starting.
    wait::true_of("the service has started", || health.report().lifecycle == Lifecycle::Ready).await;
    let agent = AgentCheck::bind(port::local(0)).unwrap();
    let address = agent.local_addr().unwrap();
    health.publish(agent);
    // What `agent-send` sends is read.
    let answer = block_in_place(|| {
        let mut client = TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut client, b"who are you\n").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(answer, "ready down #hidden\n");
    health.stop().await;
    // Who begins after the end is told so, too.
    let late = AgentCheck::bind(port::local(0)).unwrap();
    let address = late.local_addr().unwrap();
    health.publish(late);
    wait::true_of("nobody listens", || TcpStream::connect(address).is_err()).await;
    assert!(health.subscribe().next().await.is_none());
}

#[test]
fn haproxy_accepts_its_file() {
    let mut haproxy = Command::new("/usr/sbin/haproxy");
    let (code, text) = said(haproxy.args(["-c", "-f"]).arg(deploy("haproxy/haproxy.cfg")), b"");
    assert!(code == Some(0) && !text.contains("WARNING") && !text.contains("ALERT"), "{text}");
}
