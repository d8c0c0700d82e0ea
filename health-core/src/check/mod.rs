//! The contract of a check: one async question about one thing.

pub(crate) mod blocking;
pub(crate) mod deadline;
pub(crate) mod error;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod registration;

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    check::{error::CheckError, outcome::Outcome},
    model::status::{Impact, Kind, Membership},
};

/// What a check returns: an [`Outcome`], or an error, which counts as Unhealthy.
pub type CheckResult = Result<Outcome, CheckError>;

/// One async question about one thing.
///
/// A check is asked by its own task, apart from every request, one run at a time, under a deadline: it may take as
/// long as it likes and may panic. It should hold the application's own pool or client; opening a connection per
/// run is a defect. If a run is cancelled at its deadline, its future is dropped, so anything half done must clean
/// up in `Drop`.
///
/// ```
/// use health_core::{Check, CheckResult, Kind, Outcome, async_trait};
///
/// struct License { days_left: i64 }
///
/// #[async_trait]
/// impl Check for License {
///     async fn check(&self) -> CheckResult {
///         let outcome = if self.days_left > 14 { Outcome::healthy() } else { Outcome::degraded("expires soon") };
///         Ok(outcome.observe("days_left", self.days_left, "days"))
///     }
///
///     fn kind(&self) -> Kind {
///         Kind::Local
///     }
/// }
/// ```
#[async_trait]
pub trait Check: Send + Sync + 'static {
    /// Asks once.
    ///
    /// # Errors
    ///
    /// Any error is an Unhealthy outcome with its [`Reason`](crate::Reason).
    async fn check(&self) -> CheckResult;

    /// Who can cause a failure; [`Kind::Dependency`] unless the check knows better.
    fn kind(&self) -> Kind {
        Kind::Dependency
    }

    /// How far a failure reaches; [`Impact::Critical`] unless the check knows better.
    fn impact(&self) -> Impact {
        Impact::Critical
    }

    /// The time between runs while healthy, where a check has a pace of its own; none but `Certificate` has.
    fn interval(&self) -> Option<Duration> {
        None
    }

    /// Whether the check counts for readiness; it does unless the check is a measure.
    fn membership(&self) -> Membership {
        Membership::Readiness
    }

    /// Whether it asks another service how that one is. Left out where such a service asks us (`Health-Local: 1`), so
    /// that services that check each other cannot lock each other out. No check does, but `Upstream`.
    fn asks_a_service(&self) -> bool {
        false
    }

    /// Asked once, when the check is registered.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration and how to mend it; becomes
    /// [`BuildError::InvalidCheck`](crate::BuildError::InvalidCheck).
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}
