//! The example services with one set of drivers each, with their servers: their reports while all servers work and
//! after a server has stopped, and their shutdown.

use std::{fs, time::Instant};

use health_tests::{
    daemon::Server as _,
    http, port, postgres,
    program::{self, Program},
    rabbitmq, redis,
    support::secs,
    tools::repository,
    wait,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// The drain time of the examples in seconds. A test must see the drain within this time.
const DRAIN: u64 = 10;

/// Starts an example with this drain time.
fn start(example: &str, variables: &[(&str, &str)]) -> Program {
    let drain = DRAIN.to_string();
    let mut all = vec![("DRAIN_SECONDS", &*drain)];
    all.extend_from_slice(variables);
    let program = Program::start(example, &all);
    program.ready();
    program
}

/// Waits until the service has exactly these checks and all are healthy.
fn all_healthy(program: &Program, checks: &[&str]) {
    let expected: Vec<_> = checks.iter().map(|check| ((*check).to_owned(), json!("healthy"))).collect();
    wait::equals("the checks", &expected, || {
        let report = http::get(program.address, "/health", &[]).json();
        let checks = report["checks"].as_object().unwrap();
        // The JSON parser of the tests may sort keys, so the order proves nothing.
        let mut shown: Vec<_> =
            checks.iter().map(|(name, check): (&String, &Value)| (name.clone(), check["status"].clone())).collect();
        shown.sort_by(|one, other| one.0.cmp(&other.0));
        shown
    });
}

/// Waits until a check is Unhealthy with the reason `unreachable`. Readiness must then have this code.
fn unreachable(program: &Program, check: &str, ready: u16) {
    wait::equals(check, &(json!("unhealthy"), json!("unreachable")), || {
        let shown = http::get(program.address, "/health", &[]).json()["checks"][check].clone();
        (shown["status"].clone(), shown["reason"].clone())
    });
    let answer = http::get(program.address, "/readyz?verbose", &[]);
    assert_eq!(answer.status, ready, "{check}: {}", answer.text());
}

/// Asserts that an example drains on SIGTERM, serves in the meantime and exits with 0.
fn leaves(mut program: Program) {
    let began = Instant::now();
    program.process.signal(Signal::SIGTERM);
    wait::equals("a drain", &(503, json!("draining")), || {
        let ready = http::get(program.address, "/health/ready", &[]);
        (ready.status, ready.json()["reason"].clone())
    });
    let status = program.process.ended();
    assert!(status.success(), "ended with {status}: {}", program.log());
    assert!(began.elapsed() >= secs(DRAIN), "{:?}", began.elapsed());
}

#[test]
fn axum_sqlx_follows_its_servers_and_drains() {
    let database = postgres::Server::start();
    let mut cache = redis::Server::start();
    // Any page of another service.
    let upstream = Program::start("axum", &[]);
    let page = format!("http://{}/livez", upstream.address);
    let variables = [("DATABASE_URL", &*database.url()), ("REDIS_URL", &*cache.url()), ("UPSTREAM_URL", &*page)];
    let program = start("axum-sqlx", &variables);
    all_healthy(&program, &["cache", "database", "upstream"]);
    // The first answer comes from the database, the second one from the cache.
    for _ in 0..2 {
        let time = http::get(program.address, "/time", &[]);
        assert_eq!(time.status, 200, "{}", program.log());
        assert!(time.text().starts_with("20"), "{}", time.text());
    }
    let document = http::get(program.address, "/openapi.json", &[]);
    assert_eq!(document.header("content-type"), Some("application/json"));
    let paths = document.json()["paths"].clone();
    for path in ["/time", "/health", "/health/ready", "/health/checks/{name}", "/livez", "/readyz"] {
        assert!(paths[path]["get"].is_object(), "no {path} in {paths}");
    }

    // A failed optional check leaves the service ready. A failed critical check does not.
    drop(upstream);
    unreachable(&program, "upstream", 200);
    cache.stop();
    unreachable(&program, "cache", 200);
    // No request waits for a connection to the cache. A failed attempt to connect takes milliseconds.
    let began = Instant::now();
    for _ in 0..5 {
        let time = http::get(program.address, "/time", &[]);
        assert_eq!(time.status, 200, "without a cache: {}", program.log());
    }
    assert!(began.elapsed() < secs(5), "{:?}", began.elapsed());
    drop(database);
    unreachable(&program, "database", 503);
    leaves(program);
}

#[test]
fn actix_diesel_follows_its_servers_and_drains() {
    let (database, mut broker) = (postgres::Server::start(), rabbitmq::Server::start());
    let program = start("actix-diesel", &[("DATABASE_URL", &*database.url()), ("AMQP_URL", &*broker.url())]);
    all_healthy(&program, &["broker", "database"]);
    let version = http::get(program.address, "/version", &[]);
    assert!(version.text().starts_with("PostgreSQL"), "{}", version.text());
    let job = || {
        let request = "POST /jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx";
        http::exchange(program.address, request.as_bytes()).status
    };
    assert_eq!(job(), 202, "{}", program.log());
    wait::until("a series of the database", || {
        let page = http::get(program.address, "/metrics", &[]).text();
        page.lines().any(|line| {
            let has = |label: &str| line.contains(label);
            line.starts_with("health_check_status{")
                && has("check=\"database\"")
                && has("status=\"healthy\"")
                && line.ends_with(" 1")
        })
    });

    // After a restart of the broker the example reconnects and publishes again.
    broker.stop();
    unreachable(&program, "broker", 200);
    assert_eq!(job(), 503);
    broker.run();
    all_healthy(&program, &["broker", "database"]);
    assert_eq!(job(), 202, "{}", program.log());
    broker.stop();
    unreachable(&program, "broker", 200);
    assert_eq!(http::get(program.address, "/version", &[]).status, 200, "without a broker: {}", program.log());
    drop(database);
    unreachable(&program, "database", 503);
    let version = http::get(program.address, "/version", &[]);
    assert_eq!((version.status, &*version.text()), (503, "try again later"));
    leaves(program);
}

/// The service of `examples/warp` with deadpool pools.
#[test]
fn warp_deadpool_follows_its_servers_and_drains() {
    let (database, mut cache) = (postgres::Server::start(), redis::Server::start());
    let program = start("warp", &[("DATABASE_URL", &*database.url()), ("REDIS_URL", &*cache.url())]);
    all_healthy(&program, &["cache", "database", "jobs", "queue", "worker"]);
    cache.stop();
    unreachable(&program, "cache", 200);
    // The check of the queue belongs only to the full report.
    unreachable(&program, "jobs", 200);
    drop(database);
    unreachable(&program, "database", 503);
    leaves(program);
}

/// Returns the status of a service in `grpc.health.v1` on the program's port.
async fn served(program: &Program, service: &str) -> Result<ServingStatus, Code> {
    let channel = Endpoint::from_shared(format!("http://{}", program.address)).unwrap().connect().await.unwrap();
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel).check(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().status())
}

