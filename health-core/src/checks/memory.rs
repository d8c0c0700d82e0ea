//! Measures the memory that this process may use. Green proves that the working set is within its share of the tightest
//! limit, and that no control group at `memory.high` waits for memory. It does not prove that the next allocation
//! succeeds.

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

/// Compares the working set with the memory limit of the control group (version 2 or 1), or with the memory of the host
/// if the group has no limit.
///
/// Green proves that the working set is within its share of the tightest limit, and that no control group at
/// `memory.high` waits for memory. It does not prove that the next allocation succeeds.
///
/// The working set is the used memory without the file cache that the kernel can drop at once. The kubelet computes it
/// in the same way. Of several nested groups with limits, the group with the greatest used share counts. The limits of
/// the check apply to the used share in percent.
///
/// The kernel slows down a group of version 2 that reaches `memory.high`, and does not kill it. If a group has a
/// `memory.high`, the check also judges its memory pressure: the share of the last 10 s in which a task of the group
/// waited for memory ([pressure stall information](https://docs.kernel.org/accounting/psi.html), `some avg10`). If the
/// kernel reports no pressure, a working set at `memory.high` is Degraded.
///
/// - Least privilege: read access to `/proc` and `/sys/fs/cgroup`, which every user has.
/// - Default limits: Degraded above 85 %, Unhealthy above 95 %, and Degraded above a pressure of 10 %. A limit of 100 %
///   is never exceeded, which switches it off.
/// - On a host without `MemAvailable` (before Linux 3.14) the available memory is the sum of `MemFree`, `Buffers` and
///   `Cached`.
/// - A number that cannot be read is left out if the verdict does not need it. If a group has a limit and no usage can
///   be read, the check is Unhealthy with `failed`.
/// - The files stay open, up to five for each group and a few more, so that the check works in a process without a free
///   file descriptor.
/// - The check works on Linux only. On other systems it is Unhealthy, and its message says why.
/// - By default the check counts for the full report only.
/// - Observed values: `used` and `limit` (in `bytes`), `used_percent`, `resident` (of this process, in `bytes`), and,
///   if there is a `memory.high`, `high` (in `bytes`) and `pressure` (in `%`).
/// - Details: `limit_of` is `cgroup v2`, `cgroup v1` or `host`. `cgroup` says why the limit of the group is not known.
///   `unread` names the first file that exists and could not be read.
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

/// The result of one measurement.
#[derive(Debug)]
struct Measured {
    usage: Usage,
    high: Option<High>,
    resident: Option<u64>,
    /// The reason for which the limit of the group is not known.
    unknown_group: Option<String>,
    /// The first file that exists and could not be read.
    unread: Option<String>,
}

/// The used memory and the limit that it counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    used: u64,
    limit: u64,
    limit_of: &'static str,
}

/// The `memory.high` of a group, or of several nested groups.
#[derive(Clone, Copy, Debug)]
struct High {
    /// The lowest `memory.high`.
    bytes: u64,
    /// The greatest pressure: the share of the last 10 s in which a task waited for memory, in percent.
    pressure: Option<f64>,
    /// The greatest share that a working set has of its `memory.high`, in percent.
    reached: Option<f64>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// Creates a check of the memory of this process.
    pub fn new() -> Self {
        let limits = Limits { warn_above: Some(85.into()), fail_above: Some(95.into()), ..Limits::default() };
        let pressure = Limits { warn_above: Some(10.into()), ..Limits::default() };
        Self { files: PathBuf::from("/").into(), limits, pressure, thread: BlockingThread::default() }
    }

    /// Sets the directory that contains `proc` and `sys`. Default `/`.
    pub fn root(mut self, path: impl Into<PathBuf>) -> Self {
        self.files = path.into().into();
        self
    }

    limit_methods! {
        warn_above: "Sets the used share, in percent, above which the check is Degraded. Default 85.",
        fail_above: "Sets the used share, in percent, above which the check is Unhealthy. Default 95.",
        warn_below: "Sets the used share, in percent, below which the check is Degraded. Default none.",
        fail_below: "Sets the used share, in percent, below which the check is Unhealthy. Default none.",
    }

    /// Sets the memory pressure, in percent, above which the check is Degraded. Applies if a group has a `memory.high`.
    /// Default 10.
    pub fn warn_pressure_above(mut self, percent: impl Into<Number>) -> Self {
        self.pressure.warn_above = Some(percent.into());
        self
    }

    /// Sets the memory pressure, in percent, above which the check is Unhealthy. Applies if a group has a
    /// `memory.high`. Default none.
    pub fn fail_pressure_above(mut self, percent: impl Into<Number>) -> Self {
        self.pressure.fail_above = Some(percent.into());
        self
    }
}

/// The minimum share of `memory.high`, in percent, at which a group counts as held at `memory.high`.
const HELD: f64 = 98.0;

/// The minimum value of a limit, in bytes, that means "no limit". Version 1 shows the greatest multiple of the page
/// size below 2^63.
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
    // A limit above the memory of the machine has no effect.
    let whole = machine.as_ref().map_or(UNLIMITED - 1, |machine| machine.limit);
    let (mut usages, mut is_limited) = (Vec::new(), false);
    for (depth, folder) in folders.iter().enumerate() {
        // The statistics of version 1 contain the tightest limit of all parent groups, including groups that are not
        // visible.
        let of_all = if depth == 0 { files.of_all } else { None };
        let of_all = of_all.and_then(|key| host.field(folder.join("memory.stat"), key));
        let limits = [host.number(folder.join(files.limit)), of_all].into_iter().flatten();
        let Some(limit) = limits.filter(|limit| (1..=whole).contains(limit)).min() else { continue };
        is_limited = true;
        if let Some(used) = host.number(folder.join(files.used)) {
            // If the size of the cache is unknown, all used memory counts. The real working set is not greater.
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
        None if is_limited => return Err(unread.unwrap_or_else(|| io::Error::other("the group reports no usage"))),
        None => machine?,
    };
    Ok(Measured { usage, high, resident, unknown_group: groups.unknown().map(str::to_owned), unread: unread_text })
}

/// Returns the `memory.high` of a group of version 2, and the group's pressure. Returns `None` if it has no
/// `memory.high`.
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

/// The names of the files of a control group version.
struct Files {
    name: &'static str,
    limit: &'static str,
    used: &'static str,
    cache: &'static str,
    /// The key, in `memory.stat`, of the tightest limit of the group and all its parent groups.
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

/// Returns the usage of the whole machine, from the text of `/proc/meminfo`.
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

/// Returns the value of a key in a table of the kernel, in bytes. The table has units of 1024 bytes.
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
                let message = "the group is at memory.high, and the kernel reports no memory pressure";
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
        "The working set and the memory pressure at memory.high are within their limits. It does not prove that the \
         next allocation succeeds."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        self.limits.validate_percent()?;
        self.pressure.validate_percent()?;
        // Opens the files, so that the first run can read them even if no file descriptor is free by then.
        drop(measure(&mut self.files.reading()));
        Ok(())
    }

    check_settings! {
        limits in limits;
        warn_pressure_above: pressure.warn_above = number;
        fail_pressure_above: pressure.fail_above = number;
    }
}
