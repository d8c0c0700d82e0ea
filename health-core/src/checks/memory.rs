//! The memory that this process may use. Green proves that the working set is within its share of the tightest limit; it
//! does not prove that the next allocation succeeds.

use std::{io, path::PathBuf};

use async_trait::async_trait;

use super::{
    cgroup::{Groups, Root, field, number, percent},
    limits::limit_methods,
};
use crate::{
    check::{Check, CheckResult, blocking::BlockingThread, error::InvalidCheck},
    model::{
        observed::{Limits, Number},
        status::{Kind, Membership},
    },
};

/// The working set against the control group's limit (version 2 or 1), or the host's memory where there is none.
///
/// The working set is what is in use less the file cache that can be dropped at once, as the kubelet reckons. Of nested
/// groups with limits the fullest counts. The limits are those of the used share in percent.
///
/// - Least privilege: reading `/proc` and `/sys/fs/cgroup`, which everyone may.
/// - Default limits: Degraded above 85 %, Unhealthy above 95 %.
/// - Linux only; elsewhere it is Unhealthy and says so.
/// - A measure, by itself for the full report only. Observed: `used`, `limit` (in `bytes`), `used_percent`, and
///   `resident`, this process's own. Details: `limit_of`, one of `cgroup v2`, `cgroup v1` and `host`.
///
/// ```
/// use health_core::{Health, Memory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("memory", Memory::new().warn_above(80).fail_above(95)).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Memory {
    root: Root,
    limits: Limits,
    thread: BlockingThread,
}

/// What is used of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    used: u64,
    limit: u64,
    limit_of: &'static str,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// This process's memory.
    pub fn new() -> Self {
        let limits = Limits { warn_above: Some(85.into()), fail_above: Some(95.into()), ..Limits::default() };
        Self { root: Root::default(), limits, thread: BlockingThread::default() }
    }

    /// Reads `proc` and `sys` below another root than `/`.
    pub fn root(mut self, path: impl Into<PathBuf>) -> Self {
        self.root = path.into().into();
        self
    }

    limit_methods! {
        warn_above: "Degraded above this percentage of the limit. Default 85.",
        fail_above: "Unhealthy above this percentage of the limit. Default 95.",
        warn_below: "Degraded below this percentage of the limit.",
        fail_below: "Unhealthy below this percentage of the limit.",
    }
}

/// The fullest group that has a limit, or the host.
fn usage(root: &Root) -> io::Result<Usage> {
    let host = host(&root.read("proc/meminfo")?)
        .ok_or_else(|| io::Error::other("proc/meminfo has no MemTotal and MemAvailable"))?;
    let (folders, files) = match root.groups("memory") {
        Groups::V2(folders) => (folders, V2),
        Groups::V1(folders) => (folders, V1),
        Groups::None => return Ok(host),
    };
    let grouped = folders.iter().filter_map(|folder| {
        let limit = number(folder, files.limit)?;
        let cache = field(folder, "memory.stat", files.cache).unwrap_or(0);
        Some(Usage { used: number(folder, files.used)?.saturating_sub(cache), limit, limit_of: files.name })
    });
    // A limit above all memory there is, such as version 1's way of saying none, limits nothing.
    let limited = grouped.filter(|usage| usage.limit <= host.limit && usage.limit > 0);
    Ok(limited.max_by_key(|usage| u128::from(usage.used) * 1_000_000 / u128::from(usage.limit)).unwrap_or(host))
}

/// How the two versions call it.
struct Files {
    name: &'static str,
    limit: &'static str,
    used: &'static str,
    cache: &'static str,
}

const V2: Files = Files { name: "cgroup v2", limit: "memory.max", used: "memory.current", cache: "inactive_file" };
const V1: Files = Files {
    name: "cgroup v1",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cache: "total_inactive_file",
};

fn host(meminfo: &str) -> Option<Usage> {
    let limit = kibibytes(meminfo, "MemTotal:")?;
    let available = kibibytes(meminfo, "MemAvailable:")?;
    Some(Usage { used: limit.saturating_sub(available), limit, limit_of: "host" })
}

/// The number behind a key in one of the kernel's tables, which count in units of 1024 bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[async_trait]
impl Check for Memory {
    async fn check(&self) -> CheckResult {
        let root = self.root.clone();
        let read = move || {
            let resident = root.read("proc/self/status").ok().and_then(|text| kibibytes(&text, "VmRSS:"));
            usage(&root).map(|usage| (usage, resident))
        };
        let (Usage { used, limit, limit_of }, resident) = self.thread.run(read).await??;
        let share = Number::from(percent(used, limit));
        let outcome = self
            .limits
            .judge(share, "% of the memory is used, which")
            .observe("used", used, "bytes")
            .observe("limit", limit, "bytes")
            .observe_within("used_percent", share, "%", self.limits)
            .detail("limit_of", limit_of);
        Ok(match resident {
            Some(resident) => outcome.observe("resident", resident, "bytes"),
            None => outcome,
        })
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
