//! No output carries a secret: no body at any visibility, no log line at any level, no error text of the examples.

use std::time::Duration;

use health_core::{CheckError, Endpoint, Health, Outcome, Visibility, check_fn, testing::Frozen};
use health_tests::{
    http, kafka, mariadb, nats, port, postgres,
    program::{self, EXAMPLES, Program},
    proxy::Weather,
    rabbitmq, redis, service,
};
use tokio::task::block_in_place;

use crate::{
    fault_rows::{Row, WRONG, at_once, rows},
    support::{Lines, ask, millis, secs},
};

const PASSWORD: &str = "s3cr3t/p@ss%21";
const ENCODED: &str = "s3cr3t%2Fp%40ss%2521";

/// Nothing that would help: neither the password nor its spelling in a URL, whole or in the larger part.
fn is_clean(text: &str, place: &str) {
    for secret in [PASSWORD, ENCODED, "s3cr3t", "ss%21", "ss%2521"] {
        assert!(!text.contains(secret), "{place} has {secret}: {text}");
    }
}

#[test]
fn no_body_at_any_visibility_and_no_debug_output() {
    let builder = Health::builder().secret("opensesame").check("x", check_fn(|| async { Ok(()) }));
    let debug = format!("{builder:?}");
    let frozen = Frozen::new(builder).unwrap();
    for text in [
        format!("postgres://app:{ENCODED}@db/orders: refused"),
        format!("host=db password='{PASSWORD}'"),
        format!("AUTH failed: Bearer {PASSWORD}"),
        "the word is xopensesamex".to_owned(),
    ] {
        let outcome = Outcome::from(CheckError::new(text.clone()))
            .detail("url", text.clone())
            .detail("password", PASSWORD)
            .observe(text.clone(), 1, text.clone());
        is_clean(&format!("{outcome:?}"), "an outcome's Debug output");
        frozen.record("x", outcome, Duration::ZERO).unwrap();
        for visibility in Visibility::ALL {
            let endpoint = Endpoint::new(frozen.health()).visibility(*visibility);
            for path in [
                "/health",
                "/health?format=health",
                "/health?format=text",
                "/health/metrics",
                "/readyz?verbose",
                "/healthz?verbose",
                "/livez",
            ] {
                let body = String::from_utf8(ask(&endpoint, "GET", path).body.to_vec()).unwrap();
                is_clean(&body, path);
                assert!(!body.contains("opensesame"), "{path} {body}");
            }
        }
        let report = format!("{:?} {:?}", frozen.health(), frozen.health().report());
        is_clean(&report, "a report's Debug output");
    }
    assert!(!debug.contains("opensesame"));
}

#[tokio::test(start_paused = true)]
async fn no_log_line_at_any_level() {
    let lines = Lines::default();
    let logging = tracing::dispatcher::set_default(&lines.logging());
    let url: &'static str = Box::leak(format!("postgres://app:{ENCODED}@db/orders").into_boxed_str());
    let fails = check_fn(move || async move { Err::<(), _>(CheckError::new(format!("{url} opensesame"))) });
    let panics = check_fn(move || async move {
        if !url.is_empty() {
            panic!("{url} opensesame")
        }
        Ok(())
    });
    let overflows = check_fn(move || async move { Ok(Outcome::degraded(url).detail("big", "x".repeat(9_000))) });
    let builder = Health::builder().secret("opensesame");
    let health = builder.check("fails", fails).check("panics", panics).check("overflows", overflows).start().unwrap();
    for check in ["fails", "panics", "overflows"] {
        health.refresh(check).await.unwrap();
    }
    health.stop().await;
    drop(logging);
    let log = lines.text();
    for words in
        ["check is unhealthy", "check panicked", "check is degraded", "over its bounds", "postgres://***@db/orders"]
    {
        assert!(log.contains(words), "{words:?} is not in {log}");
    }
    is_clean(&log, "the log");
    assert!(!log.contains("opensesame"), "{log}");
}

