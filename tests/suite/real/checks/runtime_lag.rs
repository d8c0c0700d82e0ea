//! The `RuntimeLag` check on an idle, a blocked and a stopped runtime, in real time because it measures real time.

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

/// Returns a [`Health`] that watches the lag of the other runtime.
async fn check_of(other: &runtime::Runtime) -> Health {
    let check = RuntimeLag::of(other.handle().clone()).warn_above(millis(300)).fail_above(millis(900));
    checked(check.every(secs(60)).recheck(secs(60))).await
}

/// Runs the check again and again until it has this status, because a machine that stalls also adds lag.
async fn until(health: &Health, status: Status) -> Arc<CheckReport> {
    wait::done(status.as_str(), async || {
        let report = rerun(health).await;
        if report.status() == status { Ok(report) } else { Err(report) }
    })
    .await
}

/// The lag of a runtime that was shut down has no end.
#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_was_shut_down_is_unhealthy() {
    let other = watched();
    let health = check_of(&other).await;
    until(&health, Status::Healthy).await;
    other.shutdown_background();
    until(&health, Status::Unhealthy).await;
    assert_eq!(rerun(&health).await.status(), Status::Unhealthy, "the runtime stays unhealthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_runtime_is_unhealthy_and_an_idle_one_is_healthy() {
    let other = watched();
    let health = check_of(&other).await;
    until(&health, Status::Healthy).await;
    let blocked = Blocked::workers(other.handle(), 1);
    // The sleep in progress counts, so the lag shows while the runtime is still blocked.
    let report = until(&health, Status::Unhealthy).await;
    assert_eq!(report.reason(), Some(Reason::Threshold));
    assert!(observed(&report, "lag") > 900.0, "{report:?}");
    drop(blocked);
    until(&health, Status::Healthy).await;
    tokio::task::spawn_blocking(move || drop(other)).await.unwrap();
}

#[tokio::test]
async fn the_check_is_allowed_in_liveness_and_limits_out_of_order_are_refused() {
    drop(checked(RuntimeLag::new().liveness()).await);
    assert!(invalid(RuntimeLag::new().warn_above(secs(5)).fail_above(secs(5))).contains("less than"));
}
