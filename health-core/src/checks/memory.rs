//! The memory that this process may use. Green proves that the working set is within its share of the tightest limit, and
//! that no group held at `memory.high` waits for memory; it does not prove that the next allocation succeeds.

use std::{
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;

use super::{
    host::{
        cgroup::{Groups, groups},
        percent, unreadable, with_gaps,
    },
    limits::{check_settings, limit_methods},
    open_files::{OpenFiles, Reading},
};
use crate::{
    check::{Check, CheckResult, blocking::BlockingThread, error::InvalidCheck},
    model::{
        observed::{Limits, Number},
        status::{Kind, Membership, Reason, Status},
    },
};

/// The working set against the control group's limit (version 2 or 1), or the host's memory where there is none.
///
/// The working set is what is in use less the file cache that can be dropped at once, as the kubelet reckons. Of nested
/// groups with limits the fullest counts. The limits are those of the used share in percent.
///
/// A group of version 2 that reaches `memory.high` is not killed but slowed down. Where there is a `memory.high`, the share
/// of the last 10 s in which a task of the group waited for memory is judged, too
/// ([pressure stall information](https://docs.kernel.org/accounting/psi.html), `some avg10`). Where the kernel tells no
/// pressure, a working set at `memory.high` is Degraded.
///
/// - Least privilege: reading `/proc` and `/sys/fs/cgroup`, which everyone may.
/// - Default limits: Degraded above 85 %, Unhealthy above 95 %; Degraded above a pressure of 10 %. A limit of 100 % is never
///   exceeded, which switches it off.
/// - A host without `MemAvailable` (before Linux 3.14) has `MemFree`, `Buffers` and `Cached` available.
/// - A number that cannot be read and is not needed is left out. If a group has a limit and no usage can be read, the
///   check is Unhealthy with `failed`.
/// - The files stay open, up to five for each group and a few more, so that they can be read when no further descriptor is
///   free.
/// - Linux only; elsewhere it is Unhealthy and says so.
/// - A measure, by itself for the full report only. Observed: `used`, `limit` (in `bytes`), `used_percent`,
///   `resident`, this process's own, and where there is a `memory.high` `high` and `pressure` (in `%`). Details: `limit_of`,
///   one of `cgroup v2`, `cgroup v1` and `host`; `cgroup`, if the group's limit is not known: why; `unread`, the first
///   file that should be there and could not be read.
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
    files: OpenFiles,
    limits: Limits,
    pressure: Limits,
    thread: BlockingThread,
}

/// What one reading tells.
#[derive(Debug)]
struct Measured {
    usage: Usage,
    high: Option<High>,
    resident: Option<u64>,
    /// Why the limit of the group is not known.
    unknown_group: Option<String>,
    unread: Option<String>,
}

/// What is used of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    used: u64,
    limit: u64,
    limit_of: &'static str,
}

/// The groups that have a `memory.high`.
#[derive(Clone, Copy, Debug)]
struct High {
    /// The tightest.
    bytes: u64,
    /// The greatest share of the last 10 s in which a task waited for memory, in percent.
    pressure: Option<f64>,
    /// The greatest share of a `memory.high` that a working set has reached, in percent.
    reached: Option<f64>,
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
        let pressure = Limits { warn_above: Some(10.into()), ..Limits::default() };
        Self { files: PathBuf::from("/").into(), limits, pressure, thread: BlockingThread::default() }
    }

    /// Reads `proc` and `sys` below another root than `/`.
    pub fn root(mut self, path: impl Into<PathBuf>) -> Self {
        self.files = path.into().into();
        self
    }

    limit_methods! {
        warn_above: "Degraded above this percentage of the limit. Default 85.",
        fail_above: "Unhealthy above this percentage of the limit. Default 95.",
        warn_below: "Degraded below this percentage of the limit.",
        fail_below: "Unhealthy below this percentage of the limit.",
    }

    /// Degraded above this pressure in percent, where there is a `memory.high`. Default 10.
    pub fn warn_pressure_above(mut self, percent: impl Into<Number>) -> Self {
        self.pressure.warn_above = Some(percent.into());
        self
    }

    /// Unhealthy above this pressure in percent, where there is a `memory.high`. No default.
    pub fn fail_pressure_above(mut self, percent: impl Into<Number>) -> Self {
        self.pressure.fail_above = Some(percent.into());
        self
    }
}

/// From this share of `memory.high` on a group is held there, in percent.
const HELD: f64 = 98.0;

/// From this limit on there is none. Version 1 says so by the greatest multiple of the page size below 2^63.
const UNLIMITED: u64 = 1 << 62;

