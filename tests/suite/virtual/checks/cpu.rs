//! The `Cpu` check, on recorded files and on this machine.

use health_core::{CheckReport, Cpu, Reason, Status};

use health_tests::host_tree::{plant, write};
use health_tests::support::{checked, observed, rerun, shown, verdict};

use super::host_trees::{NONE, V2, V2_NESTED};

#[tokio::test(start_paused = true)]
async fn throttling_is_measured_since_the_previous_run() {
    let root = plant(V2);
    let health = checked(Cpu::new().root(root.path()).fail_throttled_above(80)).await;
    let told = |report: &CheckReport| report.observed().iter().any(|it| it.name == "throttled_percent");
    assert!(!told(&shown(&health)), "the first run has no earlier counters to compare with");
    for (stat, percent, status) in [
        ("nr_periods 149\nnr_throttled 54\n", 10.0, Status::Healthy),
        ("nr_periods 249\nnr_throttled 84\n", 30.0, Status::Degraded),
        ("nr_periods 349\nnr_throttled 174\n", 90.0, Status::Unhealthy),
        // The window is too short to judge, so it is joined to the previous one.
        ("nr_periods 349\nnr_throttled 174\n", 90.0, Status::Unhealthy),
        ("nr_periods 351\nnr_throttled 174\n", 88.24, Status::Unhealthy),
        ("nr_periods 449\nnr_throttled 174\n", 0.0, Status::Healthy),
    ] {
        write(root.path(), "sys/fs/cgroup/cpu.stat", stat);
        let report = rerun(&health).await;
        assert_eq!((observed(&report, "throttled_percent"), report.status()), (percent, status), "{report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_of_a_parent_group_is_seen_although_the_inner_quota_is_lower() {
    let root = plant(V2_NESTED);
    write(root.path(), "sys/fs/cgroup/app.slice/cpu.max", "400000 100000\n");
    write(root.path(), "sys/fs/cgroup/app.slice/orders.service/cpu.max", "200000 100000\n");
    let stat = |group: &str, text: &str| write(root.path(), &format!("sys/fs/cgroup/{group}/cpu.stat"), text);
    stat("app.slice", "nr_periods 100\nnr_throttled 0\n");
    stat("app.slice/orders.service", "nr_periods 100\nnr_throttled 0\n");
    let health = checked(Cpu::new().root(root.path())).await;
    stat("app.slice", "nr_periods 200\nnr_throttled 60\n");
    stat("app.slice/orders.service", "nr_periods 200\nnr_throttled 0\n");
    let report = rerun(&health).await;
    assert_eq!((observed(&report, "quota"), observed(&report, "throttled_percent")), (2.0, 60.0), "{report:?}");
    assert_eq!(verdict(&report), (Status::Degraded, Some(Reason::Threshold)));
}

#[tokio::test(start_paused = true)]
async fn the_load_per_core_is_judged_by_its_limit() {
    let root = plant(NONE);
    write(root.path(), "proc/loadavg", "6.00 3.00 1.00 2/345 6789\n");
    let report = shown(&checked(Cpu::new().root(root.path()).warn_above(1.2)).await);
    assert_eq!(verdict(&report), (Status::Degraded, Some(Reason::Threshold)));
    assert_eq!(report.message(), Some("1.5 is the load per core, which is above 1.2"));
}

/// A file that the verdict does not need may be missing.
#[tokio::test(start_paused = true)]
async fn an_unreadable_load_does_not_hide_throttling() {
    let root = plant(V2);
    std::fs::remove_file(root.path().join("proc/loadavg")).unwrap();
    let health = checked(Cpu::new().root(root.path())).await;
    assert_eq!(verdict(&shown(&health)), (Status::Healthy, None));
    assert!(shown(&health).detail("unread").unwrap().as_str().unwrap().contains("loadavg cannot be read"));
    write(root.path(), "sys/fs/cgroup/cpu.stat", "nr_periods 1049\nnr_throttled 1000\n");
    assert_eq!(verdict(&*rerun(&health).await), (Status::Degraded, Some(Reason::Threshold)));
    for (removed, complaint) in [("proc/loadavg", "loadavg cannot be read"), ("proc/stat", "number of cores")] {
        let root = plant(NONE);
        std::fs::remove_file(root.path().join(removed)).unwrap();
        let report = shown(&checked(Cpu::new().root(root.path())).await);
        assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Failed)));
        assert!(report.message().unwrap().contains(complaint), "{report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_means_unlimited_is_no_quota() {
    for quota in ["max 100000", "0 100000", "100000 0", "-1 100000", "max"] {
        let root = plant(V2);
        write(root.path(), "sys/fs/cgroup/cpu.max", quota);
        let report = shown(&checked(Cpu::new().root(root.path())).await);
        assert!(report.observed().iter().all(|it| it.name != "quota"), "{quota}: {report:?}");
        assert_eq!(report.status(), Status::Healthy);
    }
    // The period may be missing: its default is 100 ms.
    let root = plant(V2);
    write(root.path(), "sys/fs/cgroup/cpu.max", "50000");
    assert_eq!(observed(&shown(&checked(Cpu::new().root(root.path())).await), "quota"), 0.5);
    write(root.path(), "sys/fs/cgroup/cpu.max", "much");
    let report = shown(&checked(Cpu::new().root(root.path())).await);
    assert!(report.detail("unread").unwrap().as_str().unwrap().ends_with("cpu.max contains no number"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn the_number_of_cores_is_that_of_nproc() {
    let report = shown(&checked(Cpu::new()).await);
    let output = std::process::Command::new("nproc").arg("--all").output().unwrap();
    let cores: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert_eq!(observed(&report, "cores"), cores, "{report:?}");
}
