//! The `Toggle` check.

use health_core::{Probe, Reason, Status, Toggle};
use tokio::time::sleep;

use health_tests::support::{checked, code, millis, rerun, shown};

#[tokio::test(start_paused = true)]
async fn it_stands_as_it_was_turned() {
    let toggle = Toggle::new();
    let health = checked(toggle.check()).await;
    assert_eq!(shown(&health).status, Status::Healthy);
    toggle.clone().unhealthy("moving");
    let report = rerun(&health).await;
    assert_eq!(
        (report.status, report.reason, report.message.as_deref()),
        (Status::Unhealthy, Some(Reason::Failed), Some("moving"))
    );
    assert_eq!(health.status(Probe::Readiness), Status::Unhealthy);
    toggle.degraded("half");
    assert_eq!(rerun(&health).await.status, Status::Degraded);
    toggle.healthy();
    let report = rerun(&health).await;
    assert_eq!((report.status, report.message.as_deref()), (Status::Healthy, None));
}

#[tokio::test(start_paused = true)]
async fn who_asks_sees_a_turn_within_a_second() {
    let toggle = Toggle::new();
    let health = checked(toggle.check()).await;
    toggle.unhealthy("now");
    sleep(millis(1_001)).await;
    assert_eq!(code(&health, "/readyz"), 200, "the old snapshot, and a wake");
    sleep(millis(1)).await;
    assert_eq!(code(&health, "/readyz"), 503);
}
