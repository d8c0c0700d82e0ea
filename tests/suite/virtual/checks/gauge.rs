//! The `Gauge` check.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use health_core::{Gauge, Health, Reason, Status};

#[tokio::test(start_paused = true)]
async fn a_number_is_judged_and_observed() {
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
        assert_eq!(check.reason, (status != Status::Healthy).then_some(Reason::Threshold));
        assert_eq!((&*check.observed[0].name, &*check.observed[0].unit), ("value", "jobs"));
        assert!((check.observed[0].value.as_f64() - value as f64).abs() < f64::EPSILON);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_number_is_unhealthy() {
    let health = Health::builder().check("ratio", Gauge::new(|| f64::NAN)).start().unwrap();
    assert_eq!(health.refresh("ratio").await, Ok(Status::Unhealthy));
}
