//! The `Memory` check, on recorded trees and on this machine.

use health_core::{Memory, Reason, Status};

use health_tests::support::{checked, observed, rerun, shown, verdict};

use super::cgroup_trees::{NONE, V1, V1_SUB_GROUP, V1_UNLIMITED, V2, V2_NESTED, V2_UNLIMITED, plant, write};

const MIB: f64 = 1_048_576.0;
/// What the recorded groups have of a file that was read once.
const CACHE: f64 = 24.0 * MIB;

#[tokio::test(start_paused = true)]
async fn the_tightest_limit_counts_and_the_file_cache_does_not() {
    let host = 737_844.0 * 1024.0;
    for (tree, limit_of, used, limit, percent) in [
        (V2, "cgroup v2", 34_426_880.0 - CACHE, 64.0 * MIB, 13.8),
        (V2_NESTED, "cgroup v2", 34_574_336.0 - CACHE, 64.0 * MIB, 14.02),
        (V2_UNLIMITED, "host", host - 569_256.0 * 1024.0, host, 22.85),
        (V1, "cgroup v1", 34_611_200.0 - CACHE, 64.0 * MIB, 14.07),
        (V1_SUB_GROUP, "cgroup v1", 34_914_304.0 - CACHE, 48.0 * MIB, 19.37),
        (V1_UNLIMITED, "host", host - 579_812.0 * 1024.0, host, 21.42),
        (NONE, "host", host - 580_256.0 * 1024.0, host, 21.36),
    ] {
        let root = plant(tree);
        let report = shown(&checked(Memory::new().root(root.path())).await);
        let numbers = ["used", "limit", "used_percent", "resident"].map(|name| observed(&report, name));
        assert_eq!(numbers, [used, limit, percent, 4096.0], "{limit_of}");
        assert_eq!(report.detail("limit_of"), Some(&limit_of.into()));
        assert_eq!(report.status(), Status::Healthy);
    }
}

#[tokio::test(start_paused = true)]
async fn it_follows_what_changes() {
    let root = plant(V2);
    let health = checked(Memory::new().root(root.path())).await;
    for (current, percent, expected) in [("86000000", 90.65, Status::Degraded), ("90000000", 96.61, Status::Unhealthy)]
    {
        write(root.path(), "sys/fs/cgroup/memory.current", current);
        assert_eq!(observed(&*rerun(&health).await, "used_percent"), percent);
        assert_eq!(verdict(&shown(&health)), (expected, Some(Reason::Threshold)));
    }
}

#[tokio::test(start_paused = true)]
async fn this_machine_has_memory() {
    let report = shown(&checked(Memory::new().warn_above(99.8).fail_above(99.9)).await);
    assert_eq!(report.status(), Status::Healthy, "{report:?}");
    let (used, limit) = (observed(&report, "used"), observed(&report, "limit"));
    assert!(limit > used, "{report:?}");
    // Against what others make of the same files.
    let output = std::process::Command::new("free").arg("-b").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let total: f64 = text.lines().nth(1).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    if report.detail("limit_of").is_some_and(|limit_of| limit_of == "host") {
        assert!((limit - total).abs() < 1.0, "{report:?} and {text}");
    } else {
        assert!(limit <= total, "{report:?} and {text}");
    }
    assert!(observed(&report, "resident") > MIB, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn without_the_kernels_files_it_says_so() {
    let nothing = tempfile::tempdir().unwrap();
    let report = shown(&checked(Memory::new().root(nothing.path())).await);
    assert_eq!(report.status(), Status::Unhealthy);
    assert!(report.message().unwrap().contains("meminfo cannot be read"), "{report:?}");
}
