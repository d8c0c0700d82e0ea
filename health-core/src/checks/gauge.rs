//! A number from a closure, with limits. Green proves that the number was within its limits when it was read. It does
//! not prove that the work behind the number makes progress.

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

/// Judges any number that a closure can read without waiting: the length of a channel, the age of a cache, the size of
/// a batch.
///
/// Green proves that the number was within its limits when it was read. It does not prove that the work behind the
/// number makes progress.
///
/// - Least privilege: what the closure needs.
/// - A number that is not finite is Unhealthy with `failed`.
/// - By default the check counts for the full report only. It is a [`Kind::Dependency`](crate::Kind::Dependency)
///   unless `.local()` is called.
/// - Observed value: `value`.
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
    /// Creates a gauge without limits. The closure must not block.
    pub fn new<N: Into<Number>>(read: impl Fn() -> N + Send + Sync + 'static) -> Self {
        Self { read: Box::new(move || read().into()), unit: Cow::Borrowed(""), limits: Limits::default() }
    }

    /// Sets the unit of the number, for instance `jobs` or `s`. Default: no unit.
    pub fn unit(mut self, unit: impl Into<Cow<'static, str>>) -> Self {
        self.unit = unit.into();
        self
    }

    limit_methods! {
        warn_above: "Sets the number above which the check is Degraded. Default none.",
        fail_above: "Sets the number above which the check is Unhealthy. Default none.",
        warn_below: "Sets the number below which the check is Degraded. Default none.",
        fail_below: "Sets the number below which the check is Unhealthy. Default none.",
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
        "The number was within its limits when it was read. It does not prove that the work behind it makes progress."
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
