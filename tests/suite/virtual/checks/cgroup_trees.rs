//! Trees of files as Linux shows them to a process in control groups of version 2, of version 1, and without a limit:
//! recorded by `tests/record-cgroups`, every file under its name.

use std::{fs, path::Path};

use tempfile::TempDir;

/// A container under version 2 with a namespace of its own: 64 MiB and one and a half cores.
pub(crate) const V2: &str = include_str!("cgroup_trees/v2.txt");
/// A service as systemd runs it under version 2: no limit of its own, one on the slice around it.
pub(crate) const V2_NESTED: &str = include_str!("cgroup_trees/v2_nested.txt");
/// Version 2 without any limit.
pub(crate) const V2_UNLIMITED: &str = include_str!("cgroup_trees/v2_unlimited.txt");
/// A container under version 1, whose path is the host's: 64 MiB and half a core.
pub(crate) const V1: &str = include_str!("cgroup_trees/v1.txt");
/// The same in a sub-group of its own with 48 MiB, whose path has the host's before it.
pub(crate) const V1_SUB_GROUP: &str = include_str!("cgroup_trees/v1_sub_group.txt");
/// Both versions mounted, version 1 without a limit, which it tells by a very large number and by -1.
pub(crate) const V1_UNLIMITED: &str = include_str!("cgroup_trees/v1_unlimited.txt");
/// No control groups at all.
pub(crate) const NONE: &str = include_str!("cgroup_trees/none.txt");

/// Puts a tree on disk.
pub(crate) fn plant(tree: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in tree.split("==> ").skip(1) {
        let (path, text) = file.split_once(" <==\n").unwrap();
        write(root.path(), path, text);
    }
    root
}

/// Writes a file of a tree.
pub(crate) fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
