//! Whether a length keeps growing. Green proves that the inner check is green and that its number has not grown without
//! pause for longer than tolerated; it does not prove that the backlog is short.

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

const GROWING_FOR: Duration = Duration::from_secs(600);

/// A growth is one in each of so many parts of the time.
const PARTS: u32 = 5;

/// The names under which checks of ours tell a length.
const LENGTHS: [&str; 6] = ["length", "lag", "files", "messages", "value", "depth"];

/// Warns of a backlog while it is still below its limit: around any check that observes a length.
///
/// The time is cut into fifths, and of each the smallest number counts, so that neither bursts nor the pace of the runs
/// matter: if it was greater than that of the fifth before, five times in a row, a Healthy outcome becomes Degraded with
/// `threshold`. A fifth that did not grow, and a number below the smallest of the fifth before, begin the count anew.
///
/// A healthy check inside that observes no such number is Degraded, and the message says so.
///
/// Least privilege: that of the check inside.
///
/// It is of the kind, impact and membership of the check inside. Observed, besides what that observes: `growing_for`,
/// in `s`.
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

/// The part of the time that is being looked at, and what is known of those before it.
#[derive(Clone, Copy, Debug)]
struct Trend {
    began: Instant,
    smallest: f64,
    before: Option<f64>,
    /// Parts in a row that grew.
    grew: u32,
}

impl Trend {
    fn begin(now: Instant, length: f64) -> Self {
        Self { began: now, smallest: length, before: None, grew: 0 }
    }

    /// The trend with one more number.
    fn with(self, now: Instant, length: f64, part: Duration) -> Self {
        let mut next = self;
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed >= part {
            // Runs may be further apart than the parts.
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
    /// Watches the length that a check observes: the first of `length`, `lag`, `files`, `messages`, `value` and `depth`.
    pub fn new(inner: C) -> Self {
        Self { inner, observed: None, growing_for: GROWING_FOR, trend: Mutex::default() }
    }

    /// Watches the number observed under this name instead.
    pub fn observed(mut self, name: impl Into<String>) -> Self {
        self.observed = Some(name.into());
        self
    }

    /// How long it may grow without pause. Default 10 min.
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

    /// Notes a number and tells for how long it has grown.
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
            let message = "the check inside observes no length: say .observed(..) with the name of its number";
            return Ok(outcome.worsened(Status::Degraded, Reason::Failed, message.to_owned()));
        }
        let limits = Limits::new().warn_above(self.growing_for.as_secs());
        let outcome = outcome.observe_within("growing_for", grown.as_secs(), "s", limits);
        if grown < self.growing_for / PARTS * PARTS {
            return Ok(outcome);
        }
        let message = format!("it has grown without pause for {} s", grown.as_secs());
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
        "The check inside is healthy, and its number has not grown without pause for too long. It does not prove that \
         the backlog is short."
    }

    fn attach(&self, handle: CheckHandle) {
        self.inner.attach(handle);
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.growing_for.is_zero() {
            return Err(("growing_for(0 s) warns at every growth: use the time that is tolerable".to_owned()).into());
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
