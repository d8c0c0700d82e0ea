//! Any number from a closure, with limits. Green proves that the number was within its limits when it was read; it
//! does not prove that anything works on it.

use std::{borrow::Cow, fmt};

use async_trait::async_trait;

use super::limits::{check_settings, limit_methods};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::{Limits, Number},
        status::Membership,
    },
};

/// Any number that a closure can read at once: the length of a channel, the age of a cache, the size of a batch.
///
/// It is a measure, so by itself it counts for the full report only; and a closure, so it counts as a
/// [`Kind::Dependency`](crate::Kind::Dependency) unless `.local()` is said.
///
/// Least privilege: what the closure needs.
///
/// ```
/// use health_core::{CheckExt, Gauge};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
///
/// let (sender, receiver) = tokio::sync::mpsc::channel::<u32>(100);
/// # let _ = receiver;
/// let queue = Gauge::new(move || sender.max_capacity() - sender.capacity())
///     .unit("jobs")
///     .warn_above(50)
///     .fail_above(90)
///     .local();
/// # let _ = queue; }
/// ```
#[must_use]
pub struct Gauge {
    read: Box<dyn Fn() -> Number + Send + Sync>,
    unit: Cow<'static, str>,
    limits: Limits,
}

impl Gauge {
    /// A gauge without limits. The closure must not block.
    pub fn new<N: Into<Number>>(read: impl Fn() -> N + Send + Sync + 'static) -> Self {
        Self { read: Box::new(move || read().into()), unit: Cow::Borrowed(""), limits: Limits::default() }
    }

    /// What the number counts, for instance `jobs` or `s`.
    pub fn unit(mut self, unit: impl Into<Cow<'static, str>>) -> Self {
        self.unit = unit.into();
        self
    }

    limit_methods! {
        warn_above: "Degraded above this number.",
        fail_above: "Unhealthy above this number.",
        warn_below: "Degraded below this number.",
        fail_below: "Unhealthy below this number.",
    }
}

#[async_trait]
impl Check for Gauge {
    async fn check(&self) -> CheckResult {
        let value = (self.read)();
        if !value.is_finite() {
            return Ok(Outcome::unhealthy(format!("the gauge reads {value}, which is not a finite number")));
        }
        Ok(self.limits.judge(value, &self.unit).observe_within("value", value, self.unit.clone(), self.limits))
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        "The number was within its limits when it was read. It does not prove that anything works on it."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(self.limits.validate()?)
    }

    check_settings! {
        limits in limits;
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauge").field("unit", &self.unit).field("limits", &self.limits).finish_non_exhaustive()
    }
}
