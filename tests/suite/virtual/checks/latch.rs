//! The `Latch` check.

use health_core::{Health, Latch, Probe, Reason, Status};

use health_tests::support::{checked, rerun, shown};

#[tokio::test(start_paused = true)]
async fn readiness_waits_until_every_clone_is_dropped() {
    let latch = Latch::new();
    let clone = latch.clone();
    let health = checked(latch.check()).await;
    assert_eq!(health.status(Probe::Readiness), Status::Unhealthy);
    drop(latch);
    let report = rerun(&health).await;
    assert_eq!((report.status(), report.reason()), (Status::Unhealthy, Some(Reason::Starting)));
    drop(clone);
    assert_eq!(shown(&health).status(), Status::Healthy, "published before the drop returned");
    assert_eq!(health.status(Probe::Readiness), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_task_releases_its_latch() {
    let latch = Latch::new();
    let check = latch.check();
    let task = tokio::spawn(async move {
        let _held = latch;
        panic!("the work failed");
    });
    assert!(task.await.is_err());
    let health = Health::builder().check("x", check).start().unwrap();
    assert_eq!(rerun(&health).await.status(), Status::Healthy);
}
