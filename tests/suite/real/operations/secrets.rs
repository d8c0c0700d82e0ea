//! No output of the examples contains a secret, also when their configuration or their servers are faulty.

use health_tests::{
    http, port, postgres,
    program::{self, EXAMPLES, Program},
    redis,
    secret::{ENCODED, PASSWORD, is_clean},
    wait,
};

#[test]
fn the_examples_end_with_a_clear_error_and_no_password() {
    let database = format!("postgres://app:{ENCODED}@db:5432/orders?nonsense={ENCODED}");
    let tls = format!("postgres://app:{ENCODED}@db:5432/orders?sslmode=require");
    let redis = format!("redis://:{ENCODED}@cache:6379/none");
    for example in EXAMPLES {
        for (variable, value) in [
            ("DATABASE_URL", database.as_str()),
            ("DATABASE_URL", tls.as_str()),
            ("DATABASE_URL", "s3cr3t"),
            ("DATABASE_URL", ""),
            ("REDIS_URL", redis.as_str()),
            ("REDIS_URL", "s3cr3t://x"),
            ("BIND_ADDR", "s3cr3t"),
            ("DRAIN_SECONDS", "-1"),
            ("DRAIN_SECONDS", "soon"),
        ] {
            let output = program::output(example, &[(variable, value), ("RUST_LOG", "trace")]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(2), "{example} {variable}={value:?}: {said}");
            assert!(said.contains(variable) && said.contains("expected"), "{said}");
            is_clean(&said, example);
        }
    }
}

/// Against closed ports, at every log level and every visibility.
#[test]
fn the_examples_show_no_password_of_a_server_that_is_down() {
    let (database, redis) = (port::free(), port::free());
    let variables = [
        ("DATABASE_URL", format!("postgres://app:{ENCODED}@127.0.0.1:{database}/orders")),
        ("REDIS_URL", format!("redis://app:{ENCODED}@127.0.0.1:{redis}/0")),
        ("HEALTH_TOKEN", format!("token-{PASSWORD}")),
        ("RUST_LOG", "trace".to_owned()),
    ];
    for example in EXAMPLES {
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        watch(&Program::start(example, &variables), "unreachable");
    }
}

/// Against real servers that refuse the password and are then killed.
#[test]
fn the_examples_show_no_password_of_a_server_that_refuses_it() {
    let mut database = postgres::Server::start();
    let mut redis = redis::Server::start();
    let variables = [
        ("DATABASE_URL", format!("postgres://app:{ENCODED}@127.0.0.1:{}/orders", database.port())),
        ("REDIS_URL", format!("redis://:{ENCODED}@127.0.0.1:{}/0", redis.port())),
        ("HEALTH_TOKEN", format!("token-{PASSWORD}")),
        ("RUST_LOG", "trace".to_owned()),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let programs = EXAMPLES.map(|example| Program::start(example, &variables));
    for program in &programs {
        watch(program, "rejected");
    }
    database.kill();
    redis.kill();
    for program in &programs {
        watch(program, "unreachable");
    }
}

/// Reads every output about the servers of an example until all their checks show the reason.
fn watch(program: &Program, reason: &str) {
    let bearer = format!("Bearer token-{PASSWORD}");
    wait::until(reason, || {
        let mut reasons = Vec::new();
        for check in ["database", "cache", "jobs"] {
            let full = [("authorization", bearer.as_str())];
            let answer = http::get(program.address, &format!("/health/checks/{check}"), &full);
            is_clean(&answer.text(), check);
            assert!(answer.json().get("kind").is_some(), "the token grants full visibility");
            reasons.push(answer.json()["reason"].as_str().unwrap_or_default().to_owned());
        }
        for path in [
            "/health",
            "/health?format=health",
            "/health?format=text",
            "/health/metrics",
            "/readyz?verbose",
            "/readyz/database",
        ] {
            is_clean(&http::get(program.address, path, &[]).text(), path);
            is_clean(&http::get(program.address, path, &[("authorization", &bearer)]).text(), path);
        }
        reasons.iter().all(|shown| shown == reason)
    });
    let log = program.log();
    assert!(log.contains("check is unhealthy"), "the log has no line about an unhealthy check: {log}");
    is_clean(&log, "the log");
}
