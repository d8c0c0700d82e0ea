//! No output carries a secret: no body at any visibility, no log line at any level. The fault table and
//! `real::operations::secrets` test the texts of drivers and examples with real servers.

use std::time::Duration;

use health_core::{CheckError, Endpoint, Health, Outcome, Visibility, check_fn, testing::Frozen};
use health_tests::{
    secret::{ENCODED, PASSWORD, is_clean},
    support::{Lines, ask},
};

#[test]
fn no_body_at_any_visibility_and_no_debug_output_has_a_secret() {
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
                "/health?format=html",
                "/health/checks/x?format=html",
                "/health/checks/x?format=svg",
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
async fn no_log_line_at_any_level_has_a_secret() {
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
        ["check is unhealthy", "check panicked", "check is degraded", "exceeds a limit", "postgres://***@db/orders"]
    {
        assert!(log.contains(words), "{words:?} is not in {log}");
    }
    is_clean(&log, "the log");
    assert!(!log.contains("opensesame"), "{log}");
}
