//! A Datadog Agent accepts the files of `examples/deploy` and forwards service checks. The Agent is built by a third
//! party: `tests/run --third-party` installs and runs it.

use std::{path::Path, time::UNIX_EPOCH};

use health_core::{CheckExt as _, Dogstatsd, Health, Outcome, Toggle, Visibility, check_fn};
use health_tests::{
    datadog_agent::DatadogAgent,
    tools::{changed, deploy},
    wait,
};
use serde_json::json;
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread")]
async fn the_datadog_agent_forwards_service_checks() {
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
        let mut tags = [tags, &["service:orders", "env:production"]].concat();
        tags.sort_unstable();
        let wanted = json!({
            "check": name,
            "host_name": "a-host",
            "status": status,
            "message": message,
            "tags": tags,
        });
        let is_it = || {
            let mut sent = block_in_place(|| agent.service_check());
            let at = sent.as_object_mut().unwrap().remove("timestamp").unwrap().as_u64().unwrap();
            let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
            assert!(at <= now, "{at} at {now}");
            if sent == wanted { Ok(()) } else { Err(sent) }
        };
        wait::equals(name, &Ok(()), is_it);
    };
    sends_on("health.status", 2, &[], "database maintenance");
    sends_on("health.check.status", 2, &["check:database"], "maintenance: maintenance");
    sends_on("health.check.status", 1, &["check:cache"], "failed: m\\: first / 'second' third ü");
    database.healthy();
    health.refresh("database").await.unwrap();
    sends_on("health.status", 1, &[], "cache failed");
    sends_on("health.check.status", 0, &["check:database"], "");
    health.stop().await;
}

/// The test `datadogs_http_check_follows_readiness` and `prometheus.rs` run the configured checks.
#[test]
fn the_datadog_agent_accepts_the_example_configurations() {
    let (_a, misspelled) = changed("datadog/http_check.yaml", "instances:", "instance:");
    let (_b, misplaced) = changed("datadog/http_check.yaml", "    url:", "   url:");
    let (_c, none) = changed("datadog/openmetrics.yaml", "  - openmetrics_endpoint", "    openmetrics_endpoint");
    let (http_check, openmetrics) = (deploy("datadog/http_check.yaml"), deploy("datadog/openmetrics.yaml"));
    let configurations: [(&str, &Path); 5] = [
        ("http_check", &http_check),
        ("openmetrics", &openmetrics),
        ("misspelled", &misspelled),
        ("misplaced", &misplaced),
        ("none", &none),
    ];
    let agent = DatadogAgent::start(&configurations);
    let instances = agent.configured["instances"].as_object().unwrap();
    assert_eq!(instances.keys().collect::<Vec<_>>(), ["http_check", "openmetrics"]);
    assert_eq!(instances["http_check"][0]["url"], "http://127.0.0.1:8080/health/ready");
    assert_eq!(instances["http_check"][0]["http_response_status_code"], "200");
    assert_eq!(instances["openmetrics"][0]["metrics"][0]["health_severity"]["status_map"]["3"], "UNKNOWN");
    let complaints = agent.configured["complaints"].as_object().unwrap();
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    for (check, complaint) in [
        ("misspelled", "Configuration file contains no valid instances"),
        ("misplaced", "did not find expected '-' indicator"),
        ("none", "cannot unmarshal !!map"),
    ] {
        assert!(complaints[check].as_str().unwrap().contains(complaint), "{complaints:?}");
    }
}
