//! The control groups that apply to this process, of version 2 and 1.

use std::path::{Component, Path, PathBuf};

use super::mount::{Mount, mounts};
use crate::checks::open_files::Reading;

/// The directory where control groups are mounted if the table of mounts has no entry for them.
const USUAL: &str = "sys/fs/cgroup";

/// The folders of the control groups that apply to this process: its own group first, then the ancestors of the group.
/// Paths are relative to the root directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    V2(Vec<PathBuf>),
    V1(Vec<PathBuf>),
    /// The process is in no group that has this controller.
    None,
    /// The process is in a group whose folder was not found, so its limits are unknown. The text is the reason.
    Unknown(String),
}

impl Groups {
    /// Returns the reason for which the limits of the group are unknown; `None` if they are known.
    pub(crate) fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(why) => Some(why),
            _ => None,
        }
    }
}

/// Finds the groups of this process for a controller. `controller` is its name in version 1.
pub(crate) fn groups(host: &mut Reading<'_>, controller: &str) -> Groups {
    let table = match host.read("proc/self/cgroup") {
        Ok(table) => table,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Groups::None,
        Err(error) => return Groups::Unknown(error.to_string()),
    };
    // A mount hides earlier mounts at the same place, so the last one comes first.
    let mut mounts = mounts(&host.find("proc/self/mountinfo").unwrap_or_default());
    mounts.reverse();
    // Version 1 first: if both versions are mounted and version 1 lists the controller, the controller is bound to
    // version 1.
    let v1 = table.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        controllers.split(',').any(|it| it == controller).then_some((controllers, group))
    });
    if let Some((controllers, group)) = v1 {
        let is_its = |mount: &&Mount| mount.kind == "cgroup" && mount.options.iter().any(|it| it == controller);
        let usual = usual_v1(host, controllers, controller);
        if let Some(folders) = folders(host, mounts.iter().filter(is_its), usual, group) {
            return Groups::V1(folders);
        }
    }
    let v2 = table.lines().find_map(|line| line.strip_prefix("0::"));
    if let Some(group) = v2 {
        let is_v2 = |mount: &&Mount| mount.kind == "cgroup2";
        if let Some(folders) = folders(host, mounts.iter().filter(is_v2), usual_v2(host), group)
            && (v1.is_none() || has_controller(host, &folders, controller))
        {
            return Groups::V2(folders);
        }
    }
    match v1.map(|(_, group)| group).or(v2) {
        Some(group) => Groups::Unknown(format!("the control group {group} is not mounted where it can be found")),
        None => Groups::None,
    }
}

/// Returns the folders of a group below the first mount that contains it, else below the first mount that exists, else
/// below the usual directory.
fn folders<'m>(
    host: &Reading<'_>,
    mounts: impl Iterator<Item = &'m Mount> + Clone,
    usual: Option<PathBuf>,
    group: &str,
) -> Option<Vec<PathBuf>> {
    // A group outside of the namespace has no path inside of it.
    if Path::new(group).components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let shows = |mount: &Mount| {
        let own = mount.folder(Path::new(group)).filter(|own| host.is_directory(own))?;
        Some(ancestors(&own, &mount.point))
    };
    mounts.clone().find_map(shows).or_else(|| {
        if mounts.clone().any(Mount::is_above) {
            return None;
        }
        let mut points = mounts.map(|mount| mount.point.clone()).chain(usual);
        points.find(|point| host.is_directory(point)).map(|point| nearest(host, &point, group))
    })
}

/// Returns the usual folder of a controller of version 1. It is named after all controllers that are bound together, in
/// an order that differs from that in `/proc/self/cgroup` on some systems.
fn usual_v1(host: &Reading<'_>, controllers: &str, controller: &str) -> Option<PathBuf> {
    let usual = [controllers, controller].map(|name| Path::new(USUAL).join(name));
    if let Some(folder) = usual.into_iter().find(|folder| host.is_directory(folder)) {
        return Some(folder);
    }
    let mut names = host.names(USUAL).into_iter();
    names.find(|name| name.split(',').any(|it| it == controller)).map(|name| Path::new(USUAL).join(name))
}

/// Returns the usual folder of version 2. If both versions are mounted, it is `unified`.
fn usual_v2(host: &Reading<'_>) -> Option<PathBuf> {
    let folders = [USUAL.into(), Path::new(USUAL).join("unified")];
    folders.into_iter().find(|folder| host.exists(folder.join("cgroup.controllers")))
}

/// Returns whether a controller is bound to version 2. A controller is bound to one version only.
fn has_controller(host: &mut Reading<'_>, folders: &[PathBuf], controller: &str) -> bool {
    let top = folders.last().and_then(|top| host.find(top.join("cgroup.controllers")));
    top.is_some_and(|controllers| controllers.split_whitespace().any(|it| it == controller))
}

/// Returns the folders of a group that is not below its mount. In a container the path of the group may be the path on
/// the host. The longest suffix of the path that exists below the mount is used, and the mount itself if none exists.
fn nearest(host: &Reading<'_>, point: &Path, group: &str) -> Vec<PathBuf> {
    let parts: Vec<Component<'_>> = Path::new(group).components().filter(|part| *part != Component::RootDir).collect();
    let ends = (0..parts.len()).map(|from| point.join(parts[from..].iter().collect::<PathBuf>()));
    let own = ends.into_iter().find(|folder| host.is_directory(folder)).unwrap_or_else(|| point.to_owned());
    ancestors(&own, point)
}

/// Returns a folder and its ancestors up to the mount point.
fn ancestors(own: &Path, point: &Path) -> Vec<PathBuf> {
    own.ancestors().take_while(|folder| folder.starts_with(point)).map(Path::to_owned).collect()
}
