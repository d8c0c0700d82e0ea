//! The example services as programs: what they serve, and how they leave.

use std::time::{Duration, Instant};

use health_tests::{
    http,
    program::{self, EXAMPLES, Program},
};
use nix::sys::signal::Signal;

use crate::support::{millis, secs};

const TOKEN: &str = "a-token-for-the-examples";

#[test]
fn they_run_without_any_variable() {
    for example in EXAMPLES {
        let program = Program::start(example, &[]);
        program.ready();
        let hello = http::get(program.address, "/", &[]);
        assert_eq!((hello.status, hello.text().as_str()), (200, "hello"), "{example}");
        let health = http::get(program.address, "/health", &[]);
        assert_eq!(health.status, 200, "{example}: {}", health.text());
        let checks: Vec<String> = health.json()["checks"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(checks, ["queue", "worker"]);
        assert_eq!(http::get(program.address, "/livez?verbose", &[]).text(), "[+]worker ok\nlivez check passed\n");
        assert_eq!(http::get(program.address, "/nowhere", &[]).status, 404);
    }
}

#[test]
fn the_token_shows_everything_and_a_short_one_nothing_more() {
    for example in EXAMPLES {
        let program = Program::start(example, &[("HEALTH_TOKEN", TOKEN)]);
        let full = http::get(program.address, "/health", &[("authorization", &format!("Bearer {TOKEN}"))]);
        assert_eq!(full.json()["service"], "health-examples", "{example}");
        assert_eq!(http::get(program.address, "/health", &[]).json().get("service"), None);
        let program = Program::start(example, &[("HEALTH_TOKEN", "short")]);
        program.ready();
        let ordinary = http::get(program.address, "/health", &[("authorization", "Bearer short")]);
        assert_eq!((ordinary.status, ordinary.json().get("service")), (200, None));
        assert!(program.log().contains("grants nobody"), "{}", program.log());
    }
}

#[test]
fn they_drain_on_a_signal_and_exit_with_0() {
    let both = |example| [(example, Signal::SIGTERM), (example, Signal::SIGINT)];
    for (example, signal) in EXAMPLES.into_iter().flat_map(both) {
        let mut program = Program::start(example, &[("DRAIN_SECONDS", "2")]);
        program.ready();
        let began = Instant::now();
        program.process.signal(signal);
        let drained = loop {
            let ready = http::get(program.address, "/health/ready", &[]);
            if ready.status == 503 {
                break ready;
            }
            assert!(began.elapsed() < secs(1), "{example} does not drain");
        };
        assert_eq!(drained.json()["reason"], "draining", "{example}");
        while began.elapsed() < secs(1) {
            // It serves on, alive, until the delay is over.
            assert_eq!(http::get(program.address, "/livez", &[]).status, 200);
            assert_eq!(http::get(program.address, "/", &[]).status, 200);
            std::thread::sleep(Duration::from_millis(50));
        }
        let status = program.process.ended(secs(8));
        assert!(status.success(), "{example} ended with {status}");
        assert!(began.elapsed() >= secs(2));
    }
}

#[test]
fn a_second_signal_ends_them_at_once() {
    for (example, second, code) in
        [("actix", Signal::SIGTERM, 143), ("axum", Signal::SIGINT, 130), ("warp", Signal::SIGTERM, 143)]
    {
        let mut program = Program::start(example, &[("DRAIN_SECONDS", "60")]);
        program.ready();
        program.process.signal(Signal::SIGTERM);
        let began = Instant::now();
        while http::get(program.address, "/readyz", &[]).status != 503 {
            assert!(began.elapsed() < secs(1), "{example} does not drain");
        }
        program.process.signal(second);
        let status = program.process.ended(secs(2));
        assert_eq!(status.code(), Some(code), "{example} ended with {status}");
    }
}

#[test]
#[ignore = "needs PostgreSQL and Redis: tests/run"]
fn they_watch_what_they_are_given() {
    let database = health_tests::postgres::Server::start();
    let redis = health_tests::redis::Server::start();
    for example in EXAMPLES {
        let variables = [("DATABASE_URL", &*database.url()), ("REDIS_URL", &*redis.url()), ("HEALTH_TOKEN", TOKEN)];
        let program = Program::start(example, &variables);
        let began = Instant::now();
        let bearer = format!("Bearer {TOKEN}");
        let health = loop {
            let health = http::get(program.address, "/health", &[("authorization", &bearer)]);
            if health.status == 200 {
                break health.json();
            }
            assert!(began.elapsed() < secs(10), "{example}: {}", health.text());
            std::thread::sleep(millis(20));
        };
        let mut checks: Vec<String> = health["checks"].as_object().unwrap().keys().cloned().collect();
        checks.sort();
        assert_eq!(checks, ["cache", "database", "jobs", "queue", "worker"], "{example}");
        assert_eq!(health["checks"]["cache"]["critical"], false);
        assert_eq!(health["checks"]["jobs"]["observed"]["length"]["value"], 0);
        assert_eq!(health["checks"]["database"]["observed"]["pool_max"]["value"], 8);
    }
}

#[test]
fn settings_come_from_a_file_and_from_variables() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("health.toml");
    let path = file.to_str().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    for example in EXAMPLES {
        std::fs::write(&file, "[defaults]\nevery = \"9s\"\n[checks.queue]\ntimeout = \"3s\"\nfailures = 2\n").unwrap();
        let variables = [("HEALTH_TOKEN", TOKEN), ("HEALTH_CONFIG", path), ("HEALTH_CHECKS__QUEUE__TIMEOUT", "1s")];
        let program = Program::start(example, &variables);
        let checks = http::get(program.address, "/health", &[("authorization", &bearer)]).json()["checks"].clone();
        // The variable overrules the file, and the file the code.
        assert_eq!(
            (checks["queue"]["timeout_ms"].as_f64(), checks["queue"]["interval_ms"].as_f64()),
            (Some(1_000.0), Some(9_000.0))
        );
        assert_eq!(checks["worker"]["timeout_ms"].as_f64(), Some(2_000.0));
        let program = Program::start(example, &[("HEALTH_CHECKS__QUEUE__ENABLED", "false")]);
        let checks = http::get(program.address, "/health", &[]).json()["checks"].clone();
        assert_eq!(checks.as_object().unwrap().keys().collect::<Vec<_>>(), ["worker"]);

        std::fs::write(&file, "[checks.queue]\ntimeout = 1\n").unwrap();
        for (name, value, words) in [
            ("HEALTH_CHECKS__QEUE__TIMEOUT", "1s", "qeue"),
            ("HEALTH_CHECKS__QUEUE__TIMEOT", "1s", "timeot"),
            ("HEALTH_CHECKS__QUEUE__TIMEOUT", "soon", "timeout"),
            ("HEALTH_CONFIG", path, "unit"),
            ("HEALTH_CONFIG", "/nowhere/health.toml", "HEALTH_CONFIG"),
        ] {
            let output = program::output(example, &[(name, value)]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{example} {name}={value}: {said}");
            assert!(said.contains(words), "{words} is not in {said}");
        }
    }
}
