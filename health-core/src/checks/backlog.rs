//! A wrapper that watches the trend of a length. Green proves that the inner check is green and that its length has
//! not grown without pause for the configured time. It does not prove that the backlog is short.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

#[cfg(feature = "serde")]
use crate::check::setting::Setting;
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, handle::CheckHandle, outcome::Outcome},
    model::{
        observed::{Limits, Number},
        status::{Impact, Kind, Membership, Reason, Status},
    },
};

/// The default of [`Backlog::growing_for`].
const GROWING_FOR: Duration = Duration::from_secs(600);

/// The number of parts of `growing_for`. The length must grow in this many consecutive parts.
const PARTS: u32 = 5;

/// The names under which the checks of this crate observe a length, in the order of the search.
const LENGTHS: [&str; 6] = ["length", "lag", "files", "messages", "value", "depth"];

/// Warns of a growing backlog while its length is still below its limit. Wraps any check that observes a length.
///
/// Green proves that the inner check is green and that its length has not grown without pause for
/// [`growing_for`](Self::growing_for). It does not prove that the backlog is short.
///
/// `growing_for` is divided into fifths, and the smallest length of each fifth counts. Bursts and the interval of the
/// runs therefore do not affect the verdict. If the smallest length of a fifth exceeds the smallest length of the
/// previous fifth five times in a row, a Healthy outcome becomes Degraded with `threshold`. The count restarts after a
/// fifth without growth, after a length that is not above the smallest length of the previous fifth, and after a run
/// without a length.
///
/// If the inner check is Healthy and observes no length, the outcome is Degraded with `failed`, and the message says
/// so.
///
/// - Least privilege: that of the inner check.
/// - Kind, impact, membership and interval are those of the inner check.
/// - Observed values, in addition to those of the inner check: `growing_for` in `s`, the time for which the length has
///   grown.
///
/// ```
/// use std::time::Duration;
/// use health_core::{Backlog, Gauge, Health};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let (sender, _receiver) = tokio::sync::mpsc::channel::<u32>(1_000);
/// let length = Gauge::new(move || sender.max_capacity() - sender.capacity()).unit("jobs").fail_above(900);
/// let health = Health::builder()
///     .check("jobs", Backlog::new(length).growing_for(Duration::from_secs(300)))
///     .start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Backlog<C> {
    inner: C,
    observed: Option<String>,
    growing_for: Duration,
    trend: Mutex<Option<Trend>>,
}

/// The current part of `growing_for`, and the growth in the parts before it.
#[derive(Clone, Copy, Debug)]
struct Trend {
    began: Instant,
    smallest: f64,
    /// The smallest length of the previous part.
    before: Option<f64>,
    /// The number of consecutive parts with growth.
    grew: u32,
}

impl Trend {
    fn begin(now: Instant, length: f64) -> Self {
        Self { began: now, smallest: length, before: None, grew: 0 }
    }

    /// Returns the trend after one more length.
    fn with(self, now: Instant, length: f64, part: Duration) -> Self {
        let mut next = self;
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed >= part {
            // Several parts pass between two runs that are further apart than one part.
            let passed = elapsed.as_nanos() / part.as_nanos().max(1);
            let passed = u32::try_from(passed).unwrap_or(u32::MAX);
            let grew = self.before.is_some_and(|before| self.smallest > before);
            let grew = if grew { self.grew.saturating_add(passed) } else { 0 };
            next = Self { began: now, smallest: length, before: Some(self.smallest), grew };
        }
        next.smallest = next.smallest.min(length);
        if next.before.is_some_and(|before| length <= before) {
            next.grew = 0;
        }
        next
    }
}

impl<C: Check> Backlog<C> {
    /// Wraps a check and watches the first number that it observes under one of the names `length`, `lag`, `files`,
    /// `messages`, `value` and `depth`, searched in this order.
    pub fn new(inner: C) -> Self {
        Self { inner, observed: None, growing_for: GROWING_FOR, trend: Mutex::default() }
    }

