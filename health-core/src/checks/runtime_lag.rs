//! Measures how late a Tokio runtime wakes its tasks. Green proves that the timers and tasks of the runtime run in
//! time. It does not prove that the application does any useful work.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::limits::check_settings;
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::Limits,
        status::{Kind, Membership, Reason},
    },
};

/// The sampling interval.
const EVERY: Duration = Duration::from_millis(100);
/// The minimum number of samples for a verdict.
const ENOUGH: u64 = 5;
const WARN_ABOVE: Duration = Duration::from_millis(500);
const FAIL_ABOVE: Duration = Duration::from_secs(5);

/// Measures how late a Tokio runtime wakes its tasks. The lag grows if work blocks a worker thread, or if the runtime
/// has more work than processor time.
///
/// Green proves that the timers and tasks of the runtime run in time. It does not prove that the application does any
/// useful work.
///
/// A task on the runtime sleeps for 100 ms repeatedly and records how late it woke. Each run of the check judges the
/// worst of at least five sleeps, including a sleep that is still under way. If fewer sleeps have ended since the
/// previous run, the run also judges the sleeps of that run.
///
/// - The check is local, so it may count for liveness. For liveness set a `fail_above` of many seconds. If the runtime
///   is so blocked that the checks themselves do not run, the results become `stale`.
/// - Least privilege: none. The check reads nothing outside of the process.
/// - Default limits: Degraded above 500 ms, Unhealthy above 5 s.
/// - By default the check counts for the full report only.
/// - Observed value: `lag`, in `ms`, once the first sleep has ended.
///
/// ```
/// use std::time::Duration;
/// use health_core::{CheckExt, Health, RuntimeLag};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let lag = RuntimeLag::new().warn_above(Duration::from_millis(200)).fail_above(Duration::from_secs(10));
/// let health = Health::builder().check("runtime", lag.liveness()).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct RuntimeLag {
    runtime: Option<Handle>,
    warn_above: Duration,
    fail_above: Duration,
    samples: Arc<Samples>,
    window: Mutex<Window>,
    sampler: Mutex<Option<JoinHandle<()>>>,
}

/// The record of the sampler. Times are in microseconds.
#[derive(Debug)]
struct Samples {
    born: Instant,
    count: AtomicU64,
    worst: AtomicU64,
    /// The time at which the current sleep should end, counted from `born`.
    due: AtomicU64,
}

/// The samples that a run judges: the samples since the previous run. As long as they are too few, earlier samples are
/// included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Window {
    /// The number of samples before this window.
    begin: u64,
    worst: u64,
    /// The worst sample of the previous window.
    before: u64,
}

impl Window {
    /// Adds the worst sample since the last call and returns the worst sample to judge. `count` is the number of all
    /// samples.
    fn add(&mut self, count: u64, worst: u64) -> u64 {
        self.worst = self.worst.max(worst);
        if count.saturating_sub(self.begin) < ENOUGH {
            return self.worst.max(self.before);
        }
        let judged = self.worst;
        *self = Self { begin: count, worst: 0, before: judged };
        judged
    }
}

impl Default for RuntimeLag {
    fn default() -> Self {
        Self::new()
    }
}

impl RuntimeLag {
    /// Creates a check of the runtime on which the checks run.
    pub fn new() -> Self {
        Self {
            runtime: None,
            warn_above: WARN_ABOVE,
            fail_above: FAIL_ABOVE,
            samples: Arc::new(Samples {
                born: Instant::now(),
                count: AtomicU64::new(0),
                worst: AtomicU64::new(0),
                due: AtomicU64::new(0),
            }),
            window: Mutex::default(),
            sampler: Mutex::default(),
        }
    }

    /// Creates a check of another runtime, for example one that serves requests. If the runtime has been shut down or
    /// has no timer, the lag grows without limit.
    pub fn of(runtime: Handle) -> Self {
        let mut lag = Self::new();
        lag.runtime = Some(runtime);
        lag
    }

    /// Sets the lag above which the check is Degraded. Must be more than 0 and less than `fail_above`. Default 500 ms.
    pub fn warn_above(mut self, lag: Duration) -> Self {
        self.warn_above = lag;
        self
    }

    /// Sets the lag above which the check is Unhealthy. Must be more than `warn_above`. Default 5 s.
    pub fn fail_above(mut self, lag: Duration) -> Self {
        self.fail_above = lag;
        self
    }

    /// Starts the sampler at the first run. If the runtime shuts down and drops the sampler, the lag grows from then
    /// on.
    fn sample(&self) {
        let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        if sampler.is_some() {
            return;
        }
        let samples = Arc::clone(&self.samples);
        samples.expect_at(EVERY);
        let runtime = self.runtime.clone().unwrap_or_else(Handle::current);
        *sampler = Some(runtime.spawn(async move {
            loop {
                samples.expect_at(EVERY);
                sleep(EVERY).await;
                samples.worst.fetch_max(samples.overdue(), Ordering::Relaxed);
                samples.count.fetch_add(1, Ordering::Release);
            }
        }));
    }
}

impl Samples {
    fn expect_at(&self, delay: Duration) {
        self.due.store(micros(self.born.elapsed() + delay), Ordering::Relaxed);
    }

    fn overdue(&self) -> u64 {
        micros(self.born.elapsed()).saturating_sub(self.due.load(Ordering::Relaxed))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Drop for RuntimeLag {
    fn drop(&mut self) {
        if let Some(task) = self.sampler.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

#[async_trait]
impl Check for RuntimeLag {
    async fn check(&self) -> CheckResult {
        self.sample();
        let count = self.samples.count.load(Ordering::Acquire);
        let worst = self.samples.worst.swap(0, Ordering::Relaxed);
        let judged = self.window.lock().unwrap_or_else(PoisonError::into_inner).add(count, worst);
        let lag = Duration::from_micros(judged.max(self.samples.overdue()));
        if count == 0 && lag <= self.warn_above {
            return Ok(Outcome::healthy());
        }
        let late = || format!("the runtime woke its tasks {:.3} s late", lag.as_secs_f64());
        let outcome = if lag > self.fail_above {
            Outcome::unhealthy(late())
        } else if lag > self.warn_above {
            Outcome::degraded(late())
        } else {
            Outcome::healthy()
        };
        let ms = |time: Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
        let limits = Limits::new().warn_above(ms(self.warn_above)).fail_above(ms(self.fail_above));
        Ok(outcome.reason(Reason::Threshold).observe_within("lag", ms(lag), "ms", limits))
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        "The runtime's timers and tasks run in time. It does not prove that the application does any useful work."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.warn_above.is_zero() {
            return Err("warn_above(0 s) always warns: use the longest lag that is still acceptable".to_owned().into());
        }
        if self.warn_above >= self.fail_above {
            return Err((format!(
                "warn_above({:?}) must be less than fail_above({:?})",
                self.warn_above, self.fail_above
            ))
            .into());
        }
        Ok(())
    }

    check_settings! {
        warn_above: warn_above = duration;
        fail_above: fail_above = duration;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_with_too_few_samples_includes_the_previous_window() {
        let mut window = Window::default();
        for (count, worst, expected) in [
            (0, 0, 0),
            (2, 10, 10),
            (8, 900, 900),
            // No sample since the previous call, and then too few.
            (8, 0, 900),
            (12, 3, 900),
            (13, 4, 4),
            (14, 1, 4),
            (30, 2, 2),
        ] {
            assert_eq!(window.add(count, worst), expected, "after {count} samples");
        }
    }
}
