//! A heartbeat of a task. Green proves that the task called `beat` recently. It does not prove that its work between
//! two beats succeeds.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::limits::check_settings;
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::Limits,
        status::{Kind, Reason},
    },
};

const WARN_AFTER: Duration = Duration::from_secs(10);
const FAIL_AFTER: Duration = Duration::from_secs(30);

/// The handle with which a task shows that it is alive. Clones share one heartbeat. When the last clone is dropped,
/// because the task ended or panicked, the check is Unhealthy from its next run on.
///
/// Green proves that the task called [`beat`](Self::beat) recently. It does not prove that its work between two beats
/// succeeds.
///
/// - Least privilege: none. The check reads nothing outside of the process.
/// - A late beat is Degraded or Unhealthy with `threshold`, and a dropped heartbeat Unhealthy with `failed`.
/// - Observed value: `age`, the time since the last beat (in `s`).
///
/// ```
/// use std::time::Duration;
/// use health_core::{CheckExt, Health, Heartbeat};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let heartbeat = Heartbeat::new().warn_after(Duration::from_secs(5)).fail_after(Duration::from_secs(20));
/// let health = Health::builder().check("worker", heartbeat.check().liveness()).start()?;
/// tokio::spawn(async move {
///     loop {
///         // one piece of work, then:
///         heartbeat.beat();
///         tokio::time::sleep(Duration::from_secs(1)).await;
///     }
/// });
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a heartbeat that is dropped at once makes its check Unhealthy"]
pub struct Heartbeat {
    heart: Arc<Heart>,
    warn_after: Duration,
    fail_after: Duration,
}

#[derive(Debug)]
struct Heart {
    born: Instant,
    /// The time from `born` to the last beat, in nanoseconds.
    last: AtomicU64,
}

impl Heart {
    fn age(&self) -> Duration {
        let last = Duration::from_nanos(self.last.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(last)
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

impl Heartbeat {
    /// Creates a heartbeat whose last beat is now. Default: Degraded after 10 s without a beat, Unhealthy after 30 s.
    pub fn new() -> Self {
        let heart = Heart { born: Instant::now(), last: AtomicU64::new(0) };
        Self { heart: Arc::new(heart), warn_after: WARN_AFTER, fail_after: FAIL_AFTER }
    }

    /// Sets the time without a beat after which the check is Degraded. Default 10 s. Applies to checks created
    /// afterwards. Zero is a build error, and so is a time that is not less than that of
    /// [`fail_after`](Self::fail_after).
    pub fn warn_after(mut self, silence: Duration) -> Self {
        self.warn_after = silence;
        self
    }

    /// Sets the time without a beat after which the check is Unhealthy. Default 30 s. Applies to checks created
    /// afterwards.
    pub fn fail_after(mut self, silence: Duration) -> Self {
        self.fail_after = silence;
        self
    }

    /// Records a beat: the task is alive. Costs one atomic operation, so it can be called at any rate.
    pub fn beat(&self) {
        let elapsed = u64::try_from(self.heart.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.heart.last.fetch_max(elapsed, Ordering::Relaxed);
    }

    /// Returns the check of this heartbeat, with the times set so far. Its kind is [`Kind::Local`], so it may count
    /// for liveness.
    pub fn check(&self) -> HeartbeatCheck {
        HeartbeatCheck { heart: Arc::downgrade(&self.heart), warn_after: self.warn_after, fail_after: self.fail_after }
    }
}

/// The check of a [`Heartbeat`], created by [`Heartbeat::check`].
#[derive(Debug)]
#[must_use]
pub struct HeartbeatCheck {
    heart: Weak<Heart>,
    warn_after: Duration,
    fail_after: Duration,
}

#[async_trait]
impl Check for HeartbeatCheck {
    async fn check(&self) -> CheckResult {
        let Some(heart) = self.heart.upgrade() else {
            return Ok(Outcome::unhealthy("the heartbeat was dropped: its task has ended"));
        };
        let age = heart.age();
        let late = format!("no beat for {:.1} s", age.as_secs_f64());
        let outcome = if age > self.fail_after {
            Outcome::unhealthy(late)
        } else if age > self.warn_after {
            Outcome::degraded(late)
        } else {
            Outcome::healthy()
        };
        let seconds = (age.as_secs_f64() * 1000.0).round() / 1000.0;
        let limits = Limits::new().warn_above(self.warn_after.as_secs_f64()).fail_above(self.fail_after.as_secs_f64());
        Ok(outcome.reason(Reason::Threshold).observe_within("age", seconds, "s", limits))
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn proves(&self) -> &'static str {
        "The task sent a heartbeat recently. It does not prove that its work between two heartbeats succeeds."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.warn_after.is_zero() {
            return Err(
                ("warn_after(0 s) makes the check always Degraded: use the longest normal pause".to_owned()).into()
            );
        }
        if self.warn_after >= self.fail_after {
            return Err((format!(
                "warn_after({:?}) must be less than fail_after({:?})",
                self.warn_after, self.fail_after
            ))
            .into());
        }
        Ok(())
    }

    check_settings! {
        warn_after: warn_after = duration;
        fail_after: fail_after = duration;
    }
}
