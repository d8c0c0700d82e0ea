//! The trait of a check, which tests one thing asynchronously, and the types of its API.

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
/// Each check runs on its own task, apart from requests, one run at a time, under a deadline. A check therefore does
/// not need to limit its own duration or to catch panics. A check should hold the application's own pool or client;
/// opening a connection per run is a defect. If a run is cancelled at its deadline, its future is dropped, so
/// unfinished work must clean up in `Drop`.
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
    /// Any error counts as an Unhealthy outcome with the [`Reason`](crate::Reason) of the error.
    async fn check(&self) -> CheckResult;

    /// Returns whether only this process or host can cause a failure, or something shared with other instances.
    /// Default [`Kind::Dependency`].
    fn kind(&self) -> Kind {
        Kind::Dependency
    }

    /// Returns the effect of a failure on the report. Default [`Impact::Critical`].
    fn impact(&self) -> Impact {
        Impact::Critical
    }

    /// Returns the check's own default of [`every`](crate::CheckExt::every), the time between runs while Healthy.
    /// Default `None`: the builder's default, or else 5 s. Of the ready-made checks only `Certificate` has a default of
    /// its own.
    fn interval(&self) -> Option<Duration> {
        None
    }

    /// Returns whether the check counts for readiness. Default [`Membership::Readiness`]; measures return
    /// [`Membership::ReportOnly`].
    fn membership(&self) -> Membership {
        Membership::Readiness
    }

    /// Returns whether the check requests the health of another service. Responses to requests with `Health-Local: 1`
    /// exclude such checks, so that services that check each other cannot keep each other Unhealthy. Default `false`.
    /// Of the ready-made checks only `Upstream` returns `true`.
    fn asks_a_service(&self) -> bool {
        false
    }

    /// Returns what a Healthy result proves and what it does not prove, in one or two sentences, for the check's page.
    /// Default: an empty text, with which the page omits this part.
    fn proves(&self) -> &'static str {
        ""
    }

    /// Receives a handle that runs the check at once. Intended for a check that knows when its outcome changes, such as
    /// a switch. Called once per service, when the check starts; a check in two services receives two handles. Default:
    /// drops the handle.
    ///
    /// ```
    /// use std::sync::Mutex;
    /// use health_core::{Check, CheckHandle, CheckResult, Outcome, async_trait};
    ///
    /// #[derive(Default)]
    /// struct License { problem: Mutex<Option<String>>, handles: Mutex<Vec<CheckHandle>> }
    ///
    /// impl License {
    ///     /// Revokes the license. The new status is published when this returns.
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

    /// Validates the configuration of the check. Called when the check is registered. Default: accepts it.
    ///
    /// # Errors
    ///
    /// Returns an error if the check cannot work as it is configured. The text says what is wrong and what to change.
    /// It becomes [`BuildError::InvalidCheck`](crate::BuildError::InvalidCheck).
    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(())
    }

    /// Returns the names of the check's own options that an operator's settings can set, such as its limits. An option
    /// must not have the name of an option that every check has, such as `timeout`: the settings would set that option
    /// instead. Default: none.
    #[cfg(feature = "serde")]
    fn settings(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Sets one of the options that [`settings`](Self::settings) returns. Called before [`validate`](Self::validate),
    /// only for those names. Returns `false` if the check has no such option, which is the default.
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
    /// Returns an error if the option does not accept the value. [`Setting::refused`] creates the error from a text
    /// that says what to use instead.
    #[cfg(feature = "serde")]
    fn apply_setting(&mut self, option: &str, value: &Setting) -> Result<bool, InvalidCheck> {
        let _ = (option, value);
        Ok(false)
    }
}

/// The error text for a setting that belongs to a shared check.
#[cfg(feature = "serde")]
pub(crate) const SHARED: &str = "the check is shared, so its own options cannot be set: register a check that nothing \
                                 else holds, not a clone";

/// Implements [`Check`] for smart pointers by delegation, so that one list can contain checks of different types.
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
