//! The open file descriptors of this process. Green proves that the process can open more. It does not prove that the
//! system as a whole can.

use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;

use super::{
    host::{percent, unreadable},
    limits::{check_settings, limit_methods},
    open_files::{PROCESS_FULL, SYSTEM_FULL, is_out_of_descriptors},
};
use crate::{
    check::{Check, CheckResult, blocking::BlockingThread, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::{Limits, Number},
        status::{Kind, Membership, Reason, Status},
    },
};

/// Compares the open file descriptors of this process (files, sockets, pipes) with its limit, read from `/proc`.
///
/// Green proves that the process can open more file descriptors. It does not prove that the system as a whole can.
///
/// The limits apply to the used share of the process's soft limit in percent. A process without a limit has no share
/// to judge.
///
/// - Least privilege: read access to `/proc/self`, which every process has.
/// - The check works in a process without a free file descriptor: it then counts the open ones without opening
///   another. If the table of open files of the whole system is full, the check is Unhealthy with `threshold`.
/// - Default limits: Degraded above 80 %, Unhealthy above 95 %. A limit of 100 % is hardly ever exceeded, which
///   switches it off.
/// - The check works on Linux only. On other systems it is Unhealthy, and its message says why.
/// - By default the check counts for the full report only.
/// - Observed values: `open` and `limit` (in `descriptors`), and `used_percent` (in `%`).
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
    /// The limit of the process at the last reading; 0 if there was no reading or no limit.
    limit: Arc<AtomicU64>,
    thread: BlockingThread,
}

impl Default for FileDescriptors {
    fn default() -> Self {
        Self::new()
    }
}

impl FileDescriptors {
    /// Creates a check of the file descriptors of this process, with the default limits.
    pub fn new() -> Self {
        let limits = Limits { warn_above: Some(80.into()), fail_above: Some(95.into()), ..Limits::default() };
        Self { limits, limit: Arc::default(), thread: BlockingThread::default() }
    }

    limit_methods! {
        warn_above: "Sets the used percentage of the limit above which the check is Degraded. Default 80.",
        fail_above: "Sets the used percentage of the limit above which the check is Unhealthy. Default 95.",
        warn_below: "Sets the used percentage of the limit below which the check is Degraded. Default none.",
        fail_below: "Sets the used percentage of the limit below which the check is Unhealthy. Default none.",
    }
}

/// The directory in which the kernel lists the open descriptors by their numbers.
const OPEN: &str = "/proc/self/fd";
/// The maximum number of descriptors that are tested one by one.
const LOOKED_FOR: u64 = 1 << 20;

/// The result of one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Measured {
    open: u64,
    /// `None` if there is no limit.
    limit: Option<u64>,
    /// Whether the table of open files of the whole system is full.
    system_is_full: bool,
}

/// Counts the open descriptors. `known_limit` is the limit of the last reading, 0 if there was none, and is updated.
fn measure(known_limit: &AtomicU64) -> io::Result<Measured> {
    let limit = match fs::read_to_string("/proc/self/limits") {
        Ok(text) => {
            let limit = limit(&text);
            known_limit.store(limit.unwrap_or(0), Ordering::Relaxed);
            limit
        }
        Err(error) if is_out_of_descriptors(&error) => {
            return Ok(without_descriptor(&error, known_limit.load(Ordering::Relaxed)));
        }
        Err(error) => return Err(error),
    };
    match open() {
        Err(error) if is_out_of_descriptors(&error) => Ok(without_descriptor(&error, limit.unwrap_or(0))),
        open => Ok(Measured { open: open?, limit, system_is_full: false }),
    }
}

/// Counts the open descriptors without opening one. `known_limit` is 0 if no limit is known.
fn without_descriptor(error: &io::Error, known_limit: u64) -> Measured {
    let in_use = in_a_row();
    if error.raw_os_error() == Some(PROCESS_FULL) && (known_limit == 0 || known_limit > in_use) {
        // Every number below the limit is in use. A greater known limit has been lowered since it was read.
        return Measured { open: in_use, limit: Some(in_use), system_is_full: false };
    }
    let limit = if known_limit == 0 { in_use } else { known_limit };
    let system_is_full = error.raw_os_error() == Some(SYSTEM_FULL);
    Measured { open: counted(limit.max(in_use)), limit: Some(limit), system_is_full }
}

/// Returns the number of open descriptors. Linux 6.2 and later report it as the size of the directory.
fn open() -> io::Result<u64> {
    match fs::metadata(OPEN)?.len() {
        // The list itself needs a descriptor, which is not counted.
        0 => Ok((fs::read_dir(OPEN)?.count() as u64).saturating_sub(1)),
        open => Ok(open),
    }
}

/// Returns the number of consecutive open descriptors from 0 on, without opening one.
fn in_a_row() -> u64 {
    (0..LOOKED_FOR).find(|number| !is_open(*number)).unwrap_or(LOOKED_FOR)
}

/// Returns the number of open descriptors below a number, without opening one.
fn counted(below: u64) -> u64 {
    match fs::metadata(OPEN).map_or(0, |directory| directory.len()) {
        0 => (0..below.min(LOOKED_FOR)).filter(|number| is_open(*number)).count() as u64,
        open => open,
    }
}

fn is_open(descriptor: u64) -> bool {
    fs::symlink_metadata(format!("{OPEN}/{descriptor}")).is_ok()
}

/// Parses the soft limit from the text of `/proc/self/limits`; `None` if it is unlimited.
fn limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[async_trait]
impl Check for FileDescriptors {
    async fn check(&self) -> CheckResult {
        let limit = Arc::clone(&self.limit);
        let measured = self.thread.run_short(move || measure(&limit)).await?;
        let measured = measured.map_err(|error| {
            let text = format!("the file descriptors of this process cannot be read: {error}");
            unreadable(&io::Error::new(error.kind(), text))
        })?;
        let mut outcome = Outcome::healthy().observe("open", measured.open, "descriptors");
        if measured.system_is_full {
            let message = "the table of open files of the whole system is full: no process can open another file";
            outcome = outcome.worsened(Status::Unhealthy, Reason::Threshold, message.to_owned());
        }
        let Some(limit) = measured.limit else { return Ok(outcome) };
        // A limit of 0 permits no descriptor, so all permitted ones are in use.
        let used = Number::from(if limit == 0 { 100.0 } else { percent(measured.open, limit) });
        Ok(outcome
            .observe("limit", limit, "descriptors")
            .and(self.limits.judge(used, "% of the descriptors are open, which"))
            .observe_within("used_percent", used, "%", self.limits))
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        "This process can open more file descriptors. It does not prove that the system as a whole can."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(self.limits.validate_percent()?)
    }

    check_settings! {
        limits in limits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_parsed_from_the_kernels_table() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             unlimited            unlimited            processes \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(limit(text), Some(1024));
        assert_eq!(limit("Max open files            unlimited            unlimited            files"), None);
        assert_eq!(limit(""), None);
    }
}
