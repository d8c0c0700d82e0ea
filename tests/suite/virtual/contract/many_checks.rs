//! Hundreds of checks, such as one per tenant.

use health_core::{BuildError, CheckExt as _, Endpoint, Health, Probe, Status, Visibility, check_fn, testing::Frozen};
use health_tests::support::{ask, body, code, settle};

fn tenant(number: usize) -> (String, health_core::Registration) {
    (format!("tenant-{number}"), check_fn(|| async { Ok(()) }).tag("tenants").report_only().no_metrics())
}

#[tokio::test(start_paused = true)]
async fn five_hundred_tenants_are_inserted_at_once_and_leave_the_metrics_page_small() {
    let health = Health::builder().check("database", check_fn(|| async { Ok(()) })).start().unwrap();
    assert!(health.ready().await);
    let before = body(&health, "/health/metrics").len();
    health.insert_all((0..500).map(tenant)).unwrap();
    settle().await;
    assert_eq!(health.report().checks().len(), 501);
    assert_eq!(health.report().check("tenant-499").unwrap().status(), Status::Healthy);
    assert_eq!(code(&health, "/health/tags/tenants"), 200);
    let page = body(&health, "/health/metrics");
    assert!(!page.contains("tenant-") && page.contains("check=\"database\""), "{page}");
    assert!(page.len() < before + 200, "{} bytes, {before} before", page.len());
    health.stop().await;
}

#[tokio::test]
async fn insert_all_inserts_every_check_or_none() {
    let health = Health::builder()
        .grpc_service("orders.v1.Orders", Probe::Readiness)
        .check("tenant-3", check_fn(|| async { Ok(()) }))
        .start()
        .unwrap();
    let error = health.insert_all((0..5).map(tenant)).unwrap_err();
    assert_eq!(error, BuildError::DuplicateName { name: "tenant-3".to_owned() });
    let alike = [("a b", "x"), ("c", "a b"), ("d", "nobody"), ("orders.v1.Orders", "c")];
    let alike = alike.map(|(name, upstream)| (name, check_fn(|| async { Ok(()) }).depends_on(upstream)));
    let error = health.insert_all(alike).unwrap_err().to_string();
    let told: Vec<&str> = error.lines().collect();
    assert_eq!(told.len(), 5, "{error}");
    for (line, words) in told.iter().zip(["4 mistakes:", "\"a b\"", "\"x\"", "\"nobody\"", "already means a check"]) {
        assert!(line.contains(words), "no {words} in {error}");
    }
    assert_eq!(health.report().checks().len(), 1);
    health.stop().await;
    assert_eq!(health.insert_all([tenant(9)]).unwrap_err(), BuildError::Stopped);
}

/// A check without series of its own counts in the totals.
#[test]
fn a_check_without_metrics_counts_in_the_totals() {
    let silent = check_fn(|| async { Ok(()) }).no_metrics();
    let frozen = Frozen::new(Health::builder().check("silent", silent)).unwrap();
    frozen.record("silent", health_core::Outcome::unhealthy("no").detail("x", 1), std::time::Duration::ZERO).unwrap();
    let endpoint = Endpoint::new(frozen.health()).visibility(Visibility::Full);
    let page = String::from_utf8(ask(&endpoint, "GET", "/health/metrics").body.to_vec()).unwrap();
    assert!(page.contains("health_status{status=\"unhealthy\"} 1\n") && !page.contains("silent"), "{page}");
}
