//! A file system that never answers, as a network file system whose server is gone: FUSE without a program behind it.

use std::{
    fs::{File, OpenOptions},
    os::fd::AsRawFd as _,
    path::Path,
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

/// A mount on which every call waits, until it is dropped.
#[derive(Debug)]
pub struct HungMount {
    /// Held open; closed, the kernel lets those go who wait.
    device: Option<File>,
    directory: TempDir,
}

impl HungMount {
    /// Mounts it on a directory of its own.
    ///
    /// # Panics
    ///
    /// Without the rights of root and the kernel's FUSE.
    #[must_use]
    pub fn new() -> Self {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("FUSE");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        mount(Some("hung"), directory.path(), Some("fuse"), MsFlags::empty(), Some(options.as_str()))
            .expect("the rights of root");
        Self { device: Some(device), directory }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Default for HungMount {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for HungMount {
    fn drop(&mut self) {
        self.device = None;
        let _ = umount2(self.directory.path(), MntFlags::MNT_DETACH);
    }
}
