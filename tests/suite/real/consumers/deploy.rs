//! The files for other programs in `examples/deploy`: each is in the hands of a test, and these are the ones of no other.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use health_core::{CheckExt as _, Endpoint, Health, Outcome, check_fn, testing::Frozen};
use health_tests::{
    mount::{Form, Framework, serve},
    program,
    tools::{changed, consumer, deploy, needs, repository, said},
    wait,
};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A program or a schema reads each of them in a test.
#[test]
fn every_file_is_in_the_hands_of_a_test() {
    let sources: String = ["suite", "src"]
        .iter()
        .flat_map(|folder| files(&repository().join("tests").join(folder)))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let folder = deploy("");
    for path in files(&folder) {
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap();
        assert!(sources.contains(&format!("\"{name}\"")), "no test reads {name}");
    }
}

fn frozen() -> Frozen {
    let frozen = Frozen::new(Health::builder().check("database", check_fn(|| async { Ok(()) }).tag("x"))).unwrap();
    frozen.record("database", Outcome::healthy(), Duration::ZERO).unwrap();
    frozen
}

#[test]
fn hadolint_finds_nothing_in_the_image() {
    needs("hadolint");
    let hadolint = || Command::new(repository().join("target/tools/python/bin/hadolint"));
    let found = said(hadolint().arg(deploy("docker/Dockerfile")), b"");
    assert_eq!(found, (Some(0), String::new()));
    let (code, text) = said(hadolint().arg("-"), b"FROM debian\nHEALTHCHECK CMDX\n");
    assert!(code == Some(1) && text.contains(":2:"), "{text}");
}

/// The command of the image's `HEALTHCHECK`, run as Docker would, but for the port.
#[test]
fn the_image_checks_itself() {
    let text = std::fs::read_to_string(deploy("docker/Dockerfile")).unwrap();
    let command = text.split("HEALTHCHECK").nth(2).unwrap().split("CMD ").nth(1).unwrap().lines().next().unwrap();
    let words: Vec<String> = serde_json::from_str(command).unwrap();
    assert_eq!(words[0], "/health-probe");
    let frozen = frozen();
    let server = serve(Framework::Axum, Form::Routes, Endpoint::new(frozen.health()));
    let run = || {
        let mut probe = Command::new(program::built().join("health-probe"));
        let own = |word: &String| word.replace("127.0.0.1:8080", &server.address.to_string());
        probe.args(["-t", "180s"]).args(words[1..].iter().map(own));
        said(&mut probe, b"").0
    };
    assert_eq!(run(), Some(0));
    frozen.record("database", Outcome::unhealthy("gone"), Duration::ZERO).unwrap();
    assert_eq!(run(), Some(1));
    for program in ["--bin health-probe", "--bin axum"] {
        assert!(text.contains(program), "{program} is not built");
    }
}

#[test]
fn datadogs_http_check_follows_readiness() {
    let frozen = frozen();
    let server = serve(Framework::Axum, Form::Routes, Endpoint::new(frozen.health()));
    let url = format!("http://{}/health/ready", server.address);
    let run = |configuration: &Path| said(consumer("datadog_http_check.py").arg(configuration).arg(&url), b"");
    let can_connect = || {
        let (code, text) = run(&deploy("datadog/http_check.yaml"));
        assert_eq!(code, Some(0), "{text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    wait::equals("well", &serde_json::json!({"status": 0, "message": ""}), can_connect);
    frozen.record("database", Outcome::unhealthy("gone"), Duration::ZERO).unwrap();
    let critical = can_connect();
    assert_eq!(critical["status"], 2);
    assert!(critical["message"].as_str().unwrap().contains("database"), "{critical}");

    for (written, mistaken, complaint) in [
        ("include_content", "include_contents", "'include_contents' was unexpected"),
        ("timeout: 2", "timeout: 2s", "'2s' is not of type 'number'"),
        ("name: orders", "service: orders", "'name' is a required property"),
    ] {
        let (_folder, file) = changed("datadog/http_check.yaml", written, mistaken);
        let (code, text) = run(&file);
        assert!(code == Some(1) && text.contains(complaint), "{mistaken}: {text}");
    }
    drop(server);
    assert_eq!(can_connect()["status"], 2);
}

/// What its panels ask is run by Prometheus in `prometheus.rs`.
#[test]
fn the_dashboard_is_what_grafana_reads() {
    let run = |dashboard: &Path| said(consumer("grafana_dashboard.py").arg(dashboard), b"");
    assert_eq!(run(&deploy("grafana/dashboard.json")), (Some(0), String::new()));
    const PANEL_SOURCE: &str = "\"datasource\": {\n        \"type\": \"prometheus\"";
    for (written, mistaken, complaint) in [
        ("includeAll", "includeEvery", "dashboard.templating.list[1].includeEvery: not known"),
        ("\"state-timeline\"", "\"statetimeline\"", "Severity: no panel is a statetimeline"),
        ("\"type\": \"query\"", "\"type\": \"queries\"", "'query', 'adhoc', 'groupby'"),
        ("\"w\": 12", "\"w\": \"wide\"", "valid integer"),
        ("\"unit\": \"none\"", "\"unit\": \"nothing\"", "Now: no unit is called nothing"),
        ("\"expr\":", "\"expression\":", "targets[0].expression: not known"),
        ("\"targets\":", "\"options\": {\"reduceOptions\": {\"calcs\": \"last\"}}, \"targets\":", "valid list"),
        ("\"refId\":", "\"datasource\": {\"type\": \"loki\"}, \"refId\":", "Now: not a query for Prometheus"),
        (PANEL_SOURCE, "\"datasource\": {\n        \"type\": \"loki\"", "Now: not a query for Prometheus"),
    ] {
        let (_folder, file) = changed("grafana/dashboard.json", written, mistaken);
        let (code, text) = run(&file);
        assert!(code == Some(1) && text.contains(complaint), "{mistaken}: {text}");
    }
}
