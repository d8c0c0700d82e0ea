//! The `Memory` check, on recorded files and on this machine.

use health_core::{Memory, Reason, Status};

use health_tests::host_tree::{plant, write};
use health_tests::support::{checked, observed, rerun, shown, verdict};

use super::host_trees::{NONE, SYSTEMD_SLICE, V2};

const MIB: f64 = 1_048_576.0;
#[tokio::test(start_paused = true)]
async fn a_changed_usage_changes_the_verdict() {
    let root = plant(V2);
    let health = checked(Memory::new().root(root.path())).await;
    for (current, percent, expected) in [("86000000", 90.65, Status::Degraded), ("90000000", 96.61, Status::Unhealthy)]
    {
        write(root.path(), "sys/fs/cgroup/memory.current", current);
        assert_eq!(observed(&*rerun(&health).await, "used_percent"), percent);
        assert_eq!(verdict(&shown(&health)), (expected, Some(Reason::Threshold)));
    }
}

/// A group with a limit is judged without `/proc/meminfo`, and with that of an old kernel, which has no `MemAvailable`.
#[tokio::test(start_paused = true)]
async fn a_limited_group_is_judged_without_meminfo() {
    const OLD: &str = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 250 kB\n";
    for table in ["", OLD, "MemTotal: many\n"] {
        let root = plant(V2);
        write(root.path(), "proc/meminfo", table);
        write(root.path(), "sys/fs/cgroup/memory.max", "512000");
        write(root.path(), "sys/fs/cgroup/memory.current", "99840");
        write(root.path(), "sys/fs/cgroup/memory.stat", "inactive_file 0\n");
        let report = shown(&checked(Memory::new().root(root.path())).await);
        assert_eq!((report.status(), observed(&report, "used_percent")), (Status::Healthy, 19.5), "{table}");
        assert_eq!(report.detail("unread").is_some(), table != OLD, "{report:?}");
    }
    // Without a group, free memory, buffers and page cache count as available.
    let root = plant(NONE);
    write(root.path(), "proc/meminfo", OLD);
    assert_eq!(observed(&shown(&checked(Memory::new().root(root.path())).await), "used_percent"), 60.0);
    for table in ["MemTotal: 1000 kB\n", "MemTotal: 0 kB\nMemFree: 0 kB\n", "MemFree: 10 kB\n"] {
        write(root.path(), "proc/meminfo", table);
        let report = shown(&checked(Memory::new().root(root.path())).await);
        assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Failed)), "{table}");
    }
}

/// An unknown usage counts neither as zero nor as the whole limit.
#[tokio::test(start_paused = true)]
async fn a_group_with_unknown_usage_is_unhealthy_and_not_judged_by_the_host() {
    let root = plant(V2);
    for usage in [None, Some("much")] {
        let path = "sys/fs/cgroup/memory.current";
        match usage {
            Some(usage) => write(root.path(), path, usage),
            None => std::fs::remove_file(root.path().join(path)).unwrap(),
        }
        let report = shown(&checked(Memory::new().root(root.path())).await);
        assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Failed)), "{usage:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_means_unlimited_is_no_limit() {
    for limit in ["max", "0", "9223372036854771712", "9223372036854775807", "18446744073709551615", "-1"] {
        let root = plant(V2);
        // Without `/proc/meminfo` the limit cannot be compared with the memory of the host.
        write(root.path(), "proc/meminfo", "");
        write(root.path(), "sys/fs/cgroup/memory.max", limit);
        let report = shown(&checked(Memory::new().root(root.path())).await);
        assert_eq!(report.detail("limit_of"), None, "{limit}: {report:?}");
        write(root.path(), "proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\n");
        let report = shown(&checked(Memory::new().root(root.path())).await);
        assert_eq!(report.detail("limit_of"), Some(&"host".into()), "{limit}: {report:?}");
    }
}

