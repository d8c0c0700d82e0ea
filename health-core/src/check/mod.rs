//! The contract of a check, which tests one thing asynchronously.

pub(crate) mod blocking;
pub(crate) mod deadline;
pub(crate) mod error;
pub(crate) mod handle;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod registration;
#[cfg(feature = "serde")]
pub(crate) mod setting;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

#[cfg(feature = "serde")]
use crate::check::setting::Setting;
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

    /// Returns the names of the options of this kind of check that an operator's settings can set, such as its limits.
    /// The options that every check has come first: an option with the name of one of those is never asked for. Default:
    /// none. Needs the feature `serde`.
    #[cfg(feature = "serde")]
    fn settings(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Sets one of the options that [`settings`](Self::settings) names. Called before [`validate`](Self::validate), and
    /// only for those names. Returns `false` if there is no such option, which is the default. Needs the feature `serde`.
    ///
    /// ```
    /// use health_core::{
    ///     Check, CheckResult, Health, InvalidCheck, Outcome, Setting, Settings, async_trait, serde_json::from_str,
    /// };
    ///
    /// struct License { days_left: u64, warn_below: u64 }
    ///
    /// #[async_trait]
    /// impl Check for License {
    ///     async fn check(&self) -> CheckResult {
    ///         let is_well = self.days_left >= self.warn_below;
    ///         Ok(if is_well { Outcome::healthy() } else { Outcome::degraded("expires soon") })
    ///     }
    ///
    ///     fn settings(&self) -> Vec<&'static str> {
    ///         vec!["warn_below"]
    ///     }
    ///
    ///     fn apply_setting(&mut self, option: &str, value: &Setting) -> Result<bool, InvalidCheck> {
    ///         match option {
    ///             "warn_below" => self.warn_below = value.whole()?,
    ///             _ => return Ok(false),
    ///         }
    ///         Ok(true)
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let settings: Settings = from_str(r#"{"checks": {"license": {"warn_below": 30, "timeout": "1s"}}}"#)?;
    /// let license = License { days_left: 20, warn_below: 14 };
    /// let health = Health::builder().settings(settings).check("license", license).start()?;
    /// assert_eq!(health.refresh("license").await?, health_core::Status::Degraded);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The value is not usable. The text says what to give instead; [`Setting::refused`] makes it.
    #[cfg(feature = "serde")]
    fn apply_setting(&mut self, option: &str, value: &Setting) -> Result<bool, InvalidCheck> {
        let _ = (option, value);
        Ok(false)
    }
}

/// The error of a setting of a check that something else holds, too.
#[cfg(feature = "serde")]
pub(crate) const SHARED: &str = "the check is shared, so its own options cannot be set: register a check that nothing \
                                 else holds, not a clone";

/// Delegates to the check inside, so that checks of different types can stand in one list.
macro_rules! delegate {
    ($($pointer:ident: $this:ident => $exclusive:expr),+) => {
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

            #[cfg(feature = "serde")]
            fn settings(&self) -> Vec<&'static str> {
                (**self).settings()
            }

            #[cfg(feature = "serde")]
            fn apply_setting(&mut self, option: &str, value: &Setting) -> Result<bool, InvalidCheck> {
                let $this = self;
                match $exclusive {
                    Some(check) => check.apply_setting(option, value),
                    None => Err(InvalidCheck::new(SHARED)),
                }
            }
        })+
    };
}

delegate!(Arc: this => Arc::get_mut(this), Box: this => Some(&mut **this));