    /// Sets the name of the observed number to watch. Default: the first of the names in [`new`](Self::new).
    pub fn observed(mut self, name: impl Into<String>) -> Self {
        self.observed = Some(name.into());
        self
    }

    /// Sets the time for which the length may grow without pause. After that time the check is Degraded. Default 10
    /// min. Zero is a build error.
    pub fn growing_for(mut self, duration: Duration) -> Self {
        self.growing_for = duration;
        self
    }

    fn length(&self, outcome: &Outcome) -> Option<Number> {
        let find = |name: &str| outcome.observed.iter().find(|observed| observed.name == name).map(|it| it.value);
        match &self.observed {
            Some(name) => find(name),
            None => LENGTHS.iter().find_map(|name| find(name)),
        }
    }

    /// Records a length and returns the time for which the length has grown. `None` resets the trend.
    fn grown_for(&self, length: Option<Number>) -> Duration {
        let now = Instant::now();
        let part = self.growing_for / PARTS;
        let mut trend = self.trend.lock().unwrap_or_else(PoisonError::into_inner);
        *trend = length.map(Number::as_f64).map(|length| match *trend {
            Some(trend) => trend.with(now, length, part),
            None => Trend::begin(now, length),
        });
        trend.map_or(Duration::ZERO, |trend| part.saturating_mul(trend.grew))
    }
}

#[async_trait]
impl<C: Check> Check for Backlog<C> {
    async fn check(&self) -> CheckResult {
        let outcome = match self.inner.check().await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.grown_for(None);
                return Err(error);
            }
        };
        let length = self.length(&outcome);
        let grown = self.grown_for(length);
        if length.is_none() && outcome.status == Status::Healthy {
            let message = "the inner check observes no length: call .observed(..) with the name of the number to watch";
            return Ok(outcome.worsened(Status::Degraded, Reason::Failed, message.to_owned()));
        }
        let limits = Limits::new().warn_above(self.growing_for.as_secs());
        let outcome = outcome.observe_within("growing_for", grown.as_secs(), "s", limits);
        if grown < self.growing_for / PARTS * PARTS {
            return Ok(outcome);
        }
        let message = format!("the length has grown without pause for {} s", grown.as_secs());
        Ok(outcome.worsened(Status::Degraded, Reason::Threshold, message))
    }

    fn kind(&self) -> Kind {
        self.inner.kind()
    }

    fn impact(&self) -> Impact {
        self.inner.impact()
    }

    fn membership(&self) -> Membership {
        self.inner.membership()
    }

    fn interval(&self) -> Option<Duration> {
        self.inner.interval()
    }

    fn asks_a_service(&self) -> bool {
        self.inner.asks_a_service()
    }

    fn proves(&self) -> &'static str {
        "The inner check is healthy, and its length has not grown without pause for too long. It does not prove that \
         the backlog is short."
    }

    fn attach(&self, handle: CheckHandle) {
        self.inner.attach(handle);
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.growing_for.is_zero() {
            return Err(("growing_for(0 s) makes the check always Degraded: use the time that is tolerable"
                .to_owned())
            .into());
        }
        self.inner.validate()
    }

    #[cfg(feature = "serde")]
    fn settings(&self) -> Vec<&'static str> {
        let mut names = self.inner.settings();
        names.push("growing_for");
        names
    }

    #[cfg(feature = "serde")]
    fn apply_setting(&mut self, option: &str, value: &Setting) -> Result<bool, InvalidCheck> {
        if option != "growing_for" {
            return self.inner.apply_setting(option, value);
        }
        self.growing_for = value.duration()?;
        Ok(true)
    }
}

impl<C: fmt::Debug> fmt::Debug for Backlog<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog")
            .field("inner", &self.inner)
            .field("growing_for", &self.growing_for)
            .finish_non_exhaustive()
    }
}
