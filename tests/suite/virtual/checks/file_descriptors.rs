//! The `FileDescriptors` check, on this process.

use std::fs::File;

use health_core::{FileDescriptors, Reason, Status};

use health_tests::support::{checked, observed, rerun, shown, verdict};

#[tokio::test(start_paused = true)]
async fn opened_files_are_counted() {
    let health = checked(FileDescriptors::new()).await;
    let before = observed(&shown(&health), "open");
    let files: Vec<File> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
    let report = rerun(&health).await;
    assert!((observed(&report, "open") - before - 50.0).abs() < 6.0, "{before}, then {report:?}");
    assert!(observed(&report, "limit") > 0.0);
    drop(files);
    let tight = checked(FileDescriptors::new().warn_above(0.0001).fail_above(0.0002)).await;
    assert_eq!(verdict(&shown(&tight)), (Status::Unhealthy, Some(Reason::Threshold)));
}
