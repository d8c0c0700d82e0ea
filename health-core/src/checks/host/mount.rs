//! The mounts of control groups in `/proc/self/mountinfo`,
//! <https://www.kernel.org/doc/html/latest/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts>.
//! Pure functions.

use std::path::{Component, Path, PathBuf};

/// A mounted file system: one line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The directory of the file system that is mounted.
    pub(super) root: PathBuf,
    /// The mount point, relative to the root of the host.
    pub(super) point: PathBuf,
    /// The type of the file system, such as `cgroup2`.
    pub(super) kind: String,
    /// The options of the file system. Version 1 of control groups lists its controllers here.
    pub(super) options: Vec<String>,
}

impl Mount {
    /// Returns whether the mounted directory is above the cgroup namespace of the process. The path of the process's
    /// own group below the mount is then unknown.
    pub(super) fn is_above(&self) -> bool {
        self.root.components().any(|part| part == Component::ParentDir)
    }

    /// Returns the folder of a group below the mount point; `None` if the group is outside of the mounted directory.
    pub(super) fn folder(&self, group: &Path) -> Option<PathBuf> {
        let below = group.strip_prefix(&self.root).ok()?;
        let is_plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        is_plain.then(|| if below.as_os_str().is_empty() { self.point.clone() } else { self.point.join(below) })
    }
}

/// Returns the mounts of a table. Lines that cannot be parsed are left out.
pub(super) fn mounts(table: &str) -> Vec<Mount> {
    table.lines().filter_map(mount).collect()
}

/// Parses a line: `36 35 98:0 /root /point rw,noatime master:1 - type source rw,option`.
fn mount(line: &str) -> Option<Mount> {
    let (mount, system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
    let mut fields = system.split(' ');
    let (kind, options) = (fields.next()?, fields.nth(1)?);
    Some(Mount {
        root: root.into(),
        point: point.trim_start_matches('/').into(),
        kind: kind.to_owned(),
        options: options.split(',').map(str::to_owned).collect(),
    })
}

/// Returns a field with its escapes replaced: the kernel writes blanks, line feeds and backslashes as `\040`.
fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        text.push_str(before);
        let code = escape.get(1..4).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        text.push(code.map_or('\\', char::from));
        rest = &escape[if code.is_some() { 4 } else { 1 }..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_with_its_escapes() {
        let line = r"36 31 0:30 /docker/0123 /mnt/my\040groups rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct";
        let mount = mount(line).unwrap();
        assert_eq!((mount.kind.as_str(), mount.point.to_str()), ("cgroup", Some("mnt/my groups")));
        assert_eq!(mount.options, ["rw", "cpu", "cpuacct"]);
        for (group, expected) in [
            ("/docker/0123", Some("mnt/my groups")),
            ("/docker/0123/app", Some("mnt/my groups/app")),
            ("/docker/0123/../x", None),
            ("/docker", None),
            ("/docker/01234", None),
        ] {
            assert_eq!(mount.folder(Path::new(group)).as_deref(), expected.map(Path::new), "{group}");
        }
    }

    #[test]
    fn lines_that_cannot_be_parsed_are_left_out() {
        assert_eq!(mounts("\n- x\n1 2 0:1 /\n1 2 0:1 / /x rw - cgroup2\n"), []);
        assert_eq!(unescaped(r"a\b\134\04"), r"a\b\\04");
    }
}
