//! The `Cpu` check, on recorded trees and on this machine.

use health_core::{Cpu, Reason, Status};

use health_tests::support::{checked, observed, rerun, shown, verdict};

use super::cgroup_trees::{NONE, V1, V1_UNLIMITED, V2, V2_NESTED, V2_UNLIMITED, plant, write};

#[tokio::test(start_paused = true)]
async fn load_is_per_core_and_quotas_are_found() {
    for (tree, load, quota) in [
        (V2, 0.17, Some(1.5)),
        (V2_NESTED, 0.21, None),
        (V2_UNLIMITED, 0.12, None),
        (V1, 0.3, Some(0.5)),
        (V1_UNLIMITED, 0.24, None),
        (NONE, 0.06, None),
    ] {
        let root = plant(tree);
        let report = shown(&checked(Cpu::new().root(root.path())).await);
        assert_eq!((observed(&report, "load_per_core"), observed(&report, "cores")), (load, 4.0));
        let found = report.observed().iter().find(|it| it.name == "quota").map(|it| it.value.as_f64());
        assert_eq!(found, quota, "{report:?}");
        assert_eq!(report.status(), Status::Healthy);
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_that_since_the_run_before() {
    let root = plant(V2);
    let health = checked(Cpu::new().root(root.path()).fail_throttled_above(80)).await;
    assert_eq!(observed(&shown(&health), "throttled_percent"), 0.0, "what happened before is not now");
    for (stat, percent, status) in [
        ("nr_periods 149\nnr_throttled 54\n", 10.0, Status::Healthy),
        ("nr_periods 249\nnr_throttled 84\n", 30.0, Status::Degraded),
        ("nr_periods 349\nnr_throttled 174\n", 90.0, Status::Unhealthy),
        ("nr_periods 349\nnr_throttled 174\n", 0.0, Status::Healthy),
    ] {
        write(root.path(), "sys/fs/cgroup/cpu.stat", stat);
        let report = rerun(&health).await;
        assert_eq!((observed(&report, "throttled_percent"), report.status()), (percent, status), "{report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_around_that_is_used_up_is_seen_although_another_is_tighter() {
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
async fn load_is_judged() {
    let root = plant(NONE);
    write(root.path(), "proc/loadavg", "6.00 3.00 1.00 2/345 6789\n");
    let report = shown(&checked(Cpu::new().root(root.path()).warn_above(1.2)).await);
    assert_eq!(verdict(&report), (Status::Degraded, Some(Reason::Threshold)));
    assert_eq!(report.message(), Some("1.5 is the load per core, which is above 1.2"));
}

#[tokio::test(start_paused = true)]
async fn this_machine_has_cores() {
    let report = shown(&checked(Cpu::new()).await);
    let output = std::process::Command::new("nproc").arg("--all").output().unwrap();
    let cores: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert_eq!(observed(&report, "cores"), cores, "{report:?}");
}
