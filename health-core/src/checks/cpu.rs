//! The processors that this process may use. Green proves that the load per core and the throttling of the control
//! group are within their limits. It does not prove that the application is fast.

mod throttling;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use self::throttling::{Periods, Throttling};
use super::{
    host::{
        cgroup::{Groups, groups},
        processors, unreadable, with_gaps,
    },
    limits::{check_settings, limit_methods},
    open_files::{OpenFiles, Reading},
};
use crate::{
    check::{Check, CheckResult, blocking::BlockingThread, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::{Limits, Number},
        status::{Kind, Membership},
    },
};

/// Measures the host's load per core, and how often the control group (version 2 or 1) was throttled because its CPU
/// quota was used up.
///
/// Green proves that the load per core and the throttling are within their limits. It does not prove that the
/// application is fast.
///
/// The limits apply to the load average of the last minute, divided by the number of cores. Throttling has limits of
/// its own: they apply to the share of the scheduler's periods at whose end the group had to wait. The share is taken
/// over at least ten periods, or over the time of ten periods (at least 1 s). The first run has no share.
///
/// - Least privilege: read access to `/proc` and `/sys/fs/cgroup`, which every user has.
/// - Default limits: Degraded above a load of 2 per core, and Degraded above 25 % throttled periods. No limit makes
///   the check Unhealthy by default.
/// - If the load or the throttling cannot be read, it is left out and the other is judged. With neither, the check is
///   Unhealthy with `failed`, unless the group has a quota: then it is Healthy, and judges nothing.
/// - In an LXC container `/proc/stat` shows the container's cores and `/proc/loadavg` the host's load. There the load
///   is divided by the host's cores.
/// - The files stay open, two or three for each group and a few more, so that the check works in a process without a
///   free file descriptor.
/// - The check works on Linux only. On other systems it is Unhealthy, and its message says why.
/// - By default the check counts for the full report only.
/// - Observed values: `load_per_core` (in `tasks`), `cores` (in `cores`), and with a quota `quota` (in `cores`) and
///   `throttled_percent` (in `%`). Details: `cgroup`, the reason if the quota of the group is unknown; `unread`, the
///   first file that should exist and could not be read.
///
/// ```
/// use health_core::{Cpu, Health};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("cpu", Cpu::new().warn_above(1.5).warn_throttled_above(10)).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Cpu {
    files: OpenFiles,
    limits: Limits,
    throttled: Limits,
    throttling: Mutex<Throttling>,
    thread: BlockingThread,
}

