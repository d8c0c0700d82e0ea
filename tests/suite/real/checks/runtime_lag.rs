//! The `RuntimeLag` check on a runtime that is idle, blocked and gone, in real time: it measures it.

use std::sync::Arc;

use health_core::{CheckExt as _, CheckReport, Health, Reason, RuntimeLag, Status};
use health_tests::{
    support::{Blocked, checked, invalid, millis, observed, rerun, secs},
    wait,
};
use tokio::runtime;

fn watched() -> runtime::Runtime {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A check of that runtime that nobody else asks.
async fn check_of(other: &runtime::Runtime) -> Health {
    let check = RuntimeLag::of(other.handle().clone()).warn_above(millis(300)).fail_above(millis(900));
    checked(check.every(secs(60)).recheck(secs(60))).await
}

/// Runs the check again and again until it says so: a machine that stalls is late, too.
async fn until(health: &Health, status: Status) -> Arc<CheckReport> {
    wait::done(status.as_str(), async || {
        let report = rerun(health).await;
        if report.status() == status { Ok(report) } else { Err(report) }
    })
    .await
}

/// A runtime that is gone is late without end.
#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_gone_is_not_green() {
    let other = watched();
    let health = check_of(&other).await;
    until(&health, Status::Healthy).await;
    other.shutdown_background();
    until(&health, Status::Unhealthy).await;
    assert_eq!(rerun(&health).await.status(), Status::Unhealthy, "for good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_runtime_is_late_and_an_idle_one_is_not() {
    let other = watched();
    let health = check_of(&other).await;
    until(&health, Status::Healthy).await;
    let blocked = Blocked::workers(other.handle(), 1);
    // Still blocked: the sleep going on counts.
    let report = until(&health, Status::Unhealthy).await;
    assert_eq!(report.reason(), Some(Reason::Threshold));
    assert!(observed(&report, "lag") > 900.0, "{report:?}");
    drop(blocked);
    until(&health, Status::Healthy).await;
    tokio::task::spawn_blocking(move || drop(other)).await.unwrap();
}

#[tokio::test]
async fn it_is_allowed_in_liveness_and_its_limits_are_in_order() {
    drop(checked(RuntimeLag::new().liveness()).await);
    assert!(invalid(RuntimeLag::new().warn_above(secs(5)).fail_above(secs(5))).contains("less than"));
}
