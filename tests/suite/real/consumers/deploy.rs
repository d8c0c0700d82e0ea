//! The files for other programs in `examples/deploy`. A test reads each of them; this module has the tests of the files
//! that no other module reads.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use health_core::{CheckExt as _, Endpoint, Health, Outcome, check_fn, testing::Frozen};
use health_tests::{
    mount::{Form, Framework, serve},
    program::{self, time_to_leave},
    support::code,
    tools::{changed, consumer, deploy, needs, repository, said},
    traefik, wait,
};
use serde_json::Value;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A program or a schema reads each example file in a test.
#[test]
fn every_example_file_is_read_by_a_test() {
    let sources: String = ["suite", "src"]
        .iter()
        .flat_map(|folder| files(&repository().join("tests").join(folder)))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let folder = deploy("");
    let table = std::fs::read_to_string(deploy("README.md")).unwrap();
    for path in files(&folder) {
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap();
        assert!(sources.contains(&format!("\"{name}\"")), "no test reads {name}");
        assert!(
            name == "README.md" || table.contains(&format!("| [{name}]({name}) | ")),
            "README.md has no row {name}"
        );
    }
    // Every test that a row of the table names exists.
    for row in table.lines().filter(|line| line.starts_with("| [")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        assert!(deploy(cells[0].split(['[', ']']).nth(1).unwrap()).is_file(), "{row}");
        let tests = cells.last().unwrap().split('`').skip(1).step_by(2).filter(|name| name.starts_with("real::"));
        assert!(cells.len() == 3 && tests.clone().count() > 0, "{row}");
        for test in tests {
            let function = format!("fn {}(", test.rsplit("::").next().unwrap());
            assert!(sources.contains(&function), "{row}: there is no {test}");
        }
    }
}

fn frozen() -> Frozen {
    let alive = check_fn(|| async { Ok(()) }).local().liveness();
    let builder = Health::builder().check("database", check_fn(|| async { Ok(()) }).tag("x")).check("alive", alive);
    let frozen = Frozen::new(builder).unwrap();
    frozen.record("database", Outcome::healthy(), Duration::ZERO).unwrap();
    frozen.record("alive", Outcome::healthy(), Duration::ZERO).unwrap();
    frozen
}

#[test]
fn hadolint_finds_no_fault_in_the_dockerfile() {
    needs("hadolint");
    let hadolint = || Command::new(repository().join("target/tools/python/bin/hadolint"));
    let found = said(hadolint().arg(deploy("docker/Dockerfile")), b"");
    assert_eq!(found, (Some(0), String::new()));
    let (code, text) = said(hadolint().arg("-"), b"FROM debian\nHEALTHCHECK CMDX\n");
    assert!(code == Some(1) && text.contains(":2:"), "{text}");
}

/// Runs the command of a container's health check as the engine would, on the port of the test. The service is healthy,
/// then its database is unreachable, then it is not alive. The engine replaces an unhealthy container, so only the last
/// state may fail.
fn is_liveness(command: &[String]) {
    assert_eq!(command[0], "/health-probe");
    let frozen = frozen();
    let server = serve(Framework::Axum, Form::Routes, Endpoint::new(frozen.health()));
    let run = || {
        let mut probe = Command::new(program::built().join("health-probe"));
        let own = |word: &String| word.replace("127.0.0.1:8080", &server.address.to_string());
        probe.args(command[1..].iter().map(own)).args(["-t", "180s"]);
        said(&mut probe, b"").0
    };
    assert_eq!(run(), Some(0));
    frozen.record("database", Outcome::unhealthy("gone"), Duration::ZERO).unwrap();
    assert_eq!(run(), Some(0), "an unreachable database must not replace the container");
    frozen.record("alive", Outcome::unhealthy("stuck"), Duration::ZERO).unwrap();
    assert_eq!(run(), Some(1));
}

#[test]
fn the_health_check_of_the_image_is_liveness() {
    let text = std::fs::read_to_string(deploy("docker/Dockerfile")).unwrap();
    let command = text.split("HEALTHCHECK").nth(2).unwrap().split("CMD ").nth(1).unwrap().lines().next().unwrap();
    is_liveness(&serde_json::from_str::<Vec<String>>(command).unwrap());
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
        serde_json::from_str::<Value>(&text).unwrap()
    };
    wait::equals("a healthy service", &serde_json::json!({"status": 0, "message": ""}), can_connect);
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