/// The result of one reading.
#[derive(Debug)]
struct Measured {
    load: io::Result<f64>,
    cores: Option<u32>,
    /// The tightest quota, in cores.
    quota: Option<f64>,
    /// The periods of every group with a quota, because the quota that is used up need not be the tightest.
    periods: HashMap<PathBuf, Periods>,
    /// The reason for which the quota of the group is unknown.
    unknown_group: Option<String>,
    unread: Option<String>,
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Cpu {
    /// Creates a check of the processors of this process, with the default limits.
    pub fn new() -> Self {
        Self {
            files: PathBuf::from("/").into(),
            limits: Limits { warn_above: Some(2.into()), ..Limits::default() },
            throttled: Limits { warn_above: Some(25.into()), ..Limits::default() },
            throttling: Mutex::default(),
            thread: BlockingThread::default(),
        }
    }

    /// Sets the directory below which `proc` and `sys` are read, such as recorded files of another machine. Default
    /// `/`.
    pub fn root(mut self, path: impl Into<PathBuf>) -> Self {
        self.files = path.into().into();
        self
    }

    limit_methods! {
        warn_above: "Sets the load per core above which the check is Degraded. Default 2.",
        fail_above: "Sets the load per core above which the check is Unhealthy. Default none.",
        warn_below: "Sets the load per core below which the check is Degraded. Default none.",
        fail_below: "Sets the load per core below which the check is Unhealthy. Default none.",
    }

    /// Sets the percentage of throttled periods above which the check is Degraded. Default 25.
    pub fn warn_throttled_above(mut self, percent: impl Into<Number>) -> Self {
        self.throttled.warn_above = Some(percent.into());
        self
    }

    /// Sets the percentage of throttled periods above which the check is Unhealthy. Default none.
    pub fn fail_throttled_above(mut self, percent: impl Into<Number>) -> Self {
        self.throttled.fail_above = Some(percent.into());
        self
    }
}

fn measure(host: &mut Reading<'_>) -> Measured {
    let load = host.read("proc/loadavg").and_then(|table| load(&table));
    if let Err(error) = &load {
        host.note(io::Error::new(error.kind(), error.to_string()));
    }
    let cores = cores(host);
    let groups = groups(host, "cpu");
    let (folders, quota): (_, Quota) = match &groups {
        Groups::V2(folders) => (folders.as_slice(), quota_v2),
        Groups::V1(folders) => (folders.as_slice(), quota_v1),
        Groups::None | Groups::Unknown(_) => (&[][..], quota_v2),
    };
    let (mut tightest, mut periods) = (None::<f64>, HashMap::new());
    for folder in folders {
        let Some((quota, length)) = quota(host, folder) else { continue };
        tightest = Some(tightest.map_or(quota, |tightest| tightest.min(quota)));
        let mut count = |key| host.field(folder.join("cpu.stat"), key);
        if let (Some(all), Some(throttled)) = (count("nr_periods"), count("nr_throttled")) {
            periods.insert(folder.clone(), Periods { all, throttled, length });
        }
    }
    let unknown_group = groups.unknown().map(str::to_owned);
    let unread = host.unreadable().map(|error| error.to_string());
    Measured { load, cores, quota: tightest, periods, unknown_group, unread }
}

/// Returns the load average of the last minute.
///
/// # Errors
///
/// Returns an error if the table has no load, or counts no task. gVisor counts none and does not measure the load.
fn load(table: &str) -> io::Result<f64> {
    let mut fields = table.split_whitespace();
    let load = fields.next().and_then(|load| load.parse().ok()).filter(|load: &f64| load.is_finite() && *load >= 0.0);
    let load = load.ok_or_else(|| io::Error::other("proc/loadavg does not begin with a number"))?;
    match fields.nth(2).and_then(|tasks| tasks.split_once('/')) {
        Some((_, "0")) => Err(io::Error::other("proc/loadavg counts no tasks, so its load is not measured")),
        _ => Ok(load),
    }
}

/// Returns the number of cores over which the load is spread.
fn cores(host: &mut Reading<'_>) -> Option<u32> {
    let is_core =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let counted = host.find("proc/stat").map(|table| table.lines().filter(is_core).count());
    let counted = counted.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
    let is_virtual = host.find("proc/self/mountinfo").is_some_and(|mounts| {
        mounts.lines().any(|mount| mount.contains(" /proc/stat ") && mount.contains(" - fuse.lxcfs "))
    });
    // LXC does not change the list of the processors that are present.
    let list = if is_virtual { "present" } else { "online" };
    let listed = host.find(Path::new("sys/devices/system/cpu").join(list)).and_then(|list| processors(&list));
    counted.max(listed)
}

/// Reads the quota of a group: the number of cores that it may use, and the duration of a scheduler period.
type Quota = fn(&mut Reading<'_>, &Path) -> Option<(f64, Duration)>;

#[expect(clippy::cast_precision_loss, reason = "a number of cores needs no more than a float's precision")]
fn quota(quota: u64, period: u64) -> Option<(f64, Duration)> {
    // A quota of 0 cannot be set, so 0 means that there is no quota.
    let cores = || (quota as f64 / period as f64 * 100.0).round() / 100.0;
    (quota > 0 && period > 0).then(|| (cores(), Duration::from_micros(period)))
}

fn quota_v2(host: &mut Reading<'_>, folder: &Path) -> Option<(f64, Duration)> {
    let path = folder.join("cpu.max");
    let text = host.find(&path)?;
    let mut fields = text.split_whitespace();
    let granted = host.parse(&path, fields.next().unwrap_or_default())?;
    quota(granted, host.parse(&path, fields.next().unwrap_or("100000"))?)
}

fn quota_v1(host: &mut Reading<'_>, folder: &Path) -> Option<(f64, Duration)> {
    quota(host.number(folder.join("cpu.cfs_quota_us"))?, host.number(folder.join("cpu.cfs_period_us"))?)
}

#[async_trait]
impl Check for Cpu {
    async fn check(&self) -> CheckResult {
        let files = self.files.clone();
        let measured = self.thread.run_short(move || measure(&mut files.reading())).await?;
        let throttled = {
            let mut throttling = self.throttling.lock().unwrap_or_else(PoisonError::into_inner);
            throttling.share(Instant::now(), measured.periods)
        };
        let mut outcome = match (measured.load, measured.cores) {
            (Ok(load), Some(cores)) => {
                let per_core = Number::from((load / f64::from(cores) * 100.0).round() / 100.0);
                self.limits.judge(per_core, "is the load per core, which").observe_within(
                    "load_per_core",
                    per_core,
                    "tasks",
                    self.limits,
                )
            }
            (_, _) if measured.quota.is_some() => Outcome::healthy(),
            (Ok(_), None) => return Err("the number of cores is unknown: proc/stat lists none".into()),
            (Err(error), _) => return Err(unreadable(&error)),
        };
        if let Some(cores) = measured.cores {
            outcome = outcome.observe("cores", cores, "cores");
        }
        if let Some(quota) = measured.quota {
            outcome = outcome.observe("quota", quota, "cores");
        }
        if let Some(throttled) = throttled {
            outcome = outcome
                .and(self.throttled.judge(throttled.into(), "% of the periods were throttled, which"))
                .observe_within("throttled_percent", throttled, "%", self.throttled);
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
        "The load per core and the throttling of the control group are within their limits. It does not prove that the \
         application is fast."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        self.limits.validate_count()?;
        self.throttled.validate_percent()?;
        // Opens the files, so that the first run can read them even when no further file descriptor is free.
        measure(&mut self.files.reading());
        Ok(())
    }

    check_settings! {
        limits in limits;
        warn_throttled_above: throttled.warn_above = number;
        fail_throttled_above: throttled.fail_above = number;
    }
}
