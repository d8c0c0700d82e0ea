//! The metrics page, read by Prometheus, promtool, blackbox_exporter, the parsers of prometheus-client, and the
//! OpenMetrics check of the Datadog Agent.

use std::{net::SocketAddr, process::Command, time::SystemTime};

use health_core::{Endpoint, Health, Response, Visibility, testing::Frozen};
use health_tests::{
    metrics_page::{hostile, page},
    postgres,
    program::{EXAMPLES, Program},
    prometheus::{Blackbox, Prometheus},
    redis,
    tools::{consumer, deploy, program, said},
    wait,
};
use nix::sys::signal::Signal;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

#[test]
fn every_metrics_page_is_accepted_by_the_strictest_parsers() {
    let directory = tempfile::tempdir().unwrap();
    let (plain, open) = (directory.path().join("text"), directory.path().join("openmetrics"));
    for frozen in [Frozen::new(Health::builder()).unwrap(), hostile()] {
        for visibility in [Visibility::Status, Visibility::Checks, Visibility::Full] {
            let endpoint = Endpoint::new(frozen.health()).metrics_visibility(visibility);
            let (text, strict) = (page(&endpoint, "*/*"), page(&endpoint, OPEN_METRICS));
            let content_type = |it: &Response| {
                let found = it.headers.iter().find(|(name, _)| *name == "content-type").unwrap().1;
                String::from_utf8(found.as_bytes().to_vec()).unwrap()
            };
            assert_eq!(content_type(&text), "text/plain; version=0.0.4; charset=utf-8");
            assert_eq!(content_type(&strict), "application/openmetrics-text; version=1.0.0; charset=utf-8");
            std::fs::write(&plain, &text.body).unwrap();
            std::fs::write(&open, &strict.body).unwrap();
            let mut promtool = Command::new(program("usr/bin/promtool"));
            let (code, found) = said(promtool.args(["check", "metrics"]), &text.body);
            assert_eq!((code, found.as_str()), (Some(0), ""), "{visibility:?}");
            let (code, samples) = said(consumer("metrics.py").arg(&plain).arg(&open), b"");
            assert_eq!(code, Some(0), "{visibility:?}: {samples}");
            let lines = String::from_utf8_lossy(&text.body).lines().filter(|line| !line.starts_with('#')).count();
            assert_eq!(samples.trim(), lines.to_string());
        }
    }
}

/// The three examples with PostgreSQL and Redis, and the programs that watch them.
struct Scene {
    database: postgres::Server,
    cache: redis::Server,
    services: Vec<Program>,
    prometheus: Prometheus,
    blackbox: Blackbox,
}

impl Scene {
    fn start() -> Self {
        let (database, cache) = (postgres::Server::start(), redis::Server::start());
        let variables = [
            ("DATABASE_URL", database.url()),
            ("REDIS_URL", cache.url()),
            ("DRAIN_SECONDS", "600".to_owned()),
            ("HEALTH_CHECKS__JOBS__ENABLED", "false".to_owned()),
            // A stopped server refuses at once, so the long timeout only gives a slow machine enough time.
            ("HEALTH_CHECKS__DATABASE__TIMEOUT", "180s".to_owned()),
            ("HEALTH_CHECKS__CACHE__TIMEOUT", "180s".to_owned()),
        ];
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let services = EXAMPLES.map(|example| Program::start(example, &variables));
        services.iter().for_each(Program::ready);
        let addresses = services.each_ref().map(|service| service.address);
        let (prometheus, blackbox) = (Prometheus::of(&addresses), Blackbox::start());
        Self { database, cache, services: services.into(), prometheus, blackbox }
    }

    /// Waits until Prometheus and blackbox_exporter see this state of all three services.
    fn all_are(&self, severity: u8, status: &str) {
        self.prometheus.says("health_severity", f64::from(severity), 3);
        self.prometheus.says(&format!("health_status{{status=\"{status}\"}}"), 1.0, 3);
        self.prometheus.says("sum by (instance) (health_status)", 1.0, 3);
        let ready = severity < 2;
        for service in &self.services {
            wait::equals(status, &ready, || self.blackbox.succeeds(service.address, "/health/ready"));
        }
    }

    /// A draining service is not ready, but its severity does not change.
    fn all_but_readiness_are_well(&self) {
        self.prometheus.says("health_severity", 0.0, 3);
        wait::equals("a drain", &false, || self.blackbox.succeeds(self.services[0].address, "/health/ready"));
        self.prometheus.says("up", 1.0, 3);
    }

    /// Returns the service checks and the metrics that the Datadog Agent would send.
    fn datadog(&self, service: SocketAddr) -> serde_json::Value {
        let mut script = consumer("datadog_openmetrics.py");
        let url = format!("http://{service}/health/metrics");
        let (code, text) = said(script.arg(deploy("datadog/openmetrics.yaml")).arg(url), b"");
        let last = text.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
        assert_eq!(code, Some(0), "{text}");
        serde_json::from_str(last).unwrap()
    }
}

