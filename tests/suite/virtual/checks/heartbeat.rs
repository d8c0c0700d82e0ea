//! The `Heartbeat` check.

use health_core::{CheckExt as _, Health, Heartbeat, Reason, Status};
use tokio::time::sleep;

use health_tests::support::secs;

#[tokio::test(start_paused = true)]
async fn a_late_beat_is_degraded_and_then_unhealthy() {
    let heartbeat = Heartbeat::new().warn_after(secs(5)).fail_after(secs(20));
    let health = Health::builder().check("worker", heartbeat.check().liveness()).start().unwrap();
    for (pause, expected) in
        [(0, Status::Healthy), (4, Status::Healthy), (2, Status::Degraded), (15, Status::Unhealthy)]
    {
        sleep(secs(pause)).await;
        assert_eq!(health.refresh("worker").await, Ok(expected), "after {pause} s more");
    }
    assert_eq!(health.report().check("worker").unwrap().reason(), Some(Reason::Threshold));
    heartbeat.clone().beat();
    assert_eq!(health.refresh("worker").await, Ok(Status::Healthy));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_heartbeat_fails_at_once() {
    let heartbeat = Heartbeat::new();
    let clone = heartbeat.clone();
    let health = Health::builder().check("worker", heartbeat.check()).start().unwrap();
    drop(heartbeat);
    assert_eq!(health.refresh("worker").await, Ok(Status::Healthy));
    drop(clone);
    assert_eq!(health.refresh("worker").await, Ok(Status::Unhealthy));
    assert_eq!(health.report().check("worker").unwrap().reason(), Some(Reason::Failed));
}
