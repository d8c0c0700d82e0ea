//! The answer of one run of a check.

use std::{borrow::Cow, fmt};

use serde_json::Value;

use crate::{
    check::error::CheckError,
    model::{
        observed::{Number, Observed},
        status::{Reason, Status},
    },
    redact,
};

/// The answer of one run.
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

    /// It works.
    pub fn healthy() -> Self {
        Self::new(Status::Healthy, None, None)
    }

    /// It works, but an operator should look. The message is shown at full visibility only, redacted, and logged.
    pub fn degraded(message: impl Into<String>) -> Self {
        Self::new(Status::Degraded, Some(Reason::Failed), Some(message.into()))
    }

    /// It does not work. The message is shown at full visibility only, redacted, and logged.
    pub fn unhealthy(message: impl Into<String>) -> Self {
        Self::new(Status::Unhealthy, Some(Reason::Failed), Some(message.into()))
    }

    /// The public category of a bad outcome; [`Reason::Failed`] if nothing is said. Ignored on a healthy one.
    pub fn reason(mut self, reason: Reason) -> Self {
        if self.status != Status::Healthy {
            self.reason = Some(reason);
        }
        self
    }

    /// A text for operators, in place of the one given before: shown at full visibility only, redacted. The way to say
    /// something about a healthy outcome, too.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// A number seen on the way, with its unit: shown at full visibility. At most 16 are kept; a name seen before is
    /// replaced, and a number that is not finite is left out.
    pub fn observe(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Number>,
        unit: impl Into<Cow<'static, str>>,
    ) -> Self {
        let observed = Observed { name: name.into(), value: value.into(), unit: unit.into() };
        self.observed.retain(|earlier| earlier.name != observed.name);
        self.observed.push(observed);
        self
    }

    /// Anything else worth knowing, as JSON: shown at full visibility, at most 4 KiB in all.
    pub fn detail(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        let key = key.into();
        self.details.retain(|(earlier, _)| *earlier != key);
        self.details.push((key, value.into()));
        self
    }

    /// The same numbers and details under the worse of two verdicts.
    pub(crate) fn worsened(mut self, status: Status, reason: Reason, message: String) -> Self {
        if status > self.status {
            self.status = status;
            self.reason = Some(reason);
            self.message = Some(message);
        }
        self
    }

    /// The same, with the numbers, details and verdict of another question about the same thing.
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
