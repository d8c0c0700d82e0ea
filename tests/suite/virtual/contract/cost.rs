//! Cached answers allocate nothing.

use std::time::Duration;

use allocation_counter::measure;
use health_core::{
    CheckExt as _, Endpoint, Health, Outcome, Request, Visibility, check_fn,
    testing::{Frozen, scripted},
};
use health_tests::support::{millis, poll_once, settle};

const TOKEN: &str = "the-token-of-the-cost-test";

fn frozen(checks: usize) -> Frozen {
    let mut builder = Health::builder().service("orders").version("1.4.2");
    for number in 0..checks {
        builder = builder.check(format!("check-{number}"), check_fn(|| async { Ok(()) }));
    }
    let frozen = Frozen::new(builder).unwrap();
    for number in 0..checks {
        frozen.record(&format!("check-{number}"), Outcome::healthy(), Duration::from_micros(1420)).unwrap();
    }
    frozen
}

/// Returns the number of allocations of an answer that this thread has given before.
fn allocations(endpoint: &Endpoint, method: &str, target: &str, headers: &[(&str, &str)]) -> u64 {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let lines = |name: &str, line: usize| header(name).filter(|_| line == 0);
    let request = Request::new(method, path, query, None, &lines);
    let first = endpoint.respond(&request).unwrap();
    let info = measure(|| {
        let again = endpoint.respond(&request).unwrap();
        assert_eq!(again.body, first.body);
    });
    info.count_total
}

#[test]
fn a_cached_answer_allocates_nothing() {
    for checks in [1, 10, 100, 10_000] {
        let frozen = frozen(checks);
        let endpoint = Endpoint::new(frozen.health()).full_for_bearer(TOKEN);
        let bearer = format!("Bearer {TOKEN}");
        for method in ["GET", "HEAD", "OPTIONS"] {
            for target in [
                "/health",
                "/health/live",
                "/health/ready",
                "/health?format=health",
                "/health?format=text&x=1",
                "/health?format=html",
                "/health/ready?format=html",
                "/health/checks/check-0?format=html&refresh=5",
                "/health?format=svg",
                "/health/metrics",
                "/health/checks/check-0",
                "/livez",
                "/readyz",
                "/readyz?verbose",
                "/healthz/check-0",
                "/health/checks/%63heck-0",
                "/health/checks/nope",
                "/health?format=nope",
            ] {
                for headers in [
                    &[][..],
                    &[("accept", "application/json;q=0.5, application/health+json, */*;q=0.1")],
                    &[("authorization", bearer.as_str())],
                    &[("authorization", "Bearer nobody-has-this-token")],
                ] {
                    let count = allocations(&endpoint, method, target, headers);
                    assert_eq!(count, 0, "{checks} checks, {method} {target} {headers:?}");
                }
            }
        }
        // The same holds while a check is Unhealthy.
        frozen.record("check-0", Outcome::unhealthy("refused"), Duration::ZERO).unwrap();
        let targets =
            ["/health", "/readyz", "/readyz?verbose", "/readyz/check-0", "/health/checks/check-0", "/health/metrics"];
        for target in targets {
            assert_eq!(allocations(&endpoint, "GET", target, &[]), 0, "{target}");
        }
        // The same holds while all results are stale, when the service has the least capacity to spare.
        frozen.advance(Duration::from_secs(100));
        for target in targets {
            assert_eq!(allocations(&endpoint, "GET", target, &[]), 0, "{target}, stale");
        }
        let health = frozen.health();
        let services = health.services();
        let serving = || services.iter().filter(|service| health.serving(service) == Some(true)).count();
        // Liveness and startup have no checks here.
        assert_eq!(measure(|| assert_eq!(serving(), 2)).count_total, 0, "{checks} checks, gRPC");
    }
}

#[test]
fn a_cached_answer_with_a_group_allocates_nothing() {
    for members in [1, 10_000] {
        let builder = Health::builder().group("tenants").check("database", check_fn(|| async { Ok(()) }));
        let member = || check_fn(|| async { Ok(()) }).tag("tenants");
        let builder = (0..members).fold(builder, |builder, number| builder.check(format!("tenant-{number}"), member()));
        let frozen = Frozen::new(builder).unwrap();
        frozen.record("tenant-0", Outcome::unhealthy("refused"), Duration::ZERO).unwrap();
        let endpoint = Endpoint::new(frozen.health());
        for target in [
            "/health",
            "/health?format=health",
            "/health?format=text",
            "/health?format=html",
            "/health/tags/tenants",
            "/health/metrics",
            "/readyz",
        ] {
            assert_eq!(allocations(&endpoint, "GET", target, &[]), 0, "{members} members, {target}");
        }
    }
}

#[test]
fn a_cached_answer_of_render_with_allocates_nothing() {
    let frozen = frozen(10);
    let endpoint = Endpoint::new(frozen.health())
        .visibility(Visibility::Status)
        .render_with(|report, _| health_core::Rendered::new("text/plain", report.status().as_str()));
    assert_eq!(allocations(&endpoint, "GET", "/health", &[]), 0);
    frozen.advance(Duration::from_secs(100));
    assert_eq!(allocations(&endpoint, "GET", "/health", &[]), 0, "stale");
}

/// The scheduler runs. The request that wakes a check is the only one that touches more than the snapshot.
#[tokio::test(start_paused = true)]
async fn waking_a_check_allocates_nothing() {
    let (check, prompter) = scripted();
    let health = Health::builder().check("x", check).start().unwrap();
    assert!(health.ready().await);
    let endpoint = Endpoint::new(health);
    let request = Request::new("GET", "/readyz", None, None, &|_, _| None);
    endpoint.respond(&request).unwrap();
    // The result becomes older than `max_age` before any task can run.
    assert!(!poll_once(tokio::time::advance(millis(1_100))));
    let info = measure(|| drop(endpoint.respond(&request)));
    assert_eq!(info.count_total, 0);
    assert_eq!(prompter.runs(), 1);
    settle().await;
    assert_eq!(prompter.runs(), 2, "the request woke the check");
}

/// A new thread allocates only for its first request, whatever the page, and not for pages that another thread
/// rendered.
#[test]
fn a_page_that_another_thread_rendered_allocates_nothing() {
    let frozen = frozen(10);
    let endpoint = Endpoint::new(frozen.health());
    let targets = ["/health", "/health?format=health", "/readyz?verbose", "/health/checks/check-1"];
    let ask = |target: &str| {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        endpoint.respond(&Request::new("GET", path, query, None, &|_, _| None)).unwrap();
    };
    targets.into_iter().for_each(ask);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            ask("/livez");
            for target in targets {
                assert_eq!(measure(|| ask(target)).count_total, 0, "{target}");
            }
        });
    });
}
