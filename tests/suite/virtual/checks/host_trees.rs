//! The `Memory` and `Cpu` checks on recorded files of `/proc` and `/sys`. Each file in `host_trees` is one host,
//! container or service, with the expected results.

use std::{collections::BTreeMap, fs};

use health_core::{CheckReport, Cpu, Memory};
use health_tests::{
    host_tree::{plant, sections},
    support::{checked, shown},
    tools::repository,
};

/// A container under cgroup v2 with its own namespace, limited to 64 MiB and 1.5 cores.
pub(crate) const V2: &str = include_str!("host_trees/v2.txt");
/// A systemd service under cgroup v2: no limit of its own, but a limit on the slice around it.
pub(crate) const V2_NESTED: &str = include_str!("host_trees/v2_nested.txt");
/// A host without control groups.
pub(crate) const NONE: &str = include_str!("host_trees/none.txt");
/// A systemd service above its `MemoryHigh=`.
pub(crate) const SYSTEMD_SLICE: &str = include_str!("host_trees/systemd_slice_v2.txt");

/// The names of the expected results, which are numbers and details of the two checks. `-` stands for a missing value.
/// If `HEALTH_SHOW_TREES` is set, the results of a tree that differs are printed, to be reviewed and copied into its
/// file.
const EXPECTED: [&str; 13] = [
    "limit_of",
    "limit",
    "used",
    "resident",
    "used_percent",
    "high",
    "pressure",
    "memory",
    "cpu",
    "cores",
    "load_per_core",
    "quota",
    "cgroup",
];

fn found(memory: &CheckReport, cpu: &CheckReport) -> BTreeMap<&'static str, String> {
    let number =
        |report: &CheckReport, name| report.observed().iter().find(|it| it.name == name).map(|it| it.value.to_string());
    let detail = |report: &CheckReport, name| report.detail(name).and_then(|it| it.as_str().map(str::to_owned));
    let of = |name| match name {
        "limit_of" => detail(memory, name),
        "memory" => Some(memory.status().to_string()),
        "cpu" => Some(cpu.status().to_string()),
        "cgroup" => detail(memory, name).or_else(|| detail(cpu, name)).map(|_| "unknown".to_owned()),
        "cores" | "load_per_core" | "quota" => number(cpu, name),
        _ => number(memory, name),
    };
    EXPECTED.into_iter().map(|name| (name, of(name).unwrap_or_else(|| "-".to_owned()))).collect()
}

#[tokio::test(start_paused = true)]
async fn every_recorded_system_gives_its_expected_results() {
    let folder = repository().join("tests/suite/virtual/checks/host_trees");
    let (mut trees, mut wrong) = (0, String::new());
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let tree = fs::read_to_string(&path).unwrap();
        let (_, expected) = sections(&tree).find(|(path, _)| *path == "expected").unwrap_or(("", ""));
        let expected: BTreeMap<&str, String> =
            expected.lines().map(|line| line.split_once(": ").unwrap()).map(|(k, v)| (k, v.to_owned())).collect();
        let root = plant(&tree);
        let memory = shown(&checked(Memory::new().root(root.path())).await);
        let cpu = shown(&checked(Cpu::new().root(root.path())).await);
        let found = found(&memory, &cpu);
        if found != expected {
            wrong += &format!("{}\n  expected {expected:?}\n  found    {found:?}\n", path.display());
            if std::env::var_os("HEALTH_SHOW_TREES").is_some() {
                eprintln!("@{}", path.display());
                EXPECTED.iter().for_each(|name| eprintln!("{name}: {}", found[name]));
            }
        }
        trees += 1;
    }
    assert!(wrong.is_empty() && trees >= 28, "{trees} trees, at least 28 expected; wrong results:\n{wrong}");
}
