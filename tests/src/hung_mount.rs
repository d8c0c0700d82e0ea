//! A file system that never answers, like a network file system whose server is gone: FUSE without a program behind it.

use std::{
    fs::{File, OpenOptions},
    os::fd::AsRawFd as _,
    path::Path,
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

/// A mount on which every call hangs until the mount is dropped.
#[derive(Debug)]
pub struct HungMount {
    /// Held open. When it is closed, the kernel fails the hanging calls.
    device: Option<File>,
    directory: TempDir,
}

impl HungMount {
    /// Mounts the file system on a directory of its own.
    ///
    /// # Panics
    ///
    /// Panics without the rights of root or without FUSE in the kernel.
    #[must_use]
    pub fn new() -> Self {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("FUSE");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        mount(Some("hung"), directory.path(), Some("fuse"), MsFlags::empty(), Some(options.as_str()))
            .expect("the rights of root");
        Self { device: Some(device), directory }
    }

    /// Returns the directory on which it is mounted.
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
