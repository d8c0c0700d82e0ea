//! The share of the application's own calls that failed lately: what users feel, not what a ping says. Green proves that
//! fewer calls than the limit failed, or that there were too few to judge; it does not prove that calls are being made.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::limits::{check_settings, limit_methods};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::{Limits, Number},
        status::Membership,
    },
};

const WINDOW: Duration = Duration::from_secs(60);
const MINIMUM: u64 = 20;
/// A window is counted in so many parts: it slides by one of them.
const PARTS: usize = 60;

/// What the application records into: clones count into the same window.
///
/// The window slides; with fewer calls in it than the minimum, the check is Healthy whatever failed. Recording costs a
/// short lock.
///
/// - Least privilege: none; it looks at nothing outside of the process.
/// - Default: a window of 60 s, at least 20 calls, Degraded above a share of 0.05, Unhealthy above 0.5.
/// - A measure: by itself it counts for the full report only, because what fails may be shared by all instances.
/// - Observed: `failures`, `calls`, and `share` where there are calls.
///
/// ```
/// use health_core::{ErrorRate, Health};
///
/// # async fn charge() -> Result<(), std::io::Error> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let payments = ErrorRate::new().fail_above(0.25);
/// let health = Health::builder().check("payments", payments.check()).start()?;
/// let charged = charge().await;
/// payments.record(&charged);
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is judged until its check is registered"]
pub struct ErrorRate {
    counts: Arc<Mutex<Counts>>,
    minimum: u64,
    limits: Limits,
}

/// A ring of parts of the window.
#[derive(Debug)]
struct Counts {
    window: Duration,
    born: Instant,
    /// The part that is being counted into, since birth.
    current: u64,
    parts: [Part; PARTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    calls: u64,
    failures: u64,
}

impl Default for ErrorRate {
    fn default() -> Self {
        Self::new()
    }
}

impl ErrorRate {
    /// An empty window.
    pub fn new() -> Self {
        let counts = Counts { window: WINDOW, born: Instant::now(), current: 0, parts: [Part::default(); PARTS] };
        let limits = Limits { warn_above: Some(0.05.into()), fail_above: Some(0.5.into()), ..Limits::default() };
        Self { counts: Arc::new(Mutex::new(counts)), minimum: MINIMUM, limits }
    }

    /// How far back is looked, for all clones. Default 60 s. What has been recorded is forgotten.
    pub fn window(self, window: Duration) -> Self {
        *self.counts() = Counts { window, born: Instant::now(), current: 0, parts: [Part::default(); PARTS] };
        self
    }

    /// How many calls there must be in the window to judge them. Default 20.
    pub fn minimum(mut self, calls: u64) -> Self {
        self.minimum = calls;
        self
    }

    limit_methods! {
        warn_above: "Degraded above this share of failed calls, 0 to 1. Default 0.05.",
        fail_above: "Unhealthy above this share of failed calls, 0 to 1. Default 0.5.",
        warn_below: "Degraded below this share of failed calls.",
        fail_below: "Unhealthy below this share of failed calls.",
    }

    /// A call succeeded.
    pub fn success(&self) {
        self.count(0);
    }

    /// A call failed.
    pub fn failure(&self) {
        self.count(1);
    }

    /// A call ended like this.
    pub fn record<T, E>(&self, result: &Result<T, E>) {
        self.count(u64::from(result.is_err()));
    }

    /// The check that judges this window.
    pub fn check(&self) -> ErrorRateCheck {
        ErrorRateCheck(self.clone())
    }

    fn count(&self, failures: u64) {
        let mut counts = self.slid();
        let at = index(counts.current);
        counts.parts[at].calls += 1;
        counts.parts[at].failures += failures;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts, moved on to now.
    fn slid(&self) -> MutexGuard<'_, Counts> {
        let mut counts = self.counts();
        let part = counts.window.as_nanos() / PARTS as u128;
        let now = u64::try_from(counts.born.elapsed().as_nanos() / part.max(1)).unwrap_or(u64::MAX);
        let passed = now.saturating_sub(counts.current).min(PARTS as u64);
        for ago in 0..passed {
            counts.parts[index(now - ago)] = Part::default();
        }
        counts.current = now;
        counts
    }
}

fn index(part: u64) -> usize {
    usize::try_from(part % PARTS as u64).unwrap_or(0)
}

/// The check made by [`ErrorRate::check`].
#[derive(Debug)]
#[must_use]
pub struct ErrorRateCheck(ErrorRate);

#[async_trait]
impl Check for ErrorRateCheck {
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than a float's precision")]
    async fn check(&self) -> CheckResult {
        let (calls, failures) = {
            let counts = self.0.slid();
            counts.parts.iter().fold((0, 0), |sum, part| (sum.0 + part.calls, sum.1 + part.failures))
        };
        let share = if calls == 0 { 0.0 } else { failures as f64 / calls as f64 };
        let outcome = if calls < self.0.minimum {
            Outcome::healthy()
        } else {
            self.0.limits.judge(Number::from((share * 10_000.0).round() / 10_000.0), "of the calls failed")
        };
        // Of no calls there is no share.
        let outcome = if calls == 0 { outcome } else { outcome.observe_within("share", share, "ratio", self.0.limits) };
        Ok(outcome.observe("failures", failures, "calls").observe("calls", calls, "calls"))
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        "The share of failed calls is within its limits, or there were too few calls to judge. It does not prove that \
         calls are being made."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        let window = self.0.counts().window;
        if window < Duration::from_secs(1) {
            return Err((format!("window({window:?}) is too short to slide: use at least 1 s")).into());
        }
        if self.0.minimum == 0 {
            return Err(("minimum(0) would judge a window without calls: use 1 or more".to_owned()).into());
        }
        Ok(self.0.limits.validate_share()?)
    }

    check_settings! {
        limits in 0.limits;
        minimum: 0.minimum = whole;
    }
}
