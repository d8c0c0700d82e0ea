//! The `DiskSpace` and `SpoolDirectory` checks on a file system that hangs.

use health_core::{DiskSpace, Health, Reason, Registration, SpoolDirectory, Status};
use health_tests::{hung_mount::HungMount, process, support::millis, wait};

/// The mount behaves like a network file system whose server is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_hangs_is_a_timeout_and_holds_one_thread() {
    let mount = HungMount::new();
    let pace = |check: Registration| check.timeout(millis(200)).every(millis(100)).recheck(millis(50));
    let health = Health::builder()
        .check("disk", pace(DiskSpace::new(mount.path()).into()))
        .check("spool", pace(SpoolDirectory::new(mount.path()).into()))
        .start()
        .unwrap();
    for check in ["disk", "spool"] {
        assert_eq!(health.refresh(check).await, Ok(Status::Unhealthy));
    }
    for _ in 0..10 {
        for check in ["disk", "spool"] {
            health.refresh(check).await.unwrap();
            let report = health.report();
            assert_eq!(report.check(check).unwrap().reason(), Some(Reason::Timeout), "{report:?}");
        }
    }
    let report = health.report();
    let message = report.check("disk").unwrap().message().unwrap_or_default();
    assert!(message.contains("still blocks its thread"), "{message}");
    assert_eq!(process::threads_of_checks(), ["health-disk", "health-spool"], "one thread for each");
    // Once it lets go, the next run tells.
    drop(mount);
    wait::done("another reason", async || {
        health.refresh("disk").await.unwrap();
        match health.report().check("disk").unwrap().reason() {
            Some(Reason::Timeout) => Err("timeout"),
            _ => Ok(()),
        }
    })
    .await;
    health.stop().await;
}
