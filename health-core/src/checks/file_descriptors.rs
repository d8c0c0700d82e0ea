//! The open file descriptors of this process. Green proves that it can open more; it does not prove that the system as a
//! whole can.

use std::{fs, io};

use async_trait::async_trait;

use super::limits::limit_methods;
use crate::{
    check::{
        Check, CheckResult,
        blocking::BlockingThread,
        error::{CheckError, InvalidCheck},
        outcome::Outcome,
    },
    model::{
        observed::{Limits, Number},
        status::{Kind, Membership},
    },
};

/// The open file descriptors against this process's limit, from `/proc`: files, sockets, pipes.
///
/// The limits are those of the used share in percent.
///
/// - Least privilege: reading `/proc/self`, which every process may.
/// - Default limits: Degraded above 80 %, Unhealthy above 95 %.
/// - Linux only; elsewhere it is Unhealthy and says so.
/// - A measure, by itself for the full report only. Observed: `open`, `limit` and `used_percent`.
///
/// ```
/// use health_core::{FileDescriptors, Health};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("descriptors", FileDescriptors::new().warn_above(70)).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct FileDescriptors {
    limits: Limits,
    thread: BlockingThread,
}

impl Default for FileDescriptors {
    fn default() -> Self {
        Self::new()
    }
}

impl FileDescriptors {
    /// This process's descriptors.
    pub fn new() -> Self {
        let limits = Limits { warn_above: Some(80.into()), fail_above: Some(95.into()), ..Limits::default() };
        Self { limits, thread: BlockingThread::default() }
    }

    limit_methods! {
        warn_above: "Degraded above this percentage of the limit. Default 80.",
        fail_above: "Unhealthy above this percentage of the limit. Default 95.",
        warn_below: "Degraded below this percentage of the limit.",
        fail_below: "Unhealthy below this percentage of the limit.",
    }
}

/// How many are open. The list itself needs one, which is not counted.
fn open() -> io::Result<u64> {
    Ok((fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1))
}

/// The soft limit in the text of `/proc/self/limits`; none if unlimited.
fn limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[async_trait]
impl Check for FileDescriptors {
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float's precision")]
    async fn check(&self) -> CheckResult {
        let read = || Ok::<_, io::Error>((open()?, fs::read_to_string("/proc/self/limits")?));
        let (open, text) = self.thread.run(read).await?.map_err(|error| {
            CheckError::new(format!("this process's descriptors cannot be read from /proc, which Linux has: {error}"))
        })?;
        let Some(limit) = limit(&text) else {
            return Ok(Outcome::healthy().observe("open", open, "descriptors"));
        };
        let used = Number::from((open as f64 / limit.max(1) as f64 * 10_000.0).round() / 100.0);
        Ok(self
            .limits
            .judge(used, "% of the descriptors are open, which")
            .observe("open", open, "descriptors")
            .observe("limit", limit, "descriptors")
            .observe_within("used_percent", used, "%", self.limits))
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(self.limits.validate_percent()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read_from_the_kernels_table() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             unlimited            unlimited            processes \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(limit(text), Some(1024));
        assert_eq!(limit("Max open files            unlimited            unlimited            files"), None);
        assert_eq!(limit(""), None);
    }
}
