//! The share of the application's own calls that failed recently, which reflects what users experience, unlike a ping.
//! Green proves that the share is within its limits, or that there were too few calls to judge. It does not prove that
//! calls are being made.

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
/// The number of parts of a window. The window slides by one part.
const PARTS: usize = 60;

/// Counts the application's own calls and those that failed, in a sliding window that all clones share.
///
/// Green proves that the share of failed calls is within its limits, or that there were too few calls to judge. It
/// does not prove that calls are being made.
///
/// With fewer calls in the window than the minimum, the check is Healthy, whatever their results. Recording a call
/// takes a lock for a short time.
///
/// - Least privilege: none. The check reads nothing outside of the process.
/// - Defaults: a window of 60 s, a minimum of 20 calls, Degraded above a share of 0.05, Unhealthy above 0.5.
/// - By default the check counts for the full report only, because the cause of the failures may be shared by all
///   instances.
/// - Observed values: `failures` and `calls` (in `calls`), and `share` (in `ratio`) if there are calls.
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
#[must_use = "recorded calls are judged only if its check is registered"]
pub struct ErrorRate {
    counts: Arc<Mutex<Counts>>,
    minimum: u64,
    limits: Limits,
}

/// The counts of the window, in a ring of its parts.
#[derive(Debug)]
struct Counts {
    window: Duration,
    born: Instant,
    /// The number of the current part, counted from `born`.
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
    /// Creates an empty window with the default limits.
    pub fn new() -> Self {
        let counts = Counts { window: WINDOW, born: Instant::now(), current: 0, parts: [Part::default(); PARTS] };
        let limits = Limits { warn_above: Some(0.05.into()), fail_above: Some(0.5.into()), ..Limits::default() };
        Self { counts: Arc::new(Mutex::new(counts)), minimum: MINIMUM, limits }
    }

    /// Sets the length of the window for all clones, and discards the calls recorded so far. Default 60 s. A length
    /// below 1 s is a build error.
    pub fn window(self, window: Duration) -> Self {
        *self.counts() = Counts { window, born: Instant::now(), current: 0, parts: [Part::default(); PARTS] };
        self
    }

    /// Sets the minimum number of calls in the window for which the limits are judged. Default 20. Zero is a build
    /// error.
    pub fn minimum(mut self, calls: u64) -> Self {
        self.minimum = calls;
        self
    }

    limit_methods! {
        warn_above: "Sets the share of failed calls, from 0 to 1, above which the check is Degraded. Default 0.05.",
        fail_above: "Sets the share of failed calls, from 0 to 1, above which the check is Unhealthy. Default 0.5.",
        warn_below: "Sets the share of failed calls, from 0 to 1, below which the check is Degraded. Default none.",
        fail_below: "Sets the share of failed calls, from 0 to 1, below which the check is Unhealthy. Default none.",
    }

    /// Records a call that succeeded.
    pub fn success(&self) {
        self.count(0);
    }

    /// Records a call that failed.
    pub fn failure(&self) {
        self.count(1);
    }

    /// Records a call by its result. An `Err` is a failed call.
    pub fn record<T, E>(&self, result: &Result<T, E>) {
        self.count(u64::from(result.is_err()));
    }

    /// Returns the check of this window, with the minimum and the limits set so far.
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

    /// Returns the counts after sliding the window to the present.
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

/// The check of an [`ErrorRate`], created by [`ErrorRate::check`].
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
            self.0.limits.judge(Number::from((share * 10_000.0).round() / 10_000.0), "of the calls failed, which")
        };
        // Without calls there is no share.
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
