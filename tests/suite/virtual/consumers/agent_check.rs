//! The answers of `AgentCheck` to HAProxy, over connections within this process while Tokio's clock is held.

use std::net::SocketAddr;

use health_core::{AgentCheck, CheckExt as _, Health, Outcome, Reason, Toggle, check_fn};
use health_tests::{
    port,
    support::{StandingClock, secs},
    wait,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

fn agent(health: &Health) -> SocketAddr {
    let agent = AgentCheck::bind(port::local(0)).unwrap().degraded_weight(50);
    let address = agent.local_addr().unwrap();
    health.publish(agent);
    address
}

/// Connects to the agent, sends the bytes and returns the answer.
async fn line(agent: SocketAddr, sent: &[u8]) -> String {
    let mut client = TcpStream::connect(agent).await.unwrap();
    client.write_all(sent).await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(start_paused = true)]
async fn every_status_has_its_line() {
    let clock = StandingClock::hold();
    let (database, cache) = (Toggle::new(), Toggle::new());
    let builder = Health::builder().check("database", database.check());
    let health = builder.check("cache", cache.check().optional()).start().unwrap();
    assert!(health.ready().await);
    let agent = agent(&health);
    assert_eq!(line(agent, b"").await, "ready up 100%\n");
    cache.unhealthy("maintenance");
    health.refresh("cache").await.unwrap();
    assert_eq!(line(agent, b"").await, "ready up 50%\n");
    database.unhealthy("maintenance");
    health.refresh("database").await.unwrap();
    assert_eq!(line(agent, b"").await, "ready down #database maintenance, cache maintenance\n");
    drop(health.drain(secs(30)));
    assert_eq!(line(agent, b"").await, "drain up\n");
    // A stopped service no longer listens.
    drop(clock);
    health.stop().await;
    assert!(TcpStream::connect(agent).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_description_is_one_short_line_and_idle_clients_delay_no_other() {
    let _clock = StandingClock::hold();
    let bad = || async { Ok(Outcome::unhealthy("x\ny").reason(Reason::Unreachable)) };
    let named = |builder: health_core::Builder, number| builder.check(format!("another-check-{number}"), check_fn(bad));
    let health = (0..30).fold(Health::builder(), named).start().unwrap();
    health.refresh("another-check-29").await.unwrap();
    let agent = agent(&health);
    // 100 clients that neither send nor read.
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(agent).await.unwrap());
    }
    let text = line(agent, b"").await;
    assert!(text.starts_with("ready down #") && text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
    assert!(text.len() < 100 && text.matches('#').count() == 1, "{text:?}");
    drop(idle);
}

#[tokio::test(start_paused = true)]
async fn the_description_names_a_root_cause_outside_of_readiness() {
    let clock = StandingClock::hold();
    let hidden = check_fn(|| async { Ok(Outcome::unhealthy("x").reason(Reason::Rejected)) }).report_only();
    let shown = check_fn(|| async { Ok(()) }).depends_on("hidden");
    let health = Health::builder().check("hidden", hidden).check("shown", shown).start().unwrap();
    health.refresh("hidden").await.unwrap();
    let first = agent(&health);
    // The agent reads the text that HAProxy's `agent-send` sends.
    assert_eq!(line(first, b"who are you\n").await, "ready down #hidden\n");
    drop(clock);
    health.stop().await;
    // An agent that is published after the stop ends, too.
    let late = agent(&health);
    wait::done("the agent stops listening", async || match TcpStream::connect(late).await {
        Ok(_) => Err("the agent still listens"),
        Err(_) => Ok(()),
    })
    .await;
    assert!(health.subscribe().next().await.is_none());
}
