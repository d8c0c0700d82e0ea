//! The free space of a file system. Green proves that an unprivileged process can still write so many bytes and files;
//! it does not prove that the disk works or that a quota allows it.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use rustix::fs::{StatVfs, statvfs};

use super::limits::limit_methods;
use crate::{
    check::{Check, CheckResult, blocking::BlockingThread, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::{Limits, Number},
        status::{Kind, Membership},
    },
};

/// The space left on the file system of a path. Needs the feature `disk_space`.
///
/// The limits are those of the free share in percent; free bytes and the free share of inodes have their own. A file
/// system without inodes of its own has no such limit.
///
/// - Least privilege: none beyond reaching the path.
/// - Default limits: Degraded below 10 %, Unhealthy below 5 %, of the space and of the inodes.
/// - It runs on one thread of its own, so that a network file system that hangs costs that thread and no more.
/// - A measure, by itself for the full report only. Observed: `free` and `total` (in `bytes`), `free_percent`,
///   `inodes_free_percent`.
///
/// ```
/// use health_core::{DiskSpace, Health};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder()
///     .check("disk", DiskSpace::new("/var/lib").warn_below(20).fail_below(5).fail_bytes_below(1 << 30))
///     .start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct DiskSpace {
    path: Arc<PathBuf>,
    limits: Limits,
    bytes: Limits,
    inodes: Limits,
    thread: BlockingThread,
}

impl DiskSpace {
    /// The file system that this path is on.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let tenth = Limits { warn_below: Some(10.into()), fail_below: Some(5.into()), ..Limits::default() };
        Self {
            path: Arc::new(path.into()),
            limits: tenth,
            bytes: Limits::default(),
            inodes: tenth,
            thread: BlockingThread::default(),
        }
    }

    limit_methods! {
        warn_above: "Degraded above this percentage of free space.",
        fail_above: "Unhealthy above this percentage of free space.",
        warn_below: "Degraded below this percentage of free space. Default 10.",
        fail_below: "Unhealthy below this percentage of free space. Default 5.",
    }

    /// Degraded below this many free bytes.
    pub fn warn_bytes_below(mut self, bytes: u64) -> Self {
        self.bytes.warn_below = Some(bytes.into());
        self
    }

    /// Unhealthy below this many free bytes.
    pub fn fail_bytes_below(mut self, bytes: u64) -> Self {
        self.bytes.fail_below = Some(bytes.into());
        self
    }

    /// Degraded below this percentage of free inodes. Default 10.
    pub fn warn_inodes_below(mut self, percent: impl Into<Number>) -> Self {
        self.inodes.warn_below = Some(percent.into());
        self
    }

    /// Unhealthy below this percentage of free inodes. Default 5.
    pub fn fail_inodes_below(mut self, percent: impl Into<Number>) -> Self {
        self.inodes.fail_below = Some(percent.into());
        self
    }

    fn judge(&self, of: &StatVfs) -> Outcome {
        // Reserved blocks are of no use to an unprivileged process: what it can fill is what is used and what is free.
        let total = of.f_blocks.saturating_sub(of.f_bfree).saturating_add(of.f_bavail);
        let (free, all) = (of.f_bavail.saturating_mul(of.f_frsize), total.saturating_mul(of.f_frsize));
        let percent = percent(of.f_bavail, total);
        let outcome = self
            .limits
            .judge(percent, "% of the space is free, which")
            .and(self.bytes.judge(free.into(), "bytes are free, which"))
            .observe_within("free", free, "bytes", self.bytes)
            .observe("total", all, "bytes")
            .observe_within("free_percent", percent, "%", self.limits);
        if of.f_files == 0 {
            return outcome;
        }
        let inodes = self::percent(of.f_favail, of.f_files);
        let judged = self.inodes.judge(inodes, "% of the inodes are free, which");
        outcome.and(judged).observe_within("inodes_free_percent", inodes, "%", self.inodes)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float's precision")]
fn percent(part: u64, whole: u64) -> Number {
    if whole == 0 {
        return 0.into();
    }
    Number::from((part as f64 / whole as f64 * 10_000.0).round() / 100.0)
}

#[async_trait]
impl Check for DiskSpace {
    async fn check(&self) -> CheckResult {
        let path = Arc::clone(&self.path);
        let answer = self.thread.run(move || statvfs(path.as_path())).await?;
        // As an error of the standard library, so that its kind tells the reason.
        Ok(self.judge(&answer.map_err(std::io::Error::from)?))
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.path.as_os_str().is_empty() {
            return Err(("the path is empty: name one on the file system".to_owned()).into());
        }
        self.limits.validate_percent()?;
        self.bytes.validate_count()?;
        Ok(self.inodes.validate_percent()?)
    }
}