#[test]
fn prometheus_blackbox_exporter_and_datadog_follow_the_examples() {
    let mut scene = Scene::start();
    scene.all_are(0, "healthy");
    let well = scene.datadog(scene.services[0].address);
    assert_eq!(
        well["service_checks"],
        serde_json::json!({"orders.health_severity": [0], "orders.openmetrics.health": [0]})
    );
    for metric in ["check_status", "probe_status", "check_duration_seconds.count", "check_runs.count"] {
        let name = serde_json::json!(format!("orders.health_{metric}"));
        assert!(well["metrics"].as_array().unwrap().contains(&name), "{metric}: {well}");
    }
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    scene.prometheus.says(
        &format!("health_check_last_success_timestamp_seconds{{check=\"database\"}} > bool {}", began - 60.0),
        1.0,
        3,
    );

    scene.cache.stop();
    scene.all_are(1, "degraded");
    assert_eq!(
        scene.datadog(scene.services[1].address)["service_checks"]["orders.health_severity"],
        serde_json::json!([1])
    );

    scene.database.stop();
    scene.all_are(2, "unhealthy");
    let alert = |name: &str| format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}");
    scene.prometheus.says(&alert("HealthUnhealthy"), 1.0, 3);
    // All instances share the failed database: one alert pages for the outage, and one warning each names the two
    // checks.
    scene.prometheus.says(&alert("HealthOutage"), 1.0, 1);
    scene.prometheus.says("count(ALERTS{severity=\"critical\",alertstate=\"firing\"})", 1.0, 1);
    scene.prometheus.says(&format!("count({})", alert("HealthCheckUnhealthy")), 2.0, 1);
    scene.prometheus.says("health_check_status{check=\"database\",status=\"unhealthy\"}", 1.0, 3);
    assert_eq!(
        scene.datadog(scene.services[2].address)["service_checks"]["orders.health_severity"],
        serde_json::json!([2])
    );

    scene.database.run();
    scene.cache.run();
    scene.all_are(0, "healthy");
    scene.prometheus.says("health_check_transitions_total{check=\"database\"} >= bool 2", 1.0, 3);
    scene.prometheus.says("health_check_runs_total{check=\"database\",status=\"unhealthy\"} > bool 0", 1.0, 3);
    for query in dashboard() {
        wait::until(&query, || !scene.prometheus.query(&query).is_empty());
    }

    // A deploy triggers no alert.
    scene.services[0].process.signal(Signal::SIGTERM);
    scene.prometheus.says("health_lifecycle{state=\"draining\"} == 1", 1.0, 1);
    scene.all_but_readiness_are_well();
}

/// Returns the queries of the dashboard for every job and instance.
fn dashboard() -> Vec<String> {
    let text = std::fs::read_to_string(deploy("grafana/dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries.map(|query| query.replace("$job", ".*").replace("$instance", ".*").replace("[5m]", "[1m]")).collect()
}

#[test]
fn the_files_for_prometheus_are_valid() {
    let promtool = |arguments: &[&str], file: &str| {
        let mut command = Command::new(program("usr/bin/promtool"));
        let (code, text) = said(command.args(arguments).arg(deploy(file)), b"");
        assert!(code == Some(0) && text.contains("SUCCESS"), "{file}: {text}");
    };
    promtool(&["check", "config"], "prometheus/prometheus.yml");
    promtool(&["check", "rules", "--lint-fatal"], "prometheus/rules.yml");
    promtool(&["test", "rules"], "prometheus/rules_test.yml");
    let mut amtool = Command::new(program("usr/bin/amtool"));
    let (code, text) = said(amtool.arg("check-config").arg(deploy("prometheus/alertmanager.yml")), b"");
    assert!(code == Some(0) && text.contains("SUCCESS"), "{text}");
    // The test of the rules covers every alert, and no rule names a job.
    let read = |file: &str| std::fs::read_to_string(deploy(file)).unwrap();
    let (rules, tested) = (read("prometheus/rules.yml"), read("prometheus/rules_test.yml"));
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    assert!(alerts.map(|alert| assert!(tested.contains(&format!("alertname: {alert}")), "{alert}")).count() >= 10);
    assert!(!rules.contains("job=\""), "a rule names a job");
    let mut blackbox = Command::new(program("usr/bin/prometheus-blackbox-exporter"));
    let file = format!("--config.file={}", deploy("prometheus/blackbox.yml").display());
    let (code, text) = said(blackbox.args(["--config.check", &file]), b"");
    assert_eq!(code, Some(0), "{text}");
}
