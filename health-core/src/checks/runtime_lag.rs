//! How late a Tokio runtime is. Green proves that its timers and tasks get their turn in time; it does not prove that
//! the application's own work does anything useful.

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

/// How often the lag is sampled.
const EVERY: Duration = Duration::from_millis(100);
/// So many samples are enough to judge.
const ENOUGH: u64 = 5;
const WARN_ABOVE: Duration = Duration::from_millis(500);
const FAIL_ABOVE: Duration = Duration::from_secs(5);

/// Measures how late a Tokio runtime wakes its tasks: work that blocks a worker, or more work than there is processor
/// for.
///
/// A task on the runtime sleeps for 100 ms again and again and notes by how much it overslept. Each run of the check judges
/// the worst of at least five sleeps, a sleep still going on included: a run shortly after another one judges the sleeps of
/// both. It is local and may count for liveness, where
/// a `fail_above` of many seconds is wise. A runtime so blocked that the checks themselves do not run shows as `stale`.
///
/// - Least privilege: none; it looks at nothing outside of the process.
/// - Default limits: Degraded above 500 ms, Unhealthy above 5 s.
/// - Observed: `lag`, in `ms`, from the first sleep on.
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

/// What the sampler notes: microseconds.
#[derive(Debug)]
struct Samples {
    born: Instant,
    count: AtomicU64,
    worst: AtomicU64,
    /// When the sleep going on should end, since birth.
    due: AtomicU64,
}

/// The samples that a run judges: those since the run before, joined to earlier ones while they are too few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Window {
    /// The number of samples before this window.
    begin: u64,
    worst: u64,
    /// The worst sample of the window before.
    before: u64,
}

impl Window {
    /// Adds the worst sample since the last call and returns the worst that counts. `count` is the number of all samples.
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
    /// Watches the runtime that the checks run on.
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

    /// Watches another runtime, for instance one that serves requests. One that has been shut down, or has no timer, is
    /// late without end.
    pub fn of(runtime: Handle) -> Self {
        let mut lag = Self::new();
        lag.runtime = Some(runtime);
        lag
    }

    /// Degraded above this lag.
    pub fn warn_above(mut self, lag: Duration) -> Self {
        self.warn_above = lag;
        self
    }

    /// Unhealthy above this lag.
    pub fn fail_above(mut self, lag: Duration) -> Self {
        self.fail_above = lag;
        self
    }

    /// Starts the sampler at the first run. A runtime that drops it is gone, and the lag grows from then on.
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
        "The runtime's timers and tasks get their turn in time. It does not prove that the application's own work does \
         anything useful."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.warn_above.is_zero() {
            return Err("warn_above(0 s) warns at every moment: use the longest lag that is still well"
                .to_owned()
                .into());
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
    fn a_window_of_few_samples_is_joined_to_the_one_before() {
        let mut window = Window::default();
        for (count, worst, expected) in [
            (0, 0, 0),
            (2, 10, 10),
            (8, 900, 900),
            // None since, and a few.
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
