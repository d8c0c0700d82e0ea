//! The `Gauge` check.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use health_core::{Check as _, Endpoint, Gauge, Health, Limits, Outcome, Reason, Status, Visibility, testing::Frozen};
use health_tests::support::{ask, millis};

#[tokio::test(start_paused = true)]
async fn the_value_is_observed_and_judged_by_its_limits() {
    let length = Arc::new(AtomicU64::new(5));
    let read = Arc::clone(&length);
    let gauge = Gauge::new(move || read.load(Ordering::SeqCst)).unit("jobs");
    let gauge = gauge.warn_above(10).fail_above(20).warn_below(3).fail_below(1);
    let health = Health::builder().check("queue", gauge).start().unwrap();
    for (value, status) in [
        (5, Status::Healthy),
        (10, Status::Healthy),
        (11, Status::Degraded),
        (21, Status::Unhealthy),
        (2, Status::Degraded),
        (0, Status::Unhealthy),
    ] {
        length.store(value, Ordering::SeqCst);
        assert_eq!(health.refresh("queue").await, Ok(status), "{value}");
        let report = health.report();
        let check = report.check("queue").unwrap();
        assert_eq!(check.reason(), (status != Status::Healthy).then_some(Reason::Threshold));
        assert_eq!((&*check.observed()[0].name, &*check.observed()[0].unit), ("value", "jobs"));
        assert!((check.observed()[0].value.as_f64() - value as f64).abs() < f64::EPSILON);
    }
}

#[tokio::test(start_paused = true)]
async fn nan_is_unhealthy() {
    let health = Health::builder().check("ratio", Gauge::new(|| f64::NAN)).start().unwrap();
    assert_eq!(health.refresh("ratio").await, Ok(Status::Unhealthy));
}

#[test]
fn limits_are_shown_beside_the_number() {
    let frozen = Frozen::new(Health::builder().check("x", Gauge::new(|| 1))).unwrap();
    let limits = Limits::new().warn_above(1_000).fail_above(10_000);
    let outcome = Outcome::healthy().observe_within("length", 42, "messages", limits).observe("age", 1.5, "s");
    frozen.record("x", outcome, millis(1)).unwrap();
    let page = |visibility| {
        let endpoint = Endpoint::new(frozen.health()).visibility(visibility);
        String::from_utf8(ask(&endpoint, "GET", "/health").body.to_vec()).unwrap()
    };
    let shown = concat!(
        r#""observed":{"length":{"value":42,"unit":"messages","warn_above":1000,"fail_above":10000},"#,
        r#""age":{"value":1.5,"unit":"s"}}"#
    );
    assert!(page(Visibility::Full).contains(shown), "{}", page(Visibility::Full));
    assert!(!page(Visibility::Checks).contains("warn_above"));
}

#[tokio::test]
async fn a_gauge_observes_its_value_within_its_limits() {
    let outcome = Gauge::new(|| 7).warn_above(10).fail_below(1).check().await.unwrap();
    let number = &outcome.get_observed()[0];
    assert_eq!((number.limits.warn_above, number.limits.fail_below), (Some(10.into()), Some(1.into())));
    assert_eq!((number.limits.fail_above, number.limits.warn_below), (None, None));
}