/// `prometheus.rs` runs the queries of the panels.
#[test]
fn the_dashboard_is_valid_for_grafana() {
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

#[test]
fn compose_accepts_the_services() {
    let read = |file: &Path| said(consumer("compose.py").arg(file), b"");
    let (code, text) = read(&deploy("compose/compose.yaml"));
    assert_eq!(code, Some(0), "{text}");
    let services = &serde_json::from_str::<Value>(&text).unwrap()["services"];
    let orders = &services["orders"];
    let words = |value: &Value| serde_json::from_value::<Vec<String>>(value.clone()).unwrap();
    is_liveness(&words(&orders["healthcheck"]["test"])[1..]);
    let drain = orders["environment"]["DRAIN_SECONDS"].as_str().unwrap().parse().unwrap();
    assert_eq!(orders["stop_grace_period"], "40s");
    assert!(time_to_leave(drain) <= 40);
    // The schema does not check that the service of `depends_on` exists and has a health check.
    for (service, description) in services.as_object().unwrap() {
        let waits_for = description["depends_on"].as_object();
        for dependency in waits_for.into_iter().flatten().map(|(name, _)| name) {
            assert!(services[dependency]["healthcheck"]["test"].is_array(), "{service} waits for {dependency}");
        }
    }
    for (written, mistaken) in [
        ("start_period", "start_perod"),
        ("service_healthy", "service_helthy"),
        ("retries: 3", "retries: many"),
        ("interval: 10s", "interval: 10 parsecs"),
        ("\"CMD\"", "\"CMDX\""),
    ] {
        let (_folder, file) = changed("compose/compose.yaml", written, mistaken);
        assert_ne!(read(&file).0, Some(0), "{mistaken}");
    }
}

#[test]
fn the_requests_to_aws_are_valid() {
    let read = |service: &str, operation: &str, file: &Path| {
        said(consumer("aws_request.py").args([service, operation]).arg(file), b"")
    };
    let good = |service: &str, operation: &str, name: &str| {
        let (code, text) = read(service, operation, &deploy(name));
        assert_eq!(code, Some(0), "{name}: {text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let task = good("ecs", "RegisterTaskDefinition", "ecs/task-definition.json");
    let container = &task["containerDefinitions"][0];
    let check = &container["healthCheck"];
    is_liveness(&serde_json::from_value::<Vec<String>>(check["command"].clone()).unwrap()[1..]);
    // The limits that only the documentation of ECS states.
    for (option, least, most) in [("interval", 5, 300), ("timeout", 2, 60), ("retries", 1, 10), ("startPeriod", 0, 300)]
    {
        assert!((least..=most).contains(&check[option].as_u64().unwrap()), "{option}");
    }
    let variables = container["environment"].as_array().unwrap();
    let drain = variables.iter().find(|it| it["name"] == "DRAIN_SECONDS").unwrap()["value"].as_str().unwrap();
    let patience = container["stopTimeout"].as_u64().unwrap();
    assert!(
        time_to_leave(drain.parse().unwrap()) <= patience && patience <= 120,
        "{drain} s to drain, {patience} s to stop"
    );

    let group = good("elbv2", "CreateTargetGroup", "ecs/target-group.json");
    assert_eq!((&group["HealthCheckPath"], &group["Matcher"]["HttpCode"]), (&"/startupz".into(), &"200".into()));
    assert_eq!(group["Port"], container["portMappings"][0]["containerPort"]);
    // ECS replaces a task that the load balancer calls unhealthy, so the path depends neither on a dependency nor on a
    // drain.
    let frozen = frozen();
    frozen.record("database", Outcome::unhealthy("gone"), Duration::ZERO).unwrap();
    assert_eq!(code(&frozen.health(), "/startupz"), 200);
    good("elbv2", "ModifyTargetGroupAttributes", "ecs/target-group-attributes.json");

    for (service, operation, name, written, mistaken) in [
        ("ecs", "RegisterTaskDefinition", "ecs/task-definition.json", "startPeriod", "startperiod"),
        ("ecs", "RegisterTaskDefinition", "ecs/task-definition.json", "\"retries\": 3", "\"retries\": \"3\""),
        ("ecs", "RegisterTaskDefinition", "ecs/task-definition.json", "awsvpc", "awsvcp"),
        ("elbv2", "CreateTargetGroup", "ecs/target-group.json", "HealthCheckPath", "HealthCheckpath"),
        ("elbv2", "ModifyTargetGroupAttributes", "ecs/target-group-attributes.json", "delay", "dely"),
    ] {
        let (_folder, file) = changed(name, written, mistaken);
        assert_eq!(read(service, operation, &file).0, Some(1), "{mistaken}");
    }
}

#[test]
fn the_job_of_nomad_is_valid() {
    let read = |file: &Path| said(consumer("nomad_job.py").arg(file).arg(traefik::program().get_program()), b"");
    let (code, text) = read(&deploy("nomad/orders.nomad.hcl"));
    assert_eq!(code, Some(0), "{text}");
    let job: Value = serde_json::from_str(&text).unwrap();
    let group = &job["job"]["orders"]["group"]["orders"];
    let checks = group["service"]["check"].as_array().unwrap();
    let paths: Vec<&str> = checks.iter().map(|check| check["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/readyz", "/livez"]);
    // Only liveness restarts a task.
    assert!(checks[0]["check_restart"].is_null() && checks[1]["check_restart"]["limit"] == 3, "{text}");
    let task = &group["task"]["orders"];
    let drain = task["env"]["DRAIN_SECONDS"].as_str().unwrap().parse().unwrap();
    assert_eq!(task["kill_timeout"], "40s");
    assert!(time_to_leave(drain) <= 40);
    for (written, mistaken) in
        [("check_restart", "check_restrat"), ("kill_timeout =", "kil_timeout ="), ("count = 3", "count = ")]
    {
        let (_folder, file) = changed("nomad/orders.nomad.hcl", written, mistaken);
        assert_eq!(read(&file).0, Some(1), "{mistaken}");
    }
}
