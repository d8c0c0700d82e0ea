//! Reads from Linux the resources that this process may use: from control groups of version 2 and 1, then from the
//! host. Every path is below a root, so that the files of another machine can be read, too.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// A directory that contains `proc` and `sys`.
#[derive(Clone, Debug)]
pub(crate) struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self(PathBuf::from("/"))
    }
}

impl From<PathBuf> for Root {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

/// The folders of the control groups that apply to this process: its own first, then its ancestors.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    V2(Vec<PathBuf>),
    V1(Vec<PathBuf>),
    None,
}

impl Root {
    /// Returns the text of a file.
    pub(crate) fn read(&self, path: &str) -> io::Result<String> {
        let path = self.0.join(path);
        fs::read_to_string(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{} cannot be read: {error}", path.display())))
    }

    /// Returns the groups of this process for a controller. `controller` is its name in version 1.
    pub(crate) fn groups(&self, controller: &str) -> Groups {
        let Ok(text) = self.read("proc/self/cgroup") else { return Groups::None };
        // Version 1 first: if both versions are mounted and version 1 lists the controller, the controller is bound to
        // version 1.
        for line in text.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            if let (Some(controllers), Some(path)) = (parts.next(), parts.next())
                && controllers.split(',').any(|it| it == controller)
            {
                // The folder is named after this controller, or after all controllers that are bound together.
                let below = [controllers, controller].map(|name| self.0.join("sys/fs/cgroup").join(name));
                if let Some(mount) = below.iter().find(|mount| mount.is_dir()) {
                    return Groups::V1(chain(mount, path));
                }
            }
        }
        // If both versions are mounted, version 2 is in the folder `unified`.
        let mounts = ["sys/fs/cgroup", "sys/fs/cgroup/unified"].map(|mount| self.0.join(mount));
        let mount = mounts.iter().find(|mount| mount.join("cgroup.controllers").exists());
        match (mount, text.lines().find_map(|line| line.strip_prefix("0::"))) {
            (Some(mount), Some(path)) => Groups::V2(chain(mount, path)),
            _ => Groups::None,
        }
    }
}

/// Returns the folders from a path below a mount up to the mount itself. In a container the path may be the host's,
/// which does not exist below the mount. Then the longest end of the path that exists below the mount is used, and the
/// mount alone if there is none.
fn chain(mount: &Path, path: &str) -> Vec<PathBuf> {
    let parts: Vec<Component<'_>> = Path::new(path).components().filter(|part| *part != Component::RootDir).collect();
    if parts.contains(&Component::ParentDir) {
        return vec![mount.to_owned()];
    }
    let ends = (0..=parts.len()).map(|from| mount.join(parts[from..].iter().collect::<PathBuf>()));
    let own = ends.into_iter().find(|folder| folder.is_dir()).unwrap_or_else(|| mount.to_owned());
    own.ancestors().take_while(|folder| folder.starts_with(mount)).map(Path::to_owned).collect()
}

/// Returns the number in a file of one number; `None` if the file does not exist or contains `max`.
pub(crate) fn number(folder: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// Returns the number after a key in a file of `key number` lines.
pub(crate) fn field(folder: &Path, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Returns a share in percent, rounded to two decimals.
#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float's precision")]
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 10_000.0).round() / 100.0
}
