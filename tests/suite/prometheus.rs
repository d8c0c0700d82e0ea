//! The metrics page, read by Prometheus, promtool, blackbox_exporter, the parsers of prometheus-client and the Datadog
//! Agent's own check.

use std::{
    net::SocketAddr,
    process::Command,
    time::{Duration, SystemTime},
};

use health_core::{
    CheckExt as _, Endpoint, Health, Lifecycle, Outcome, Request, Response, Visibility, check_fn, testing::Frozen,
};
use health_tests::{
    postgres,
    program::{EXAMPLES, Program},
    prometheus::{Blackbox, Prometheus},
    redis,
    tools::{consumer, deploy, program, said},
};
use nix::sys::signal::Signal;

use crate::support::{millis, secs};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

fn page(endpoint: &Endpoint, accept: &str) -> Response {
    let header = |name: &str| (name == "accept").then_some(accept);
    let request = Request { method: "GET", path: "/health/metrics", query: None, peer: None, header: &header };
    endpoint.respond(&request).unwrap()
}

fn text(endpoint: &Endpoint) -> String {
    String::from_utf8(page(endpoint, "*/*").body.to_vec()).unwrap()
}

/// The value of a sample, as written.
fn value(endpoint: &Endpoint, series: &str) -> String {
    let text = text(endpoint);
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).to_owned()
}

/// Names and numbers that would like to spoil the page.
fn hostile() -> Frozen {
    let ok = || check_fn(|| async { Ok(()) });
    let builder = Health::builder()
        .service("orders \"east\"\\\n# EOF")
        .version("1\n")
        .check("database", ok())
        .check("cache", ok().optional())
        .check("later", ok().report_only().optional());
    let frozen = Frozen::new(builder).unwrap();
    let numbers = Outcome::degraded("x")
        .observe("a \"quoted\"\nname", f64::MAX, "unit\\with{braces}")
        .observe("a \"quoted\"\nname", 1, "unit\\with{braces}")
        .observe("not", f64::NAN, "")
        .observe("small", 1e-300, "s")
        .observe("large", i64::MIN, "\u{1F600}");
    frozen.record("database", numbers, Duration::from_nanos(1)).unwrap();
    frozen.record("database", Outcome::unhealthy("password=hunter2"), secs(3_600)).unwrap();
    frozen.record("cache", Outcome::healthy(), millis(30)).unwrap();
    frozen
}

#[test]
#[ignore = "needs promtool and Python's packages: tests/run"]
fn every_page_is_read_by_the_strictest_parsers() {
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

#[test]
fn the_severity_tells_bad_from_unknown_and_knows_no_phase_of_life() {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check("database", ok()).check("cache", ok().optional())).unwrap();
    let endpoint = Endpoint::new(frozen.health());
    let severity = || value(&endpoint, "health_severity");
    let status = |word: &str| value(&endpoint, &format!("health_status{{status=\"{word}\"}}"));
    let record = |check, outcome| frozen.record(check, outcome, millis(1)).unwrap();
    assert_eq!((severity(), status("unhealthy")), ("3".into(), "1".into()), "nothing has run");
    record("database", Outcome::healthy());
    assert_eq!((severity(), status("degraded")), ("3".into(), "1".into()), "only the cache is not known");
    record("cache", Outcome::healthy());
    assert_eq!((severity(), status("healthy")), ("0".into(), "1".into()));
    for phase in [Lifecycle::Starting, Lifecycle::Draining, Lifecycle::Stopped] {
        frozen.lifecycle(phase);
        // A frozen service starts by itself where nothing is pending.
        let phase = if phase == Lifecycle::Starting { Lifecycle::Ready } else { phase };
        assert_eq!((severity(), status("healthy")), ("0".into(), "1".into()), "{phase}");
        assert_eq!(value(&endpoint, &format!("health_lifecycle{{state=\"{phase}\"}}")), "1");
        assert_eq!(value(&endpoint, "health_probe_status{probe=\"readiness\",status=\"healthy\"}"), "1");
    }
    frozen.lifecycle(Lifecycle::Ready);
    record("cache", Outcome::unhealthy("gone"));
    assert_eq!((severity(), status("degraded")), ("1".into(), "1".into()));
    record("database", Outcome::unhealthy("gone"));
    assert_eq!((severity(), status("unhealthy")), ("2".into(), "1".into()));
    assert_eq!(page(&endpoint, "*/*").status, 200);
    record("database", Outcome::healthy());
    record("cache", Outcome::healthy());
    frozen.advance(secs(3_600));
    assert_eq!((severity(), status("unhealthy")), ("3".into(), "1".into()), "all results are stale");
    let last = value(&endpoint, "health_check_last_success_timestamp_seconds{check=\"database\"}");
    assert!(last.parse::<f64>().unwrap() > 1e9, "{last}");
}

#[test]
fn what_is_counted() {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check("a", ok())).unwrap();
    let endpoint = Endpoint::new(frozen.health());
    assert_eq!(value(&endpoint, "health_check_last_success_timestamp_seconds{check=\"a\"}"), "0");
    let outcomes = [Outcome::unhealthy("x"), Outcome::healthy(), Outcome::degraded("y"), Outcome::unhealthy("z")];
    for outcome in outcomes {
        frozen.record("a", outcome, millis(20)).unwrap();
    }
    for (series, expected) in [
        ("health_check_runs_total{check=\"a\",status=\"healthy\"}", "1"),
        ("health_check_runs_total{check=\"a\",status=\"degraded\"}", "1"),
        ("health_check_runs_total{check=\"a\",status=\"unhealthy\"}", "2"),
        ("health_check_transitions_total{check=\"a\"}", "3"),
        ("health_check_duration_seconds_bucket{check=\"a\",le=\"0.01\"}", "0"),
        ("health_check_duration_seconds_bucket{check=\"a\",le=\"0.025\"}", "4"),
        ("health_check_duration_seconds_bucket{check=\"a\",le=\"+Inf\"}", "4"),
        ("health_check_duration_seconds_count{check=\"a\"}", "4"),
        ("health_check_duration_seconds_sum{check=\"a\"}", "0.08"),
    ] {
        assert_eq!(value(&endpoint, series), expected, "{series}");
    }
}

