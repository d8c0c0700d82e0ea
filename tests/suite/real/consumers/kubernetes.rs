//! kubectl reads the Kubernetes paths as it reads those of an API server, and the manifests of `examples/deploy` are
//! valid.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use health_core::{CheckExt as _, Endpoint, Health, Outcome, check_fn, testing::Frozen};
use health_tests::{
    mount::{Form, Framework, serve},
    program::{Program, time_to_leave},
    tools::{changed, consumer, deploy, program, said},
};
use serde_json::Value;

#[test]
fn kubectl_reads_the_kubernetes_paths_of_every_framework() {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check("ping", ok().local().liveness()).check("database", ok())).unwrap();
    let record = |check, outcome| frozen.record(check, outcome, Duration::ZERO).unwrap();
    record("ping", Outcome::healthy());
    record("database", Outcome::healthy());
    for framework in Framework::ALL {
        record("database", Outcome::healthy());
        let server = serve(framework, Form::Routes, Endpoint::new(frozen.health()));
        let raw = |path: &str| {
            let mut kubectl = Command::new(program("usr/bin/kubectl"));
            kubectl.args(["get", "--raw", path, "--server", &format!("http://{}", server.address)]);
            // Uses neither a configuration nor a cache of the user.
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

/// Returns the documents of a manifest. The schemas of Kubernetes must accept it, and unknown fields are errors.
fn documents(manifest: &Path) -> Result<Vec<Value>, String> {
    // The oldest and the newest available versions of the schemas.
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
    // Drain and shutdown fit into the time until SIGKILL.
    let drain: u64 = variable("DRAIN_SECONDS").parse().unwrap();
    let grace = pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(time_to_leave(drain) <= grace, "{drain} s to drain, {grace} s until SIGKILL");
    // The failed readiness probe alone removes the pod from the endpoints long before the drain is over.
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

    // A misspelled field is found.
    let directory = tempfile::tempdir().unwrap();
    let slip = directory.path().join("slip.yaml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&slip, text.replacen("failureThreshold", "failuresThreshold", 1)).unwrap();
    let error = self::documents(&slip).unwrap_err();
    assert!(error.contains("failuresThreshold"), "{error}");
}

/// Returns a container's probes with their names.
fn probes(container: &Value) -> [(&'static str, &Value); 3] {
    ["startupProbe", "livenessProbe", "readinessProbe"].map(|probe| (probe, &container[probe]))
}

#[test]
fn the_admin_port_answers_the_probes() {
    let documents = documents(&deploy("kubernetes/admin-port.yaml")).unwrap();
    let pod = &documents[0]["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    let ports: Vec<(&str, u64)> = container["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| (port["name"].as_str().unwrap(), port["containerPort"].as_u64().unwrap()))
        .collect();
    assert_eq!(ports, [("http", 8080), ("admin", 9090)]);
    assert_eq!(pod["metadata"]["annotations"]["prometheus.io/port"], "9090");
    let health = Health::builder().check("database", check_fn(|| async { Ok(()) }));
    let frozen = Frozen::new(health).unwrap();
    frozen.record("database", Outcome::healthy(), Duration::ZERO).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = health_axum::serve_dedicated(frozen.health(), listener).unwrap();
    for (probe, asked) in probes(container) {
        // The schema does not check that the named port exists.
        assert_eq!(asked["httpGet"]["port"], "admin", "{probe}");
        let path = asked["httpGet"]["path"].as_str().unwrap();
        assert_eq!(health_tests::http::get(server.address(), path, &[]).text(), "ok", "{probe}");
    }
}

#[test]
fn the_grpc_probes_name_existing_services() {
    let documents = documents(&deploy("kubernetes/grpc.yaml")).unwrap();
    let container = &documents[0]["spec"]["template"]["spec"]["containers"][0];
    let frozen = Frozen::new(Health::builder().check("database", check_fn(|| async { Ok(()) }))).unwrap();
    for (probe, asked) in probes(container) {
        assert_eq!(asked["grpc"]["port"], container["ports"][0]["containerPort"], "{probe}");
        let service = asked["grpc"]["service"].as_str().unwrap();
        assert_eq!(format!("{service}Probe"), probe);
        assert!(frozen.health().serving(service).is_some(), "{service}");
    }
    let (_folder, slip) = changed("kubernetes/grpc.yaml", "service: startup", "servce: startup");
    assert!(self::documents(&slip).unwrap_err().contains("servce"));
}

#[test]
fn the_operator_of_prometheus_finds_the_service() {
    let read = |file: &Path| said(consumer("prometheus_operator.py").arg(file), b"");
    let (code, text) = read(&deploy("kubernetes/monitors.yaml"));
    assert_eq!(code, Some(0), "{text}");
    let monitor = &serde_json::from_str::<Vec<Value>>(&text).unwrap()[0];
    let service = &documents(&deploy("kubernetes/orders.yaml")).unwrap()[1];
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"]);
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!(
        (&endpoint["port"], &endpoint["path"]),
        (&service["spec"]["ports"][0]["name"], &"/health/metrics".into())
    );
    for (written, mistaken) in [("scrapeTimeout: 5s", "scrapeTimeOut: 5s"), ("interval: 15s", "interval: 15 seconds")] {
        let (_folder, file) = changed("kubernetes/monitors.yaml", written, mistaken);
        assert_eq!(read(&file).0, Some(1), "{mistaken}");
    }
}
