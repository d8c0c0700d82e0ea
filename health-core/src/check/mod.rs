//! The contract of a check, which tests one thing asynchronously.

pub(crate) mod blocking;
pub(crate) mod deadline;
pub(crate) mod error;
pub(crate) mod handle;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod registration;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    check::{
        error::{CheckError, InvalidCheck},
        handle::CheckHandle,
        outcome::Outcome,
    },
    model::status::{Impact, Kind, Membership},
};

/// The result of one run: an [`Outcome`], or an error, which counts as Unhealthy.
pub type CheckResult = Result<Outcome, CheckError>;

/// A check: tests one thing asynchronously.
///
/// Each check runs on its own task, apart from requests, one run at a time, under a deadline. A check therefore need
/// not limit its own duration or avoid panics. A check should hold the application's own pool or client; opening a
/// connection per run is a defect. If a run is cancelled at its deadline, its future is dropped, so unfinished work
/// must clean up in `Drop`.
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
    /// Performs one run.
    ///
    /// # Errors
    ///
    /// Any error is an Unhealthy outcome with its [`Reason`](crate::Reason).
    async fn check(&self) -> CheckResult;

    /// Returns the scope of what can cause a failure. Default [`Kind::Dependency`].
    fn kind(&self) -> Kind {
        Kind::Dependency
    }

    /// Returns the effect of a failure on the report. Default [`Impact::Critical`].
    fn impact(&self) -> Impact {
        Impact::Critical
    }

    /// Returns the check's own default of the time between runs while healthy. Default `None`; of the ready-made checks
    /// only `Certificate` has one.
    fn interval(&self) -> Option<Duration> {
        None
    }

    /// Returns whether the check counts for readiness. Default [`Membership::Readiness`]; measures return
    /// [`Membership::ReportOnly`].
    fn membership(&self) -> Membership {
        Membership::Readiness
    }

    /// Returns whether the check asks another service for its health. Answers to requests with `Health-Local: 1` leave
    /// such checks out, so that services that check each other cannot keep each other Unhealthy. Default `false`; of
    /// the ready-made checks only `Upstream` returns `true`.
    fn asks_a_service(&self) -> bool {
        false
    }

    /// Returns what a healthy result proves and what it does not, in one or two sentences for the reader of the check's
    /// page. Default: an empty text, and the page says nothing about it.
    fn proves(&self) -> &'static str {
        ""
    }

    /// Receives a handle by which the check can be run at once, for a check that knows when its outcome changes, such as a
    /// switch. Called once, when the check starts; a check in two services receives two handles. Default: nothing.
    ///
    /// ```
    /// use std::sync::Mutex;
    /// use health_core::{Check, CheckHandle, CheckResult, Outcome, async_trait};
    ///
    /// #[derive(Default)]
    /// struct License { problem: Mutex<Option<String>>, handles: Mutex<Vec<CheckHandle>> }
    ///
    /// impl License {
    ///     /// Called by whatever learns that the license was revoked. The verdict holds when this returns.
    ///     fn revoke(&self, why: &str) {
    ///         *self.problem.lock().unwrap() = Some(why.to_owned());
    ///         let handles = self.handles.lock().unwrap().clone();
    ///         for handle in handles {
    ///             handle.run_now();
    ///         }
    ///     }
    /// }
    ///
    /// #[async_trait]
    /// impl Check for License {
    ///     async fn check(&self) -> CheckResult {
    ///         let problem = self.problem.lock().unwrap().clone();
    ///         Ok(problem.map_or_else(Outcome::healthy, Outcome::unhealthy))
    ///     }
    ///
    ///     fn attach(&self, handle: CheckHandle) {
    ///         self.handles.lock().unwrap().push(handle);
    ///     }
    /// }
    /// ```
    fn attach(&self, handle: CheckHandle) {
        drop(handle);
    }

    /// Validates the configuration of the check. Called once, when the check is registered.
    ///
    /// # Errors
    ///
    /// The text says what is wrong with the configuration and what to change. It becomes
    /// [`BuildError::InvalidCheck`](crate::BuildError::InvalidCheck).
    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(())
    }
}

/// Delegates to the check inside, so that checks of different types can stand in one list.
macro_rules! delegate {
    ($($pointer:ident),+) => {
        $(#[async_trait]
        impl<C: Check + ?Sized> Check for $pointer<C> {
            async fn check(&self) -> CheckResult {
                (**self).check().await
            }

            fn kind(&self) -> Kind {
                (**self).kind()
            }

            fn impact(&self) -> Impact {
                (**self).impact()
            }

            fn interval(&self) -> Option<Duration> {
                (**self).interval()
            }

            fn membership(&self) -> Membership {
                (**self).membership()
            }

            fn asks_a_service(&self) -> bool {
                (**self).asks_a_service()
            }

            fn proves(&self) -> &'static str {
                (**self).proves()
            }

            fn attach(&self, handle: CheckHandle) {
                (**self).attach(handle);
            }

            fn validate(&self) -> Result<(), InvalidCheck> {
                (**self).validate()
            }
        })+
    };
}

delegate!(Arc, Box);
