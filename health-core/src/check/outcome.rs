//! The outcome of one run of a check.

use std::{borrow::Cow, fmt};

use serde_json::Value;

use crate::{
    check::error::CheckError,
    model::{
        observed::{Limits, Number, Observed},
        status::{Reason, Status},
    },
    redact,
};

/// The outcome of one run of a [`Check`](crate::Check).
#[derive(Clone)]
#[must_use = "an outcome does nothing by itself: return it from a check"]
pub struct Outcome {
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) message: Option<String>,
    pub(crate) observed: Vec<Observed>,
    pub(crate) details: Vec<(Cow<'static, str>, Value)>,
}

impl Outcome {
    fn new(status: Status, reason: Option<Reason>, message: Option<String>) -> Self {
        Self { status, reason, message, observed: Vec::new(), details: Vec::new() }
    }

    /// Creates a Healthy outcome: fully operational.
    pub fn healthy() -> Self {
        Self::new(Status::Healthy, None, None)
    }

    /// Creates a Degraded outcome: operational, but an operator should look at it. The message is redacted, logged, and
    /// shown at full visibility only.
    pub fn degraded(message: impl Into<String>) -> Self {
        Self::new(Status::Degraded, Some(Reason::Failed), Some(message.into()))
    }

    /// Creates an Unhealthy outcome: not operational. The message is redacted, logged, and shown at full visibility
    /// only.
    pub fn unhealthy(message: impl Into<String>) -> Self {
        Self::new(Status::Unhealthy, Some(Reason::Failed), Some(message.into()))
    }

    /// Sets the public reason of a Degraded or Unhealthy outcome. Default [`Reason::Failed`]. Ignored on a Healthy
    /// outcome.
    pub fn reason(mut self, reason: Reason) -> Self {
        if self.status != Status::Healthy {
            self.reason = Some(reason);
        }
        self
    }

    /// Sets the message for operators and replaces an earlier one. The message is redacted, and shown at full
    /// visibility only. A Healthy outcome can also have a message.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Adds an observed number with its unit, shown at full visibility only. At most 16 numbers are kept. A number with
    /// the name of an earlier one replaces it. A number that is not finite is dropped.
    pub fn observe(
        self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Number>,
        unit: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.observe_within(name, value, unit, Limits::new())
    }

    /// Adds an observed number with its unit and its limits, as [`observe`](Self::observe) does. The limits are only
    /// shown beside the number: they do not change the status of the outcome.
    pub fn observe_within(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Number>,
        unit: impl Into<Cow<'static, str>>,
        limits: Limits,
    ) -> Self {
        let observed = Observed { name: name.into(), value: value.into(), unit: unit.into(), limits };
        self.observed.retain(|earlier| earlier.name != observed.name);
        self.observed.push(observed);
        self
    }

    /// Adds a detail as a JSON value, shown at full visibility only. At most 4 KiB of details are kept. A detail with
    /// the key of an earlier one replaces it.
    pub fn detail(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        let key = key.into();
        self.details.retain(|(earlier, _)| *earlier != key);
        self.details.push((key, value.into()));
        self
    }

    /// Returns the status.
    #[must_use]
    pub fn get_status(&self) -> Status {
        self.status
    }

    /// Returns the public reason; `None` for a Healthy outcome.
    #[must_use]
    pub fn get_reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Returns the message for operators, not redacted; `None` if the outcome has none.
    #[must_use]
    pub fn get_message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the observed numbers, in the order in which they were added.
    #[must_use]
    pub fn get_observed(&self) -> &[Observed] {
        &self.observed
    }

    /// Iterates over the details: keys and JSON values, in the order in which they were added.
    pub fn get_details(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.details.iter().map(|(key, value)| (&**key, value))
    }

    /// Replaces status, reason and message if the given status is worse. Keeps the numbers and details.
    pub(crate) fn worsened(mut self, status: Status, reason: Reason, message: String) -> Self {
        if status > self.status {
            self.status = status;
            self.reason = Some(reason);
            self.message = Some(message);
        }
        self
    }

    /// Adds the numbers and details of another outcome of the same check, and takes its status, reason and message if
    /// its status is worse.
    pub(crate) fn and(mut self, other: Self) -> Self {
        if other.status > self.status {
            self = Self { status: other.status, reason: other.reason, message: other.message, ..self };
        }
        self.observed.extend(other.observed);
        self.details.extend(other.details);
        self
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::healthy()
    }
}

impl From<CheckError> for Outcome {
    fn from(error: CheckError) -> Self {
        let (reason, message) = error.into_parts();
        Self::unhealthy(message).reason(reason)
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("message", &self.message.as_deref().map(redact::shapes))
            .field("observed", &self.observed.len())
            .finish_non_exhaustive()
    }
}
