//! The `DiskSpace` and `SpoolDirectory` checks on file systems that the test mounts: one that hangs, one that is
//! read-only, and some that report no size.

use std::path::Path;

use health_core::{DiskSpace, Health, Reason, Registration, SpoolDirectory, Status};
use health_tests::{
    hung_mount::HungMount,
    process,
    support::{checked, millis, rerun, shown, verdict},
    wait,
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

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
    assert_eq!(process::threads_of_checks(), ["health-disk", "health-spool"], "one thread for each check");
    // After the file system is unmounted, the next run reports another reason.
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

/// A file system that stays mounted until it is dropped.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(kind: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        mount(Some("test"), directory.path(), Some(kind), MsFlags::empty(), None::<&str>).expect("the rights of root");
        Self(directory)
    }

    fn remount(&self, flags: MsFlags) {
        mount(None::<&str>, self.0.path(), None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

#[tokio::test]
async fn a_read_only_file_system_is_rejected_and_an_unknown_size_is_not_judged() {
    let disk = Mounted::new("tmpfs");
    let path = || disk.0.path();
    let health = checked(DiskSpace::new(path())).await;
    assert_eq!(verdict(&shown(&health)), (Status::Healthy, None));
    let on_purpose = checked(DiskSpace::new(path()).allow_read_only()).await;
    // Linux remounts a file system like this after an error of the disk.
    disk.remount(MsFlags::MS_RDONLY);
    let report = rerun(&health).await;
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Rejected)));
    assert!(report.message().unwrap().contains("read-only"), "{report:?}");
    assert_eq!(report.detail("read_only"), Some(&true.into()));
    assert_eq!(verdict(&*rerun(&on_purpose).await), (Status::Healthy, None));
    disk.remount(MsFlags::empty());
    assert_eq!(verdict(&*rerun(&health).await), (Status::Healthy, None));

    // File systems that report no size.
    let ramfs = Mounted::new("ramfs");
    for path in [ramfs.0.path(), Path::new("/proc"), Path::new("/proc/self")] {
        let report = shown(&checked(DiskSpace::new(path).fail_below(50).warn_below(60)).await);
        assert_eq!(verdict(&report), (Status::Healthy, None), "{}: {report:?}", path.display());
        assert!(report.observed().iter().all(|it| it.name != "free_percent"), "{report:?}");
        let bytes = shown(&checked(DiskSpace::new(path).fail_bytes_below(1)).await);
        assert_eq!(verdict(&bytes), (Status::Degraded, Some(Reason::Failed)), "{}", path.display());
    }
}
