//! The `Cpu` check, on recorded trees and on this machine.

use health_core::{Cpu, Reason, Status};

use crate::{
    cgroup_trees::{NONE, V1, V1_UNLIMITED, V2, V2_NESTED, plant, write},
    support::{checked, observed, rerun, shown, verdict},
};

#[tokio::test]
async fn load_is_per_core_and_quotas_are_found() {
    for (tree, quota) in [(V2, Some(1.5)), (V2_NESTED, None), (V1, Some(0.5)), (V1_UNLIMITED, None), (NONE, None)] {
        let root = plant(tree);
        let report = shown(&checked(Cpu::new().root(root.path())).await);
        assert_eq!((observed(&report, "load_per_core"), observed(&report, "cores")), (1.5, 4.0));
        let found = report.observed.iter().find(|it| it.name == "quota").map(|it| it.value.as_f64());
        assert_eq!(found, quota, "{report:?}");
        assert_eq!(report.status, Status::Healthy);
    }
}

#[tokio::test]
async fn throttling_is_that_since_the_run_before() {
    let root = plant(V2);
    let health = checked(Cpu::new().root(root.path()).fail_throttled_above(80)).await;
    assert_eq!(observed(&shown(&health), "throttled_percent"), 0.0, "what happened before is not now");
    for (stat, percent, status) in [
        ("nr_periods 1100\nnr_throttled 110\n", 10.0, Status::Healthy),
        ("nr_periods 1200\nnr_throttled 140\n", 30.0, Status::Degraded),
        ("nr_periods 1300\nnr_throttled 230\n", 90.0, Status::Unhealthy),
        ("nr_periods 1300\nnr_throttled 230\n", 0.0, Status::Healthy),
    ] {
        write(root.path(), "sys/fs/cgroup/cpu.stat", stat);
        let report = rerun(&health).await;
        assert_eq!((observed(&report, "throttled_percent"), report.status), (percent, status), "{report:?}");
    }
}

#[tokio::test]
async fn load_is_judged() {
    let root = plant(NONE);
    let report = shown(&checked(Cpu::new().root(root.path()).warn_above(1.2)).await);
    assert_eq!(verdict(&report), (Status::Degraded, Some(Reason::Threshold)));
    assert_eq!(report.message.as_deref(), Some("1.5 is the load per core, which is above 1.2"));
}

#[tokio::test]
async fn this_machine_has_cores() {
    let report = shown(&checked(Cpu::new()).await);
    assert!(observed(&report, "cores") >= 1.0, "{report:?}");
}
