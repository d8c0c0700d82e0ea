//! The `RuntimeLag` check, on real time: it measures it.

use std::{
    thread,
    time::{Duration, Instant},
};

use health_core::{CheckExt as _, Health, Reason, RuntimeLag, Status};
use tokio::{runtime, time::sleep};

use crate::support::{checked, invalid, millis, observed, rerun, secs, verdict};

fn watched() -> runtime::Runtime {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A machine that stalls is late, too.
async fn until_healthy(health: &Health) {
    let began = Instant::now();
    loop {
        sleep(millis(300)).await;
        if rerun(health).await.status == Status::Healthy {
            return;
        }
        assert!(began.elapsed() < secs(10), "{:?}", health.report());
    }
}

/// A runtime that is gone is late without end.
#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_gone_is_not_green() {
    let other = watched();
    let check = RuntimeLag::of(other.handle().clone()).warn_above(millis(300)).fail_above(millis(900));
    let health = checked(check.every(secs(60)).recheck(secs(60))).await;
    until_healthy(&health).await;
    other.shutdown_background();
    sleep(millis(1_200)).await;
    for _ in 0..2 {
        assert_eq!(rerun(&health).await.status, Status::Unhealthy);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_runtime_is_late_and_an_idle_one_is_not() {
    let other = watched();
    let check = RuntimeLag::of(other.handle().clone()).warn_above(millis(300)).fail_above(millis(900));
    // Nobody else asks meanwhile.
    let health = checked(check.every(secs(60)).recheck(secs(60))).await;
    until_healthy(&health).await;
    other.spawn(async { thread::sleep(Duration::from_millis(1_500)) });
    sleep(millis(700)).await;
    // Still blocked: the sleep going on counts.
    let report = rerun(&health).await;
    assert!(report.status >= Status::Degraded && observed(&report, "lag") > 300.0, "{report:?}");
    assert_eq!(report.reason, Some(Reason::Threshold));
    sleep(millis(1_000)).await;
    let report = rerun(&health).await;
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Threshold)), "{report:?}");
    assert!(observed(&report, "lag") > 900.0, "{report:?}");
    until_healthy(&health).await;
    tokio::task::spawn_blocking(move || drop(other)).await.unwrap();
}

#[tokio::test]
async fn it_is_allowed_in_liveness_and_its_limits_are_in_order() {
    drop(checked(RuntimeLag::new().liveness()).await);
    assert!(invalid(RuntimeLag::new().warn_above(secs(5)).fail_above(secs(5))).contains("less than"));
}
