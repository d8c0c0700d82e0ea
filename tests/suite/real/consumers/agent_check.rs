//! The agent check, read by HAProxy itself.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpStream},
    process::Command,
};

use health_core::{AgentCheck, CheckExt as _, Endpoint, Health, Toggle};
use health_tests::{
    haproxy::Haproxy,
    mount::{Form, Framework, serve},
    port,
    support::secs,
    tools::{deploy, needs, said},
    wait,
};
use tokio::task::block_in_place;

/// Returns the line that an agent sends.
fn line(agent: SocketAddr) -> String {
    let mut text = String::new();
    block_in_place(|| TcpStream::connect(agent).unwrap().read_to_string(&mut text)).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_follows_the_agent_through_up_half_weight_down_and_drain() {
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
    assert_eq!(line(address), "ready down #database maintenance, cache maintenance\n");
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
    // The agent's port closes when the service stops.
    wait::true_of("the agent's port is closed", || TcpStream::connect(address).is_err()).await;
}

#[test]
fn haproxy_accepts_the_example_configuration() {
    needs("haproxy");
    let mut haproxy = Command::new("haproxy");
    let (code, text) = said(haproxy.args(["-c", "-f"]).arg(deploy("haproxy/haproxy.cfg")), b"");
    assert!(code == Some(0) && !text.contains("WARNING") && !text.contains("ALERT"), "{text}");
}
