//! The script `tests/record-host`, which records the files of a host for the tests of the checks of the host.

use std::process::{Command, Stdio};

use health_core::Memory;
use health_tests::{
    host_tree::plant,
    support::{checked, observed, shown},
    tools::{repository, said},
};

const RAW: &str = "==> proc/self/cgroup <==
9:cpuacct,cpu:/docker/8c2f1e5b7a9d4c3e8f6a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e
3:memory:/kubepods.slice/kubepods-burstable.slice/\
    kubepods-burstable-pod9f8e7d6c_5b4a_3c2d_1e0f_9a8b7c6d5e4f.slice/cri-containerd-feedfacefeedface.scope
2:pids:/user.slice/user-4711.slice/user@4711.service/app.slice/acme-payments.service
1:name=systemd:/lxc.payload.acme-web/ns
0::/acme.slice/acme-billing.service
==> proc/self/mountinfo <==
30 23 0:26 / / rw,relatime - ext4 /dev/mapper/acme--vg-root rw
31 23 0:28 /acme.slice /sys/fs/cgroup rw,nosuid master:3 - cgroup2 acmesource rw,nsdelegate
==> proc/self/status <==
Name:\tacme-billing
Uid:\t4711\t4711\t4711\t4711
VmRSS:\t    4096 kB
==> proc/meminfo <==
MemTotal:        2000 kB
MemAvailable:    1000 kB
HugetlbAcme:      1 kB
==> proc/loadavg <==
0.10 0.10 0.10 1/100 4242
==> proc/stat <==
cpu0 1 2 3 4
btime 1700000000
==> sys/fs/cgroup/acme-billing.service/memory.max <==
1024000
==> sys/fs/cgroup/acme-billing.service/memory.current <==
512000
==> sys/fs/cgroup/acme-billing.service/memory.stat <==
inactive_file 0
";

/// Private names in the recorded files.
const PRIVATE: [&str; 10] =
    ["acme", "8c2f1e", "9f8e7d6c", "5b4a", "feedface", "4711", "billing", "payments", "1700000000", "/dev/mapper"];

#[tokio::test]
async fn a_recorded_tree_keeps_its_numbers_and_no_private_name() {
    let script = repository().join("tests/record-host");
    let (code, tree) = said(Command::new(&script).arg("--clean"), RAW.as_bytes());
    assert_eq!(code, Some(0), "{tree}");
    for private in PRIVATE {
        assert!(RAW.contains(private) && !tree.contains(private), "{private}: {tree}");
    }
    for kept in ["9:cpuacct,cpu:/docker/", "/kubepods.slice/kubepods-burstable.slice/", "cri-containerd-", "/ns\n"] {
        assert!(tree.contains(kept), "{kept}: {tree}");
    }
    let root = plant(&tree);
    // Removes the cgroup v1 line, which the check would read first although the tree has no mount for it.
    let groups = root.path().join("proc/self/cgroup");
    let table = std::fs::read_to_string(&groups).unwrap();
    std::fs::write(&groups, table.lines().find(|line| line.starts_with("0::")).unwrap()).unwrap();
    let report = shown(&checked(Memory::new().root(root.path())).await);
    assert_eq!(observed(&report, "used_percent"), 50.0, "the cgroup must have the same name in every file: {report:?}");
}

#[tokio::test]
async fn a_recording_of_this_host_gives_the_same_limits() {
    let mut recorder = Command::new(repository().join("tests/record-host"));
    let recorded = recorder.stdin(Stdio::null()).output().unwrap();
    assert!(recorded.status.success(), "{}", String::from_utf8_lossy(&recorded.stderr));
    let tree = String::from_utf8(recorded.stdout).unwrap();
    let root = plant(&tree);
    let of_tree = shown(&checked(Memory::new().root(root.path())).await);
    let live = shown(&checked(Memory::new()).await);
    assert_eq!(of_tree.detail("limit_of"), live.detail("limit_of"));
    assert_eq!(observed(&of_tree, "limit"), observed(&live, "limit"));
}
