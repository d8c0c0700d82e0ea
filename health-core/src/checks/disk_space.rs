//! The free space of a file system. Green proves that the file system is mounted for writing, and that the space and
//! the inodes left for an unprivileged process are within their limits. It does not prove that the disk works or that
//! a quota allows a write.

use std::{io, path::PathBuf, sync::Arc};

use async_trait::async_trait;

use super::{
    host::percent,
    limits::{check_settings, limit_methods},
};
use crate::{
    check::{Check, CheckResult, blocking::BlockingThread, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::{Limits, Number},
        status::{Kind, Membership, Reason, Status},
    },
};

/// Measures the space left on the file system of a path.
///
/// Green proves that the file system is mounted for writing, and that the space and the inodes left for an
/// unprivileged process are within their limits. It does not prove that the disk works or that a quota allows a write.
///
/// The limits apply to the free share of the space in percent. Free bytes and the free share of inodes have limits of
/// their own. A file system that does not report its size, such as ramfs, has no share of space to judge. A file
/// system without inodes of its own has no share of inodes to judge.
///
/// - Least privilege: access to the path, and no other right.
/// - Default limits: Degraded below 10 % and Unhealthy below 5 %, of the space and of the inodes. A limit of 0 is
///   never crossed, which switches it off.
/// - A file system that is mounted read-only is Unhealthy with `rejected`, because Linux remounts a file system
///   read-only after a disk error. [`allow_read_only`](Self::allow_read_only) accepts volumes that are read-only on
///   purpose.
/// - A limit of free bytes cannot be judged on a file system that does not report its size. The check is then Degraded
///   with `failed`.
/// - The check measures the file system that is mounted at the path at the time of the run. If the volume is not
///   mounted, the check measures the file system that contains the mount point.
/// - The check works on Unix only. On Windows it is Unhealthy, and its message says why.
/// - The check runs on one thread of its own, so that a network file system that hangs blocks only that thread.
/// - By default the check counts for the full report only.
/// - Observed values: `free` and `total` (in `bytes`), `free_percent` and `inodes_free_percent` (in `%`). Detail:
///   `read_only`.
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
    may_be_read_only: bool,
    thread: BlockingThread,
}

/// The numbers that the file system reports by `statvfs`.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// The size of the file system, in blocks.
    blocks: u64,
    /// The free blocks, including those reserved for privileged processes.
    free: u64,
    /// The free blocks that an unprivileged process can fill.
    available: u64,
    /// The size of a block, in bytes.
    block: u64,
    inodes: u64,
    inodes_available: u64,
    is_read_only: bool,
}

impl DiskSpace {
    /// Creates a check of the file system of this path, with the default limits.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let tenth = Limits { warn_below: Some(10.into()), fail_below: Some(5.into()), ..Limits::default() };
        Self {
            path: Arc::new(path.into()),
            limits: tenth,
            bytes: Limits::default(),
            inodes: tenth,
            may_be_read_only: false,
            thread: BlockingThread::default(),
        }
    }

    limit_methods! {
        warn_above: "Sets the percentage of free space above which the check is Degraded. Default none.",
        fail_above: "Sets the percentage of free space above which the check is Unhealthy. Default none.",
        warn_below: "Sets the percentage of free space below which the check is Degraded. Default 10.",
        fail_below: "Sets the percentage of free space below which the check is Unhealthy. Default 5.",
    }

    /// Sets the number of free bytes below which the check is Degraded. Default none.
    pub fn warn_bytes_below(mut self, bytes: u64) -> Self {
        self.bytes.warn_below = Some(bytes.into());
        self
    }

    /// Sets the number of free bytes below which the check is Unhealthy. Default none.
    pub fn fail_bytes_below(mut self, bytes: u64) -> Self {
        self.bytes.fail_below = Some(bytes.into());
        self
    }

    /// Sets the percentage of free inodes below which the check is Degraded. Default 10.
    pub fn warn_inodes_below(mut self, percent: impl Into<Number>) -> Self {
        self.inodes.warn_below = Some(percent.into());
        self
    }

    /// Sets the percentage of free inodes below which the check is Unhealthy. Default 5.
    pub fn fail_inodes_below(mut self, percent: impl Into<Number>) -> Self {
        self.inodes.fail_below = Some(percent.into());
        self
    }

    /// Accepts a file system that is mounted read-only, and does not judge its space and inodes while it is. Default:
    /// such a file system is Unhealthy with `rejected`.
    pub fn allow_read_only(mut self) -> Self {
        self.may_be_read_only = true;
        self
    }

    fn judge(&self, of: &Measured) -> Outcome {
        // The space of a read-only file system cannot run out.
        let judges = !(of.is_read_only && self.may_be_read_only);
        let limits = |limits: Limits| if judges { limits } else { Limits::default() };
        let (shares, bytes, inodes) = (limits(self.limits), limits(self.bytes), limits(self.inodes));
        let mut outcome = Outcome::healthy().detail("read_only", of.is_read_only);
        if of.is_read_only && judges {
            let message = "the file system is mounted read-only: call .allow_read_only() if it is so on purpose";
            outcome = outcome.worsened(Status::Unhealthy, Reason::Rejected, message.to_owned());
        }
        // An unprivileged process cannot use reserved blocks, so its total is the used blocks and the available ones.
        let total = of.blocks.saturating_sub(of.free).saturating_add(of.available);
        if is_known(of.blocks) {
            let (free, all) = (of.available.saturating_mul(of.block), total.saturating_mul(of.block));
            let percent = Number::from(percent(of.available, total));
            outcome = outcome
                .and(shares.judge(percent, "% of the space is free, which"))
                .and(bytes.judge(free.into(), "bytes are free, which"))
                .observe_within("free", free, "bytes", bytes)
                .observe("total", all, "bytes")
                .observe_within("free_percent", percent, "%", shares);
        } else if bytes != Limits::default() {
            let message =
                "the file system does not report its size, so free bytes cannot be judged: remove their limits";
            outcome = outcome.worsened(Status::Degraded, Reason::Failed, message.to_owned());
        }
        if !is_known(of.inodes) || of.inodes_available > of.inodes {
            return outcome;
        }
        let percent = Number::from(percent(of.inodes_available, of.inodes));
        let judged = inodes.judge(percent, "% of the inodes are free, which");
        outcome.and(judged).observe_within("inodes_free_percent", percent, "%", inodes)
    }
}

