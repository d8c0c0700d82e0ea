//! The `Memory` check, on recorded trees and on this machine.

use health_core::{Memory, Reason, Status};

use crate::{
    cgroup_trees::{NONE, V1, V1_SUB_GROUP, V1_UNLIMITED, V2, V2_NESTED, plant, write},
    support::{checked, observed, rerun, shown, verdict},
};

const MIB: f64 = 1_048_576.0;

#[tokio::test]
async fn the_tightest_limit_counts_and_the_file_cache_does_not() {
    for (tree, limit_of, used, limit, percent) in [
        (V2, "cgroup v2", 256.0, 512.0, 50.0),
        (V2_NESTED, "cgroup v2", 994.0, 1024.0, 97.07),
        (V1, "cgroup v1", 64.0, 256.0, 25.0),
        (V1_SUB_GROUP, "cgroup v1", 192.0, 256.0, 75.0),
        (V1_UNLIMITED, "host", 6144.0, 8192.0, 75.0),
        (NONE, "host", 6144.0, 8192.0, 75.0),
    ] {
        let root = plant(tree);
        let report = shown(&checked(Memory::new().root(root.path())).await);
        let numbers = ["used", "limit", "used_percent", "resident"].map(|name| observed(&report, name));
        assert_eq!(numbers, [used * MIB, limit * MIB, percent, 50.0 * MIB], "{limit_of}");
        assert_eq!(report.details[0], ("limit_of".into(), limit_of.into()));
        let bad = (Status::Unhealthy, Some(Reason::Threshold));
        assert_eq!(verdict(&report), if percent > 95.0 { bad } else { (Status::Healthy, None) });
    }
}

#[tokio::test]
async fn it_follows_what_changes() {
    let root = plant(V2);
    let health = checked(Memory::new().root(root.path())).await;
    write(root.path(), "sys/fs/cgroup/memory.current", "620756992");
    assert_eq!(observed(&*rerun(&health).await, "used_percent"), 90.63);
    assert_eq!(shown(&health).status, Status::Degraded);
}

#[tokio::test]
async fn this_machine_has_memory() {
    let report = shown(&checked(Memory::new().warn_above(99.8).fail_above(99.9)).await);
    assert_eq!(report.status, Status::Healthy, "{report:?}");
    let (used, limit) = (observed(&report, "used"), observed(&report, "limit"));
    assert!(limit > used, "{report:?}");
    // Against what others make of the same files.
    let output = std::process::Command::new("free").arg("-b").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let total: f64 = text.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    if report.details[0].1 == "host" {
        assert!((limit - total).abs() < 1.0, "{report:?} and {text}");
    } else {
        assert!(limit <= total, "{report:?} and {text}");
    }
    assert!(observed(&report, "resident") > MIB, "{report:?}");
}

#[tokio::test]
async fn without_the_kernels_files_it_says_so() {
    let nothing = tempfile::tempdir().unwrap();
    let report = shown(&checked(Memory::new().root(nothing.path())).await);
    assert_eq!(report.status, Status::Unhealthy);
    assert!(report.message.as_deref().unwrap().contains("meminfo cannot be read"), "{report:?}");
}