#[test]
fn who_sees_what() {
    let frozen = hostile();
    let endpoint = |visibility| Endpoint::new(frozen.health()).visibility(visibility);
    assert!(!text(&endpoint(Visibility::Status)).contains("database"));
    let checks = text(&endpoint(Visibility::Checks));
    assert!(checks.contains("check=\"database\"") && !checks.contains("observed") && !checks.contains("orders"));
    let full = text(&endpoint(Visibility::Full));
    assert!(full.contains("health_build_info{service=\"orders") && !full.contains("hunter2"));
    // One override, both ways; and a token wins.
    let both = Endpoint::new(frozen.health()).visibility(Visibility::Status).metrics_visibility(Visibility::Full);
    assert_eq!(text(&both), full);
    let terse = endpoint(Visibility::Full).metrics_visibility(Visibility::Status).full_for(|_| true);
    assert_eq!(text(&terse), full);
    assert!(!text(&endpoint(Visibility::Full).metrics_visibility(Visibility::Status)).contains("database"));
}

/// The three examples before PostgreSQL and Redis, and the watchers around them.
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
            ("DRAIN_SECONDS", "20".to_owned()),
            ("HEALTH_CHECKS__JOBS__ENABLED", "false".to_owned()),
        ];
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let services = EXAMPLES.map(|example| Program::start(example, &variables));
        services.iter().for_each(Program::ready);
        let addresses = services.each_ref().map(|service| service.address);
        let (prometheus, blackbox) = (Prometheus::of(&addresses), Blackbox::start());
        Self { database, cache, services: services.into(), prometheus, blackbox }
    }

    /// What Prometheus thinks of all three.
    fn all_are(&self, severity: u8, status: &str) {
        self.prometheus.says("health_severity", f64::from(severity), 3);
        self.prometheus.says(&format!("health_status{{status=\"{status}\"}}"), 1.0, 3);
        self.prometheus.says("sum by (instance) (health_status)", 1.0, 3);
        let ready = severity < 2;
        for service in &self.services {
            assert_eq!(self.blackbox.succeeds(service.address, "/health/ready"), ready, "{status}");
        }
    }

    /// Who drains is not ready, and that is no severity.
    fn all_but_readiness_are_well(&self) {
        self.prometheus.says("health_severity", 0.0, 3);
        assert!(!self.blackbox.succeeds(self.services[0].address, "/health/ready"));
        // In all this time no scrape has failed.
        self.prometheus.says("min_over_time(up[10m])", 1.0, 3);
    }

    /// The service checks that the Datadog Agent would send.
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
#[ignore = "needs Prometheus, PostgreSQL, Redis and Python's packages: tests/run"]
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
    scene.prometheus.says(&format!("count by (instance) ({})", alert("HealthCheckUnhealthy")), 2.0, 3);
    scene.prometheus.says("health_check_status{check=\"database\",status=\"unhealthy\"}", 1.0, 3);
    assert_eq!(
        scene.datadog(scene.services[2].address)["service_checks"]["orders.health_severity"],
        serde_json::json!([2])
    );

    scene.database.run();
    scene.cache.run();
    scene.all_are(0, "healthy");
    scene.prometheus.says("health_check_transitions_total{check=\"database\"}", 2.0, 3);
    scene.prometheus.says("health_check_runs_total{check=\"database\",status=\"unhealthy\"} > bool 0", 1.0, 3);
    for query in dashboard() {
        assert!(!scene.prometheus.query(&query).is_empty(), "nothing for {query}");
    }

    // A deploy pages nobody.
    scene.services[0].process.signal(Signal::SIGTERM);
    scene.prometheus.says("health_lifecycle{state=\"draining\"} == 1", 1.0, 1);
    scene.all_but_readiness_are_well();
}

/// The queries of the dashboard, for every job and instance.
fn dashboard() -> Vec<String> {
    let text = std::fs::read_to_string(deploy("grafana/dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries.map(|query| query.replace("$job", ".*").replace("$instance", ".*").replace("[5m]", "[1m]")).collect()
}

#[test]
#[ignore = "needs promtool and blackbox_exporter: tests/run"]
fn the_files_for_prometheus_are_good() {
    let promtool = |arguments: &[&str], file: &str| {
        let mut command = Command::new(program("usr/bin/promtool"));
        let (code, text) = said(command.args(arguments).arg(deploy(file)), b"");
        assert!(code == Some(0) && text.contains("SUCCESS"), "{file}: {text}");
    };
    promtool(&["check", "config"], "prometheus/prometheus.yml");
    promtool(&["check", "rules", "--lint-fatal"], "prometheus/rules.yml");
    promtool(&["test", "rules"], "prometheus/rules_test.yml");
    let mut blackbox = Command::new(program("usr/bin/prometheus-blackbox-exporter"));
    let file = format!("--config.file={}", deploy("prometheus/blackbox.yml").display());
    let (code, text) = said(blackbox.args(["--config.check", &file]), b"");
    assert_eq!(code, Some(0), "{text}");
}
