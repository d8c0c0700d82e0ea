//! Trees of files as Linux writes them, with control groups of version 2, of version 1, and without a limit.

use std::{fs, path::Path};

use tempfile::TempDir;

/// A container under version 2 with a namespace of its own: 512 MiB and one and a half cores.
pub(crate) const V2: &[(&str, &str)] = &[
    ("proc/self/cgroup", "0::/\n"),
    ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n"),
    ("sys/fs/cgroup/memory.max", "536870912\n"),
    ("sys/fs/cgroup/memory.current", "402653184\n"),
    ("sys/fs/cgroup/memory.stat", "anon 104857600\nfile 297795584\ninactive_anon 0\ninactive_file 134217728\n"),
    ("sys/fs/cgroup/cpu.max", "150000 100000\n"),
    ("sys/fs/cgroup/cpu.stat", "usage_usec 1000\nnr_periods 1000\nnr_throttled 100\nthrottled_usec 5\n"),
];

/// A service of systemd under version 2: no limit of its own, one on the slice around it.
pub(crate) const V2_NESTED: &[(&str, &str)] = &[
    ("proc/self/cgroup", "0::/app.slice/orders.service\n"),
    ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n"),
    ("sys/fs/cgroup/app.slice/memory.max", "1073741824\n"),
    ("sys/fs/cgroup/app.slice/memory.current", "1052770304\n"),
    ("sys/fs/cgroup/app.slice/memory.stat", "inactive_file 10485760\n"),
    ("sys/fs/cgroup/app.slice/cpu.max", "max 100000\n"),
    ("sys/fs/cgroup/app.slice/orders.service/memory.max", "max\n"),
    ("sys/fs/cgroup/app.slice/orders.service/memory.current", "209715200\n"),
    ("sys/fs/cgroup/app.slice/orders.service/memory.stat", "inactive_file 0\n"),
    ("sys/fs/cgroup/app.slice/orders.service/cpu.max", "max 100000\n"),
];

/// A container under version 1, whose path is the host's.
pub(crate) const V1: &[(&str, &str)] = &[
    (
        "proc/self/cgroup",
        "11:memory:/docker/0123456789ab\n4:cpu,cpuacct:/docker/0123456789ab\n1:name=systemd:/docker/x\n",
    ),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
    ("sys/fs/cgroup/memory/memory.usage_in_bytes", "134217728\n"),
    ("sys/fs/cgroup/memory/memory.stat", "cache 1\ntotal_inactive_file 67108864\n"),
    ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n"),
    ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
    ("sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_periods 10\nnr_throttled 5\nthrottled_time 1\n"),
];

/// Both versions mounted, version 1 without a limit, which it tells by a very large number and by -1: recorded.
pub(crate) const V1_UNLIMITED: &[(&str, &str)] = &[
    (
        "proc/self/cgroup",
        "9:name=systemd:/\n8:pids:/\n7:blkio:/\n6:freezer:/\n5:devices:/\n4:memory:/\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/\n0::/\n",
    ),
    ("sys/fs/cgroup/unified/cgroup.controllers", "\n"),
    ("sys/fs/cgroup/unified/cpu.stat", "usage_usec 0\nuser_usec 0\nsystem_usec 0\n"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
    ("sys/fs/cgroup/memory/memory.usage_in_bytes", "134217728\n"),
    ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 0\n"),
    ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
    ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
    ("sys/fs/cgroup/cpu/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"),
];

/// A container under version 1 in a sub-group of its own, whose path has the host's before it.
pub(crate) const V1_SUB_GROUP: &[(&str, &str)] = &[
    ("proc/self/cgroup", "11:memory:/docker/0123456789ab/app\n"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4294967296\n"),
    ("sys/fs/cgroup/memory/memory.usage_in_bytes", "134217728\n"),
    ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "268435456\n"),
    ("sys/fs/cgroup/memory/app/memory.usage_in_bytes", "201326592\n"),
    ("sys/fs/cgroup/memory/app/memory.stat", "total_inactive_file 0\n"),
];

/// No control groups at all.
pub(crate) const NONE: &[(&str, &str)] = &[];

/// What every machine has: 8 GiB of which 2 are free, four cores, a load of 6.
const HOST: &[(&str, &str)] = &[
    ("proc/meminfo", "MemTotal:        8388608 kB\nMemFree:          524288 kB\nMemAvailable:    2097152 kB\n"),
    ("proc/self/status", "Name:\torders\nVmRSS:\t   51200 kB\nThreads:\t9\n"),
    ("proc/loadavg", "6.00 3.00 1.00 2/345 6789\n"),
    ("proc/stat", "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\ncpu2 1 2 3\ncpu3 1 2 3\nintr 5\n"),
];

/// Puts a tree on disk.
pub(crate) fn plant(tree: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    tree.iter().chain(HOST).for_each(|(path, text)| write(root.path(), path, text));
    root
}

/// Writes a file of a tree.
pub(crate) fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