fn measure(host: &mut Reading<'_>) -> io::Result<Measured> {
    let resident = host.find("proc/self/status").and_then(|text| kibibytes(&text, "VmRSS:"));
    let machine = host.read("proc/meminfo").and_then(|table| {
        machine(&table)
            .ok_or_else(|| io::Error::other("proc/meminfo has no MemTotal, or neither MemAvailable nor MemFree"))
    });
    let groups = groups(host, "memory");
    let (folders, files) = match &groups {
        Groups::V2(folders) => (folders.as_slice(), V2),
        Groups::V1(folders) => (folders.as_slice(), V1),
        Groups::None | Groups::Unknown(_) => (&[][..], V2),
    };
    // A limit above all memory there is limits nothing.
    let whole = machine.as_ref().map_or(UNLIMITED - 1, |machine| machine.limit);
    let (mut usages, mut is_limited) = (Vec::new(), false);
    for (depth, folder) in folders.iter().enumerate() {
        // Of a group that is not visible the tightest limit is in the statistics of version 1.
        let of_all = if depth == 0 { files.of_all } else { None };
        let of_all = of_all.and_then(|key| host.field(folder.join("memory.stat"), key));
        let limits = [host.number(folder.join(files.limit)), of_all].into_iter().flatten();
        let Some(limit) = limits.filter(|limit| (1..=whole).contains(limit)).min() else { continue };
        is_limited = true;
        if let Some(used) = host.number(folder.join(files.used)) {
            // Without the cache, the working set is not greater than what is used.
            let cache = host.field(folder.join("memory.stat"), files.cache).unwrap_or(0);
            usages.push(Usage { used: used.saturating_sub(cache), limit, limit_of: files.name });
        }
    }
    let highs = folders.iter().filter_map(|folder| high(host, folder));
    let high = highs.reduce(|one, other| High {
        bytes: one.bytes.min(other.bytes),
        pressure: one.pressure.into_iter().chain(other.pressure).max_by(f64::total_cmp),
        reached: one.reached.into_iter().chain(other.reached).max_by(f64::total_cmp),
    });
    let fullest = usages.into_iter().max_by_key(|usage| u128::from(usage.used) * 1_000_000 / u128::from(usage.limit));
    let unread = host.unreadable();
    let unread_text = unread.as_ref().or(machine.as_ref().err()).map(ToString::to_string);
    let usage = match fullest {
        Some(usage) => usage,
        None if is_limited => return Err(unread.unwrap_or_else(|| io::Error::other("the group tells no usage"))),
        None => machine?,
    };
    Ok(Measured { usage, high, resident, unknown_group: groups.unknown().map(str::to_owned), unread: unread_text })
}

/// Returns the `memory.high` of a group of version 2, if it has one, and its pressure.
fn high(host: &mut Reading<'_>, folder: &Path) -> Option<High> {
    let bytes = host.number(folder.join("memory.high")).filter(|bytes| (1..UNLIMITED).contains(bytes))?;
    let used = host.number(folder.join(V2.used));
    let cache = host.field(folder.join("memory.stat"), V2.cache).unwrap_or(0);
    let reached = used.map(|used| percent(used.saturating_sub(cache), bytes));
    // A kernel without pressure stall information has no such file, or refuses to read it.
    let table = host.find(folder.join("memory.pressure"));
    let pressure = table.and_then(|table| {
        let averages = table.lines().find_map(|line| line.strip_prefix("some "))?;
        let average = averages.split(' ').find_map(|field| field.strip_prefix("avg10="))?;
        average.parse().ok().filter(|average: &f64| average.is_finite())
    });
    Some(High { bytes, pressure, reached })
}

/// The names of the files of a version.
struct Files {
    name: &'static str,
    limit: &'static str,
    used: &'static str,
    cache: &'static str,
    /// The key of the tightest limit of the group and all groups around it.
    of_all: Option<&'static str>,
}

const V2: Files =
    Files { name: "cgroup v2", limit: "memory.max", used: "memory.current", cache: "inactive_file", of_all: None };
const V1: Files = Files {
    name: "cgroup v1",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cache: "total_inactive_file",
    of_all: Some("hierarchical_memory_limit"),
};

/// Returns the usage of the whole machine.
fn machine(meminfo: &str) -> Option<Usage> {
    let number = |key| kibibytes(meminfo, key);
    let limit = number("MemTotal:").filter(|total| *total > 0)?;
    let estimated = || {
        let cached = number("Buffers:").unwrap_or(0) + number("Cached:").unwrap_or(0);
        Some(number("MemFree:")? + cached)
    };
    let available = number("MemAvailable:").or_else(estimated)?;
    Some(Usage { used: limit.saturating_sub(available), limit, limit_of: "host" })
}

/// Returns the number behind a key in one of the kernel's tables, which count in units of 1024 bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[async_trait]
impl Check for Memory {
    async fn check(&self) -> CheckResult {
        let files = self.files.clone();
        let measured = self.thread.run_short(move || measure(&mut files.reading())).await?;
        let measured = measured.map_err(|error| unreadable(&error))?;
        let Usage { used, limit, limit_of } = measured.usage;
        let share = Number::from(percent(used, limit));
        let mut outcome = self
            .limits
            .judge(share, "% of the memory is used, which")
            .observe("used", used, "bytes")
            .observe("limit", limit, "bytes")
            .observe_within("used_percent", share, "%", self.limits)
            .detail("limit_of", limit_of);
        if let Some(resident) = measured.resident {
            outcome = outcome.observe("resident", resident, "bytes");
        }
        if let Some(High { bytes, pressure, reached }) = measured.high {
            outcome = outcome.observe("high", bytes, "bytes");
            if pressure.is_none() && reached.is_some_and(|reached| reached >= HELD) {
                let message = "the group is held at memory.high, and the kernel tells no pressure";
                outcome = outcome.worsened(Status::Degraded, Reason::Threshold, message.to_owned());
            }
            if let Some(pressure) = pressure {
                let message = "% of the last 10 s were spent waiting for memory, which";
                outcome = outcome.and(self.pressure.judge(pressure.into(), message)).observe_within(
                    "pressure",
                    pressure,
                    "%",
                    self.pressure,
                );
            }
        }
        Ok(with_gaps(outcome, measured.unknown_group, measured.unread))
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        "The working set and the waits at memory.high are within their limits. It does not prove that the next \
         allocation succeeds."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        self.limits.validate_percent()?;
        self.pressure.validate_percent()?;
        // Opens the files, so that the first run can read them when no further descriptor is free.
        drop(measure(&mut self.files.reading()));
        Ok(())
    }

    check_settings! {
        limits in limits;
        warn_pressure_above: pressure.warn_above = number;
        fail_pressure_above: pressure.fail_above = number;
    }
}