/// A process whose folder is unknown is not measured by the folder of another group.
#[tokio::test(start_paused = true)]
async fn a_group_without_a_mounted_folder_is_reported_as_unknown() {
    const MOUNT: &str = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    for (groups, mounts, limit_of, is_known) in [
        ("0::/\n", MOUNT, "cgroup v2", true),
        // The group is outside of the namespace.
        ("0::/../other\n", MOUNT, "host", false),
        // The mount point of the table does not exist.
        ("0::/\n", "31 23 0:28 / /elsewhere rw - cgroup2 cgroup2 rw\n", "cgroup v2", true),
        // The last mount at a mount point hides the earlier one, whose root is another folder.
        (
            "0::/docker/x\n",
            "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 a rw\n32 23 0:28 /docker/x /sys/fs/cgroup rw - cgroup2 b rw\n",
            "cgroup v2",
            true,
        ),
        // The controller belongs to version 1, which is not mounted.
        ("4:memory:/x\n0::/\n", MOUNT, "host", false),
        ("", MOUNT, "host", true),
    ] {
        let root = plant(V2);
        write(root.path(), "proc/self/cgroup", groups);
        write(root.path(), "proc/self/mountinfo", mounts);
        write(root.path(), "sys/fs/cgroup/cgroup.controllers", "cpu io\n");
        let report = shown(&checked(Memory::new().root(root.path())).await);
        assert_eq!(report.detail("limit_of"), Some(&limit_of.into()), "{groups} {mounts}: {report:?}");
        assert_eq!(report.detail("cgroup").is_none(), is_known, "{groups} {mounts}: {report:?}");
    }
}

/// The last mount at a mount point hides the earlier ones.
#[tokio::test(start_paused = true)]
async fn the_group_is_looked_up_in_the_visible_mount() {
    let root = plant(V2);
    let own = "sys/fs/cgroup/docker/x";
    write(root.path(), "proc/self/cgroup", "0::/docker/x\n");
    let hidden = "31 23 0:28 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let visible = "32 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    write(root.path(), "proc/self/mountinfo", &format!("{hidden}{visible}"));
    for (file, text) in [("memory.max", "2000"), ("memory.current", "1500"), ("memory.stat", "inactive_file 500\n")] {
        write(root.path(), &format!("{own}/{file}"), text);
    }
    let report = shown(&checked(Memory::new().root(root.path())).await);
    assert_eq!((observed(&report, "limit"), observed(&report, "used")), (2_000.0, 1_000.0), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_group_at_memory_high_is_degraded_while_it_waits_for_memory() {
    let root = plant(SYSTEMD_SLICE);
    let (service, slice) = ("sys/fs/cgroup/shop.slice/orders.service", "sys/fs/cgroup/shop.slice");
    let pressure = |of: &str, text: &str| write(root.path(), &format!("{of}/memory.pressure"), text);
    write(root.path(), &format!("{slice}/memory.high"), "900000000\n");
    let health = checked(Memory::new().root(root.path())).await;
    assert_eq!(verdict(&shown(&health)), (Status::Degraded, Some(Reason::Threshold)));
    assert_eq!(observed(&shown(&health), "high"), 805_306_368.0);
    assert!(shown(&health).message().unwrap().contains("waiting for memory"), "{:?}", shown(&health));
    const CALM: &str = "some avg10=9.90 avg60=90.00 avg300=0.00 total=5\nfull avg10=90.00\n";
    for (of_service, of_slice, status) in [
        (CALM, CALM, Status::Healthy),
        ("some avg10=10.10 avg60=0.00 avg300=0.00 total=5\n", CALM, Status::Degraded),
        (CALM, "some avg10=10.10\n", Status::Degraded),
        // The kernel reports no pressure, so the working set decides: that of the service has reached its limit.
        ("", "", Status::Degraded),
    ] {
        pressure(service, of_service);
        pressure(slice, of_slice);
        assert_eq!(rerun(&health).await.status(), status, "{of_service} {of_slice}");
    }
    pressure(slice, "some avg10=60.00\n");
    let strict = checked(Memory::new().root(root.path()).fail_pressure_above(50)).await;
    assert_eq!(shown(&strict).status(), Status::Unhealthy);
    // Without `memory.high` no group is held back.
    for group in [service, slice] {
        write(root.path(), &format!("{group}/memory.high"), "max\n");
    }
    assert_eq!(rerun(&health).await.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_this_machine_agrees_with_free() {
    let report = shown(&checked(Memory::new().warn_above(99.8).fail_above(99.9)).await);
    assert_eq!(report.status(), Status::Healthy, "{report:?}");
    let (used, limit) = (observed(&report, "used"), observed(&report, "limit"));
    assert!(limit > used, "{report:?}");
    // `free` reads the same files.
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
async fn a_missing_meminfo_is_named_in_the_message() {
    let nothing = tempfile::tempdir().unwrap();
    let report = shown(&checked(Memory::new().root(nothing.path())).await);
    assert_eq!(report.status(), Status::Unhealthy);
    assert!(report.message().unwrap().contains("meminfo cannot be read"), "{report:?}");
}