/// Returns whether a file system reports this total. If it does not, the number is 0 or the greatest possible one.
fn is_known(total: u64) -> bool {
    !matches!(total, 0 | u64::MAX)
}

#[cfg(unix)]
fn measure(path: &std::path::Path) -> io::Result<Measured> {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    let of = statvfs(path)?;
    // BSD reports a negative number while the reserve is being used up.
    let available = if of.f_bavail > i64::MAX.unsigned_abs() { 0 } else { of.f_bavail.min(of.f_bfree) };
    Ok(Measured {
        blocks: of.f_blocks,
        free: of.f_bfree,
        available,
        block: of.f_frsize,
        inodes: of.f_files,
        inodes_available: of.f_favail,
        is_read_only: of.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

#[cfg(not(unix))]
fn measure(_: &std::path::Path) -> io::Result<Measured> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "free space can be read on Unix only: register the check under #[cfg(unix)]",
    ))
}

#[async_trait]
impl Check for DiskSpace {
    async fn check(&self) -> CheckResult {
        let path = Arc::clone(&self.path);
        Ok(self.judge(&self.thread.run(move || measure(&path)).await??))
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        if self.may_be_read_only {
            "Space and inodes are within their limits, unless the file system is mounted read-only. It does not prove \
             that the disk works or that a quota allows a write."
        } else {
            "The file system is mounted for writing, and has space and inodes left. It does not prove that the disk \
             works or that a quota allows a write."
        }
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.path.as_os_str().is_empty() {
            return Err(("the path is empty: use a path on the file system".to_owned()).into());
        }
        self.limits.validate_percent()?;
        self.bytes.validate_count()?;
        Ok(self.inodes.validate_percent()?)
    }

    check_settings! {
        limits in limits;
        warn_bytes_below: bytes.warn_below = number;
        fail_bytes_below: bytes.fail_below = number;
        warn_inodes_below: inodes.warn_below = number;
        fail_inodes_below: inodes.fail_below = number;
        allow_read_only: may_be_read_only = flag;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Measured = Measured {
        blocks: 1_000,
        free: 500,
        available: 400,
        block: 4_096,
        inodes: 100,
        inodes_available: 50,
        is_read_only: false,
    };

    #[test]
    fn a_total_that_the_file_system_does_not_report_is_not_judged() {
        let check = || DiskSpace::new("/x");
        let (none, most) = (0, u64::MAX);
        let read_only = Measured { is_read_only: true, ..DISK };
        let full = Measured { free: 0, available: 0, ..DISK };
        for (name, check, of, status, reason, observed) in [
            ("a disk", check(), DISK, Status::Healthy, None, 4),
            ("full", check(), full, Status::Unhealthy, Some(Reason::Threshold), 4),
            ("ramfs", check(), Measured { blocks: none, free: 0, available: 0, ..DISK }, Status::Healthy, None, 1),
            ("the greatest size", check(), Measured { blocks: most, available: 0, ..DISK }, Status::Healthy, None, 1),
            (
                "all reserved",
                check(),
                Measured { free: 1_000, available: 0, ..DISK },
                Status::Unhealthy,
                Some(Reason::Threshold),
                4,
            ),
            ("no inodes", check(), Measured { inodes: none, inodes_available: 0, ..DISK }, Status::Healthy, None, 3),
            (
                "the greatest number of free inodes",
                check(),
                Measured { inodes_available: most, ..DISK },
                Status::Healthy,
                None,
                3,
            ),
            (
                "the greatest number of inodes",
                check(),
                Measured { inodes: most, inodes_available: 0, ..DISK },
                Status::Healthy,
                None,
                3,
            ),
            (
                "ramfs with a limit of bytes",
                check().fail_bytes_below(1),
                Measured { blocks: none, free: 0, available: 0, ..DISK },
                Status::Degraded,
                Some(Reason::Failed),
                1,
            ),
            ("read-only", check(), read_only, Status::Unhealthy, Some(Reason::Rejected), 4),
            ("read-only on purpose", check().allow_read_only(), read_only, Status::Healthy, None, 4),
            (
                "full and read-only on purpose",
                check().allow_read_only().fail_bytes_below(1 << 40),
                Measured { is_read_only: true, ..full },
                Status::Healthy,
                None,
                4,
            ),
            (
                "full and writable, though it may be read-only",
                check().allow_read_only(),
                full,
                Status::Unhealthy,
                Some(Reason::Threshold),
                4,
            ),
        ] {
            let outcome = check.judge(&of);
            assert_eq!((outcome.status, outcome.reason), (status, reason), "{name}: {:?}", outcome.message);
            assert_eq!(outcome.observed.len(), observed, "{name}");
        }
    }
}
