//! A driver's error, classified: its reason, its message, and whether the connection is usable.

use crate::{
    check::{error::CheckError, outcome::Outcome},
    model::status::Reason,
};

/// A classified error of a driver.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    /// Whether the connection is unusable. If it is usable, the server answered with a refusal.
    #[allow(dead_code, reason = "not every feature's check reads it")]
    pub(crate) is_broken: bool,
    /// Whether opening a connection failed. Only the checks of pools read this field.
    #[allow(dead_code, reason = "not every feature's check reads it")]
    pub(crate) is_of_connecting: bool,
}

impl Failure {
    pub(crate) fn new(error: impl Into<CheckError>, reason: Reason, is_broken: bool) -> Self {
        let (_, message) = error.into().into_parts();
        Self { reason, message, is_broken, is_of_connecting: false }
    }

    pub(crate) fn outcome(self) -> Outcome {
        Outcome::unhealthy(self.message).reason(self.reason)
    }
}