#[tokio::test(flavor = "multi_thread")]
async fn tonic_axum_follows_its_upstream_and_drains() {
    let inventory = start("tonic-axum", &[]);
    all_healthy(&inventory, &["queue", "worker"]);
    let url = format!("http://{}", inventory.address);
    let program = start("tonic-axum", &[("INVENTORY_URL", &*url)]);
    all_healthy(&program, &["inventory", "queue", "worker"]);
    assert_eq!(http::get(program.address, "/", &[]).text(), "hello");
    assert_eq!(http::get(program.address, "/nowhere", &[]).status, 404);
    for service in ["", "readiness", "liveness", "inventory"] {
        assert_eq!(served(&program, service).await, Ok(ServingStatus::Serving), "{service}");
    }
    assert_eq!(served(&program, "nowhere").await, Err(Code::NotFound));

    drop(inventory);
    unreachable(&program, "inventory", 503);
    assert_eq!(served(&program, "").await, Ok(ServingStatus::NotServing));
    assert_eq!(served(&program, "liveness").await, Ok(ServingStatus::Serving));
    leaves(program);
}

#[test]
fn an_unusable_variable_is_named_without_its_value() {
    let nobody = format!("127.0.0.1:{}", port::free());
    let url = format!("amqp://app:correct-horse@{nobody}/%2f");
    for (example, variables, names) in [
        ("axum-sqlx", vec![], "DATABASE_URL"),
        ("axum-sqlx", vec![("DATABASE_URL", "postgres//app:correct-horse@host/orders")], "DATABASE_URL"),
        (
            "axum-sqlx",
            vec![("DATABASE_URL", "postgres://host/orders"), ("REDIS_URL", "app:correct-horse@host")],
            "REDIS_URL",
        ),
        ("actix-diesel", vec![("DATABASE_URL", "postgres://host/orders")], "AMQP_URL"),
        ("actix-diesel", vec![("DATABASE_URL", "postgres://host/orders"), ("AMQP_URL", &*url)], "AMQP_URL"),
        ("tonic-axum", vec![("BIND_ADDR", "correct-horse")], "BIND_ADDR"),
        ("tonic-axum", vec![("DRAIN_SECONDS", "correct-horse")], "DRAIN_SECONDS"),
    ] {
        let output = program::output(example, &variables);
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{example}: {text}");
        assert!(
            text.contains(names) && !text.contains("correct-horse"),
            "{example} must name {names} without its value: {text}"
        );
    }
}

/// New users read each example from the beginning to the end.
#[test]
fn each_example_has_at_most_150_lines() {
    let mut found = 0;
    for entry in fs::read_dir(repository().join("examples")).unwrap() {
        let file = entry.unwrap().path().join("src/main.rs");
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let lines = text.lines().count();
        assert!(lines <= 150, "{} has {lines} lines", file.display());
        found += 1;
    }
    assert!(found >= 7, "{found} examples");
}
