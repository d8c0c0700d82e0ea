//! The `RuntimeLag` check, on real time: it measures it.

use std::{thread, time::Duration};

use health_core::{CheckExt as _, Reason, RuntimeLag, Status};
use tokio::{runtime, time::sleep};

use crate::support::{checked, invalid, millis, observed, rerun, secs, verdict};

fn watched() -> runtime::Runtime {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_runtime_is_late_and_an_idle_one_is_not() {
    let other = watched();
    let check = RuntimeLag::of(other.handle().clone()).warn_above(millis(300)).fail_above(millis(900));
    // Nobody else asks meanwhile.
    let health = checked(check.every(secs(60)).recheck(secs(60))).await;
    sleep(millis(400)).await;
    assert_eq!(rerun(&health).await.status, Status::Healthy);
    other.spawn(async { thread::sleep(Duration::from_millis(1_500)) });
    sleep(millis(700)).await;
    // Still blocked: the sleep going on counts.
    assert_eq!(verdict(&*rerun(&health).await), (Status::Degraded, Some(Reason::Threshold)));
    sleep(millis(1_000)).await;
    let report = rerun(&health).await;
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Threshold)), "{report:?}");
    assert!(observed(&report, "lag") > 900.0, "{report:?}");
    sleep(millis(300)).await;
    assert_eq!(rerun(&health).await.status, Status::Healthy);
    tokio::task::spawn_blocking(move || drop(other)).await.unwrap();
}

#[tokio::test]
async fn it_is_allowed_in_liveness_and_its_limits_are_in_order() {
    drop(checked(RuntimeLag::new().liveness()).await);
    assert!(invalid(RuntimeLag::new().warn_above(secs(5)).fail_above(secs(5))).contains("less than"));
}
