//! The `DiskSpace` check, on this machine's file systems.

use health_core::{DiskSpace, Reason, Status};
use health_tests::support::{checked, invalid, observed, shown, verdict};

#[tokio::test(start_paused = true)]
async fn free_space_equals_that_of_df() {
    let directory = tempfile::tempdir().unwrap();
    let health = checked(DiskSpace::new(directory.path()).warn_below(0.001).fail_below(0.0005)).await;
    let report = shown(&health);
    assert_eq!(report.status(), Status::Healthy, "{report:?}");
    let df = std::process::Command::new("df").args(["--output=avail", "-B1"]).arg(directory.path()).output().unwrap();
    let df = String::from_utf8(df.stdout).unwrap();
    let free: f64 = df.lines().nth(1).unwrap().trim().parse().unwrap();
    // Other processes write meanwhile.
    assert!((observed(&report, "free") - free).abs() < free / 50.0, "{report:?} and {df}");
    let share = observed(&report, "free") / observed(&report, "total") * 100.0;
    assert!((observed(&report, "free_percent") - share).abs() < 0.1, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn every_limit_is_judged() {
    let directory = tempfile::tempdir().unwrap();
    let check = || DiskSpace::new(directory.path()).warn_below(0.001).fail_below(0.0005);
    let threshold = |status| (status, Some(Reason::Threshold));
    let bytes = checked(check().fail_bytes_below(u64::MAX)).await;
    assert_eq!(verdict(&shown(&bytes)), threshold(Status::Unhealthy));
    let percent = checked(DiskSpace::new(directory.path()).warn_below(100).fail_below(0.0005)).await;
    assert_eq!(verdict(&shown(&percent)), threshold(Status::Degraded));
    let df = std::process::Command::new("df").args(["--output=itotal,iavail"]).arg(directory.path()).output().unwrap();
    let df = String::from_utf8(df.stdout).unwrap();
    let inodes: Vec<f64> = df.lines().nth(1).unwrap().split_whitespace().filter_map(|it| it.parse().ok()).collect();
    for (check, expected) in [
        (check().warn_bytes_below(u64::MAX), Status::Degraded),
        (check().warn_inodes_below(0.001).fail_inodes_below(0.0005), Status::Healthy),
        (check().warn_inodes_below(100).fail_inodes_below(0.0005), Status::Degraded),
        (check().warn_inodes_below(100).fail_inodes_below(99.95), Status::Unhealthy),
    ] {
        let report = shown(&checked(check).await);
        // Without a fixed number of inodes there is nothing to limit. A nearly empty file system crosses no limit.
        if inodes[0] > 0.0 && inodes[1] / inodes[0] < 0.999 || expected == Status::Healthy {
            assert_eq!(report.status(), expected, "{report:?}");
        }
        if inodes[0] > 0.0 {
            let share = inodes[1] / inodes[0] * 100.0;
            assert!((observed(&report, "inodes_free_percent") - share).abs() < 1.0, "{report:?} and {df}");
        }
    }
    let missing = checked(DiskSpace::new(directory.path().join("nowhere"))).await;
    assert_eq!(shown(&missing).status(), Status::Unhealthy);
    assert!(invalid(DiskSpace::new("")).contains("use a path"));
    assert!(invalid(DiskSpace::new("/").warn_below(1).fail_below(2)).contains("less than"));
}
