//! The processors that this process may use. Green proves that no more tasks than tolerated wait for each core and that
//! the control group is not being throttled; it does not prove that the application is fast.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

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

/// The host's load per core, and how often the control group (version 2 or 1) had to stand still because its quota was
/// used up.
///
/// The limits are those of the load of the last minute per core. Throttling is the share of the scheduler's periods,
/// since the run before, at whose end the group had to wait.
///
/// - Least privilege: reading `/proc` and `/sys/fs/cgroup`, which everyone may.
/// - Default limits: Degraded above a load of 2 per core, and above 25 % of the periods; Unhealthy never.
/// - Linux only; elsewhere it is Unhealthy and says so.
/// - A measure, by itself for the full report only. Observed: `load_per_core`, `cores`, and where there is a quota
///   `quota` (in `cores`) and `throttled_percent`.
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
    root: Root,
    limits: Limits,
    throttled: Limits,
    /// The periods of every group with a quota, as the run before saw them.
    before: Mutex<HashMap<PathBuf, Periods>>,
    thread: BlockingThread,
}

/// What one reading tells.
#[derive(Debug)]
struct Reading {
    load: f64,
    cores: u32,
    /// The tightest.
    quota: Option<f64>,
    /// Of every group with a quota: the one that is used up need not be the tightest.
    periods: HashMap<PathBuf, Periods>,
}

/// The scheduler's periods since the group was made.
#[derive(Clone, Copy, Debug)]
struct Periods {
    all: u64,
    throttled: u64,
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Cpu {
    /// This process's processors.
    pub fn new() -> Self {
        Self {
            root: Root::default(),
            limits: Limits { warn_above: Some(2.into()), ..Limits::default() },
            throttled: Limits { warn_above: Some(25.into()), ..Limits::default() },
            before: Mutex::default(),
            thread: BlockingThread::default(),
        }
    }

    /// Reads `proc` and `sys` below another root than `/`.
    pub fn root(mut self, path: impl Into<PathBuf>) -> Self {
        self.root = path.into().into();
        self
    }

    limit_methods! {
        warn_above: "Degraded above this load per core. Default 2.",
        fail_above: "Unhealthy above this load per core. No default.",
        warn_below: "Degraded below this load per core.",
        fail_below: "Unhealthy below this load per core.",
    }

    /// Degraded above this percentage of throttled periods. Default 25.
    pub fn warn_throttled_above(mut self, percent: impl Into<Number>) -> Self {
        self.throttled.warn_above = Some(percent.into());
        self
    }

    /// Unhealthy above this percentage of throttled periods. No default.
    pub fn fail_throttled_above(mut self, percent: impl Into<Number>) -> Self {
        self.throttled.fail_above = Some(percent.into());
        self
    }

    /// The greatest share of throttled periods of a group since the run before: none of that in the first.
    fn throttled_since(&self, now: HashMap<PathBuf, Periods>) -> Option<f64> {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let share = |(folder, now): (&PathBuf, &Periods)| {
            let earlier = before.get(folder).unwrap_or(now);
            let all = now.all.saturating_sub(earlier.all);
            if all == 0 { 0.0 } else { percent(now.throttled.saturating_sub(earlier.throttled), all) }
        };
        let worst = now.iter().map(share).max_by(f64::total_cmp);
        *before = now;
        worst
    }
}

fn read(root: &Root) -> io::Result<Reading> {
    let load = root.read("proc/loadavg")?;
    let load = load.split_whitespace().next().and_then(|load| load.parse().ok());
    let load = load.ok_or_else(|| io::Error::other("proc/loadavg does not begin with a number"))?;
    let lines = root.read("proc/stat")?;
    let is_core =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let cores = u32::try_from(lines.lines().filter(is_core).count()).unwrap_or(u32::MAX).max(1);
    let (folders, quota): (_, fn(&Path) -> Option<f64>) = match root.groups("cpu") {
        Groups::V2(folders) => (folders, quota_v2),
        Groups::V1(folders) => (folders, quota_v1),
        Groups::None => return Ok(Reading { load, cores, quota: None, periods: HashMap::new() }),
    };
    let limited: Vec<(f64, PathBuf)> =
        folders.into_iter().filter_map(|folder| Some((quota(&folder)?, folder))).collect();
    let tightest = limited.iter().map(|(quota, _)| *quota).min_by(f64::total_cmp);
    let periods = limited.into_iter().filter_map(|(_, folder)| {
        let count = |key| field(&folder, "cpu.stat", key);
        let periods = Periods { all: count("nr_periods")?, throttled: count("nr_throttled")? };
        Some((folder, periods))
    });
    Ok(Reading { load, cores, quota: tightest, periods: periods.collect() })
}

#[expect(clippy::cast_precision_loss, reason = "a number of cores needs no more than a float's precision")]
fn cores(quota: u64, period: u64) -> Option<f64> {
    (period > 0).then(|| (quota as f64 / period as f64 * 100.0).round() / 100.0)
}

fn quota_v2(folder: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(folder.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    cores(quota.parse().ok()?, period.parse().ok()?)
}

fn quota_v1(folder: &Path) -> Option<f64> {
    // A quota of -1 is none, and no number of ours.
    cores(number(folder, "cpu.cfs_quota_us")?, number(folder, "cpu.cfs_period_us")?)
}

#[async_trait]
impl Check for Cpu {
    async fn check(&self) -> CheckResult {
        let root = self.root.clone();
        let reading = self.thread.run(move || read(&root)).await??;
        let per_core = Number::from((reading.load / f64::from(reading.cores) * 100.0).round() / 100.0);
        let mut outcome = self
            .limits
            .judge(per_core, "is the load per core, which")
            .observe_within("load_per_core", per_core, "tasks", self.limits)
            .observe("cores", reading.cores, "cores");
        if let Some(quota) = reading.quota {
            outcome = outcome.observe("quota", quota, "cores");
        }
        if let Some(throttled) = self.throttled_since(reading.periods) {
            outcome = outcome
                .and(self.throttled.judge(throttled.into(), "% of the periods were throttled, which"))
                .observe_within("throttled_percent", throttled, "%", self.throttled);
        }
        Ok(outcome)
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        self.limits.validate_count()?;
        Ok(self.throttled.validate_percent()?)
    }
}