#[test]
fn the_examples_end_with_a_clear_error_and_no_password() {
    let database = format!("postgres://app:{ENCODED}@db:5432/orders?nonsense={ENCODED}");
    let tls = format!("postgres://app:{ENCODED}@db:5432/orders?sslmode=require");
    let redis = format!("rediss://:{ENCODED}@cache:6379/0");
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

/// Against ports where nobody listens, at every level of logs and every visibility.
#[test]
fn the_examples_never_tell_a_password_of_what_is_down() {
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

/// The same against real servers that refuse the password, and that die.
#[test]
#[ignore = "needs PostgreSQL and Redis: tests/run"]
fn the_examples_never_tell_a_password_of_what_refuses_it() {
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

/// Reads everything that an example says of its database and cache until both show the reason.
fn watch(program: &Program, reason: &str) {
    let bearer = format!("Bearer token-{PASSWORD}");
    let began = std::time::Instant::now();
    loop {
        let mut reasons = Vec::new();
        for check in ["database", "cache", "jobs"] {
            let full = [("authorization", bearer.as_str())];
            let answer = http::get(program.address, &format!("/health/checks/{check}"), &full);
            is_clean(&answer.text(), check);
            assert!(answer.json().get("kind").is_some(), "the token shows everything");
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
        if reasons.iter().all(|shown| shown == reason) {
            break;
        }
        assert!(began.elapsed() < secs(15), "{reasons:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = program.log();
    assert!(log.contains("check is unhealthy"), "the log tells of it: {log}");
    is_clean(&log, "the log");
}

/// What the drivers of the networked checks say when a password is wrong, nobody listens, and an answer breaks off.
#[test]
#[ignore = "needs every server: tests/run"]
fn no_output_of_any_networked_check() {
    let lines = Lines::default();
    let logging = lines.logging();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        // Whatever runs on these threads is logged: our lines and the drivers' own.
        .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&logging)))
        .build()
        .unwrap();
    let rows = rows().into_iter().filter(|row| row.name != "dns").collect();
    runtime
        .block_on(runtime.spawn(async move {
            at_once(rows, |row| Box::pin(provoke(row))).await;
        }))
        .unwrap();
    drop(runtime);
    let log = lines.text();
    assert!(log.contains("check is unhealthy") && log.contains("TRACE"), "nothing was logged");
    for line in log.lines() {
        has_no_password(line, "the log");
    }
}

/// Every password of the tests' servers, and the wrong one.
fn has_no_password(text: &str, place: &str) {
    let passwords = [
        WRONG,
        kafka::PASSWORD,
        mariadb::PASSWORD,
        nats::PASSWORD,
        postgres::PASSWORD,
        rabbitmq::PASSWORD,
        redis::PASSWORD,
        service::TOKEN,
    ];
    for password in passwords {
        assert!(!text.contains(password), "{place} has {password}: {text}");
    }
}

async fn provoke(row: Row) {
    let place = block_in_place(row.start);
    let mut heard = 0;
    for right in [false, true] {
        let registration = (row.check)(&place, right);
        has_no_password(&format!("{registration:?}"), "a registration's Debug output");
        let check = registration.every(millis(100)).recheck(millis(100)).timeout(secs(1)).readiness();
        let health = Health::builder().service("orders").check("subject", check).start().unwrap();
        let mut changes = health.subscribe();
        if right {
            // From here on there is something to lose, also where every server starts at once.
            let ready = tokio::time::timeout(secs(30), health.ready()).await;
            assert_eq!(ready, Ok(true), "{}: never healthy", row.name);
        }
        for weather in [Weather::Fair, Weather::Reset, Weather::Refused, Weather::Endless(row.endless.0, row.endless.1)]
        {
            block_in_place(|| place.proxy.turns(weather));
            for _ in 0..4 {
                tokio::time::sleep(millis(200)).await;
                has_no_password(&format!("{health:?} {:?}", health.report()), row.name);
                for visibility in Visibility::ALL {
                    let endpoint = Endpoint::new(health.clone()).visibility(*visibility);
                    for path in [
                        "/health",
                        "/health?format=health",
                        "/health?format=text",
                        "/health/metrics",
                        "/health/checks/subject",
                        "/readyz?verbose",
                        "/readyz/subject",
                    ] {
                        let answer = ask(&endpoint, "GET", path);
                        has_no_password(&String::from_utf8_lossy(&answer.body), path);
                    }
                }
            }
        }
        block_in_place(|| place.proxy.turns(Weather::Fair));
        health.stop().await;
        while let Some(change) = changes.next().await {
            has_no_password(&format!("{change:?}"), "a notification");
            heard += 1;
        }
    }
    assert!(heard > 1, "{}: nothing changed", row.name);
}
