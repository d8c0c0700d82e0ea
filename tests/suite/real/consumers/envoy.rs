//! Envoy in front of two instances, with the file of `examples/deploy`. Envoy follows readiness, degradation and drain,
//! and no request is lost.

use std::process::Command;

use health_core::{CheckExt as _, Endpoint, Health, Toggle};
use health_tests::{
    envoy::Envoy,
    http,
    mount::{APPLICATION, Form, Framework, Server, serve},
    port, program,
    support::secs,
    tools::{deploy, said},
};
use nix::sys::signal::Signal;
use tokio::task::block_in_place;

use crate::operations::rolling_restart::{Load, MANY, start};

struct Instance {
    health: Health,
    database: Toggle,
    cache: Toggle,
    server: Server,
}

impl Instance {
    async fn start(framework: Framework) -> Self {
        let (database, cache) = (Toggle::new(), Toggle::new());
        let builder = Health::builder().check("database", database.check());
        let health = builder.check("cache", cache.check().optional()).start().unwrap();
        assert!(health.ready().await);
        let endpoint = Endpoint::new(health.clone()).envoy_headers(true);
        Self { health, database, cache, server: serve(framework, Form::Middleware, endpoint) }
    }

    async fn refresh(&self) {
        for check in ["database", "cache"] {
            self.health.refresh(check).await.unwrap();
        }
    }
}

fn thinks(envoy: &Envoy, instance: &Instance, flags: &str) {
    block_in_place(|| envoy.thinks(instance.server.address, flags));
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_follows_an_instance_through_up_degraded_down_and_drain() {
    assert!(deploy("envoy/envoy.yaml").is_file());
    let (a, b) = (Instance::start(Framework::Axum).await, Instance::start(Framework::Actix).await);
    let envoy = block_in_place(|| Envoy::before(a.server.address, b.server.address, "0.1s"));
    thinks(&envoy, &a, "healthy");
    thinks(&envoy, &b, "healthy");
    for path in ["/health", "/livez", "/readyz/database", "/health/metrics"] {
        assert_eq!(block_in_place(|| http::get(envoy.address, path, &[])).status, 404, "{path}");
    }
    assert_eq!(block_in_place(|| http::get(envoy.address, "/healthy", &[])).status, APPLICATION);
    // Envoy answers HTTP/1.0 with 426 by default.
    let (code, text) = block_in_place(|| {
        let mut probe = Command::new(program::built().join("health-probe"));
        let url = format!("http://{}/healthy", envoy.address);
        said(probe.args(["-t", "180s", "--expect", &APPLICATION.to_string(), &url]), b"")
    });
    assert_eq!(code, Some(0), "{text}");

    a.cache.unhealthy("maintenance");
    a.refresh().await;
    thinks(&envoy, &a, "/degraded_active_hc");
    a.cache.healthy();
    a.refresh().await;
    thinks(&envoy, &a, "healthy");
    a.database.unhealthy("maintenance");
    a.refresh().await;
    thinks(&envoy, &a, "/failed_active_hc");
    a.database.healthy();
    a.refresh().await;
    thinks(&envoy, &a, "healthy");

    // This Envoy probes readiness once a minute, so it learns of the drain only from the application's answers.
    let envoy = block_in_place(|| Envoy::before(a.server.address, b.server.address, "60s"));
    thinks(&envoy, &a, "healthy");
    thinks(&envoy, &b, "healthy");
    let _draining = a.health.drain(secs(30));
    block_in_place(|| (0..10).for_each(|_| drop(http::get(envoy.address, "/", &[]))));
    thinks(&envoy, &a, "/failed_active_hc/excluded_via_immediate_hc_fail");
    thinks(&envoy, &b, "healthy");
}

#[test]
fn no_request_is_lost_behind_envoy_during_a_rolling_restart() {
    let addresses = [port::free(), port::free()].map(port::local);
    let mut instances = addresses.map(|address| start("axum", "1", address));
    let envoy = Envoy::before(addresses[0], addresses[1], "0.1s");
    addresses.iter().for_each(|address| envoy.thinks(*address, "healthy"));
    let load = Load::on(envoy.address.port(), MANY);
    for which in [0, 1, 0, 1] {
        let instance = &mut instances[which];
        instance.process.signal(Signal::SIGTERM);
        assert!(instance.process.ended().success());
        *instance = start("axum", "1", addresses[which]);
        envoy.thinks(addresses[which], "healthy");
    }
    // The last instance is killed without a drain. Envoy retries its requests on the other one.
    let [killed, _left] = instances;
    drop(killed);
    envoy.thinks(addresses[0], "/failed_active_hc");
    load.goes_on();
    let (asked, failed) = load.stop();
    println!("envoy: {failed} of {asked} requests failed");
    assert!(asked > MANY && failed == 0, "{failed} of {asked} requests failed");
}
