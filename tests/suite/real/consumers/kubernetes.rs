//! kubectl reads the Kubernetes paths as it reads those of an API server.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use health_core::{CheckExt as _, Endpoint, Health, Outcome, check_fn, testing::Frozen};
use health_tests::{
    mount::{Form, Framework, serve},
    program::Program,
    tools::{consumer, deploy, program, said},
};
use serde_json::Value;

#[test]
fn kubectl_reads_what_it_reads_of_an_api_server() {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check("ping", ok().local().liveness()).check("database", ok())).unwrap();
    let record = |check, outcome| frozen.record(check, outcome, Duration::ZERO).unwrap();
    record("ping", Outcome::healthy());
    record("database", Outcome::healthy());
    for framework in [Framework::Actix, Framework::Axum, Framework::Warp] {
        record("database", Outcome::healthy());
        let server = serve(framework, Form::Routes, Endpoint::new(frozen.health()));
        let raw = |path: &str| {
            let mut kubectl = Command::new(program("usr/bin/kubectl"));
            kubectl.args(["get", "--raw", path, "--server", &format!("http://{}", server.address)]);
            // Neither a configuration nor a cache of anybody's.
            said(kubectl.env("KUBECONFIG", "/dev/null").env("HOME", "/nonexistent"), b"")
        };
        assert_eq!(raw("/livez"), (Some(0), "ok".into()), "{framework:?}");
        assert_eq!(raw("/livez?verbose"), (Some(0), "[+]ping ok\nlivez check passed\n".into()));
        let both = "[+]ping ok\n[+]database ok\nreadyz check passed\n";
        assert_eq!(raw("/readyz?verbose"), (Some(0), both.into()));
        record("database", Outcome::unhealthy("gone"));
        let (code, text) = raw("/readyz");
        assert_eq!(code, Some(1), "{text}");
        assert_eq!(raw("/readyz?exclude=database"), (Some(0), "ok".into()));
        assert_eq!(raw("/livez"), (Some(0), "ok".into()));
    }
}

/// How long work in progress may hold a drain, the examples go on answering once it is over, and what then stops may take.
const WORK: u64 = 15;
const LAST_ANSWERS: u64 = 5;
const LAST_WORDS: u64 = 2;

/// The documents of a manifest that the schemas of Kubernetes accept, fields they do not know refused.
fn documents(manifest: &Path) -> Result<Vec<Value>, String> {
    // The oldest and the newest that are at hand.
    let (code, text) = said(consumer("kubernetes_manifest.py").arg(manifest).args(["1.25", "1.37"]), b"");
    if code == Some(0) { Ok(serde_json::from_str(&text).unwrap()) } else { Err(text) }
}

#[test]
fn the_manifest_fits_the_schemas_and_the_service() {
    let manifest = deploy("kubernetes/orders.yaml");
    let documents = documents(&manifest).unwrap();
    let kinds: Vec<_> = documents.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Deployment", "Service", "PodDisruptionBudget"]);
    let pod = &documents[0]["spec"]["template"];
    let labels = pod["metadata"]["labels"].as_object().unwrap();
    for selector in ["/0/spec/selector/matchLabels", "/1/spec/selector", "/2/spec/selector/matchLabels"] {
        let (_, path) = selector[1..].split_once('/').unwrap();
        let document = &documents[selector[1..2].parse::<usize>().unwrap()];
        assert_eq!(document.pointer(&format!("/{path}")).unwrap().as_object(), Some(labels), "{selector}");
    }
    let container = &pod["spec"]["containers"][0];
    let variable = |name: &str| {
        let variables = container["env"].as_array().unwrap();
        variables.iter().find(|it| it["name"] == name).unwrap()["value"].as_str().unwrap()
    };
    // All of it fits into the time until SIGKILL.
    let drain: u64 = variable("DRAIN_SECONDS").parse().unwrap();
    let grace = pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(drain + WORK + LAST_ANSWERS + LAST_WORDS + 5 <= grace, "{drain} s to drain, {grace} s until SIGKILL");
    // It is out of the endpoints by its own word long before the drain is over, even if nobody else says so.
    let readiness = &container["readinessProbe"];
    let notices = readiness["periodSeconds"].as_u64().unwrap() * (readiness["failureThreshold"].as_u64().unwrap() + 1);
    assert!(notices < drain, "{notices} s until readiness is noticed");

    let port = &container["ports"][0];
    let bind: SocketAddr = variable("BIND_ADDR").parse().unwrap();
    assert_eq!((port["name"].as_str(), port["containerPort"].as_u64()), (Some("http"), Some(bind.port().into())));
    let scrape = &pod["metadata"]["annotations"];
    assert_eq!(scrape["prometheus.io/port"], bind.port().to_string());
    let service = Program::start("axum", &[("DRAIN_SECONDS", variable("DRAIN_SECONDS"))]);
    service.ready();
    let answers = |path: &Value| health_tests::http::get(service.address, path.as_str().unwrap(), &[]);
    for (probe, path) in [("startupProbe", "/startupz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        let get = &container[probe]["httpGet"];
        assert_eq!((get["path"].as_str(), get["port"].as_str()), (Some(path), Some("http")));
        assert_eq!(answers(&get["path"]).text(), "ok");
    }
    assert!(answers(&scrape["prometheus.io/path"]).text().contains("health_status{"));

    // A slip of the pen is found.
    let directory = tempfile::tempdir().unwrap();
    let slip = directory.path().join("slip.yaml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&slip, text.replacen("failureThreshold", "failuresThreshold", 1)).unwrap();
    let error = self::documents(&slip).unwrap_err();
    assert!(error.contains("failuresThreshold"), "{error}");
}
