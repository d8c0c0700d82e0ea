//! Support for applications' tests: a check with scripted outcomes, and a [`Health`] with a frozen clock.
//!
//! A test of a custom check calls the check and inspects its outcome:
//!
//! ```
//! use health_core::{Check, CheckResult, Outcome, Reason, Status, async_trait};
//!
//! struct License { days_left: i64 }
//!
//! #[async_trait]
//! impl Check for License {
//!     async fn check(&self) -> CheckResult {
//!         let outcome = if self.days_left > 14 { Outcome::healthy() } else { Outcome::degraded("expires soon") };
//!         Ok(outcome.observe("days_left", self.days_left, "days"))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let outcome = License { days_left: 3 }.check().await.expect("the check succeeds");
//! assert_eq!((outcome.get_status(), outcome.get_reason()), (Status::Degraded, Some(Reason::Failed)));
//! assert_eq!(outcome.get_message(), Some("expires soon"));
//! assert_eq!(outcome.get_observed()[0].value, 3.into());
//! # Ok(())
//! # }
//! ```
//!
//! A test of a check's behaviour over hours uses Tokio's paused clock (Tokio's feature `test-util`), on which waiting
//! takes no real time:
//!
//! ```
//! use std::time::Duration;
//! use health_core::{Check, CheckExt, CheckResult, Health, Outcome, Probe, Status, async_trait};
//! use tokio::time::{Instant, sleep};
//!
//! struct License { expires: Instant }
//!
//! #[async_trait]
//! impl Check for License {
//!     async fn check(&self) -> CheckResult {
//!         Ok(if Instant::now() < self.expires { Outcome::healthy() } else { Outcome::unhealthy("expired") })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // #[tokio::test(start_paused = true)]
//! let license = License { expires: Instant::now() + Duration::from_secs(3_600) };
//! let health = Health::builder().check("license", license.every(Duration::from_secs(60)).failures(3)).start()?;
//! assert!(health.ready().await);
//! sleep(Duration::from_secs(3_500)).await;
//! assert_eq!(health.status(Probe::Readiness), Status::Healthy);
//! sleep(Duration::from_secs(300)).await;
//! assert_eq!(health.status(Probe::Readiness), Status::Unhealthy, "three runs have failed");
//! # health.stop().await;
//! # Ok(())
//! # }
//! ```

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

#[cfg(feature = "upstream")]
use crate::model::status::Status;
use crate::{
    check::{Check, CheckResult, outcome::Outcome},
    config::error::{BuildError, UnknownCheck},
    engine::store::CompletedRun,
    health::{Health, builder::Builder},
    model::status::Lifecycle,
    time::{Clock, nanos},
};

/// The scripted action of a run of a [`Scripted`] check.
#[derive(Clone, Debug)]
enum Line {
    Answer(Outcome),
    Hang,
    Panic,
}

/// The state that a [`Scripted`] check and its [`Prompter`] share.
#[derive(Debug)]
struct Script {
    line: Mutex<Line>,
    delay: Mutex<Duration>,
    started: AtomicU64,
}

/// A check whose runs a [`Prompter`] scripts, from [`scripted`].
#[derive(Debug)]
pub struct Scripted(Arc<Script>);

/// Scripts the runs of a [`Scripted`] check, and counts them. Clones script the same check.
#[derive(Clone, Debug)]
pub struct Prompter(Arc<Script>);

/// Returns a check that is Healthy until it is scripted otherwise, and the handle that scripts it.
///
/// ```
/// use health_core::{CheckExt, Health, Outcome, Probe, Reason, Status, testing::scripted};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (check, prompter) = scripted();
/// let health = Health::builder().check("database", check).start()?;
/// prompter.answer(Outcome::unhealthy("refused").reason(Reason::Unreachable));
/// assert_eq!(health.refresh("database").await?, Status::Unhealthy);
/// assert_eq!(health.status(Probe::Readiness), Status::Unhealthy);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn scripted() -> (Scripted, Prompter) {
    let script = Arc::new(Script {
        line: Mutex::new(Line::Answer(Outcome::healthy())),
        delay: Mutex::new(Duration::ZERO),
        started: AtomicU64::new(0),
    });
    (Scripted(Arc::clone(&script)), Prompter(script))
}

impl Prompter {
    /// Makes every run that starts after this call return this outcome.
    pub fn answer(&self, outcome: Outcome) {
        self.say(Line::Answer(outcome));
    }

    /// Makes every run that starts after this call hang: it never returns.
    pub fn hang(&self) {
        self.say(Line::Hang);
    }

    /// Makes every run that starts after this call panic.
    pub fn panic(&self) {
        self.say(Line::Panic);
    }

    /// Makes every run that starts after this call wait this long before it returns, hangs or panics. Default zero.
    pub fn delay(&self, delay: Duration) {
        *self.0.delay.lock().unwrap_or_else(PoisonError::into_inner) = delay;
    }

    /// Returns the number of runs that have started.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.0.started.load(Ordering::SeqCst)
    }

    fn say(&self, line: Line) {
        *self.0.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}

#[async_trait]
impl Check for Scripted {
    async fn check(&self) -> CheckResult {
        self.0.started.fetch_add(1, Ordering::SeqCst);
        let line = self.0.line.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let delay = *self.0.delay.lock().unwrap_or_else(PoisonError::into_inner);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match line {
            Line::Answer(outcome) => Ok(outcome),
            Line::Hang => std::future::pending().await,
            Line::Panic => panic!("as scripted"),
        }
    }
}

/// A [`Health`] in which no check runs and the clock stands still. Every result comes from the test, and passes through
/// the same policy as the result of a real run. The time is 2026-01-05T08:00:00Z until the test advances it. No runtime
/// is needed.
///
/// ```
/// use std::time::Duration;
/// use health_core::{Endpoint, Health, Outcome, Reason, Request, check_fn, testing::Frozen};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let frozen = Frozen::new(Health::builder().check("database", check_fn(|| async { Ok(()) })))?;
/// frozen.record("database", Outcome::unhealthy("refused").reason(Reason::Unreachable), Duration::from_micros(1420))?;
/// let request = Request::new("GET", "/readyz", None, None, &|_, _| None);
/// let response = Endpoint::new(frozen.health()).respond(&request).expect("the path belongs to the endpoint");
/// assert_eq!(response.status, 503);
/// assert_eq!(response.body, "[-]database failed: unreachable\nreadyz check failed\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Frozen {
    health: Health,
}

/// The time in a new [`Frozen`], 2026-01-05T08:00:00Z, as the duration since 1970.
const MOMENT: Duration = Duration::from_secs(1_767_600_000);

impl Frozen {
    /// Creates a frozen service from a builder. Every check is pending.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Builder::start`], except those about the runtime.
    pub fn new(builder: Builder) -> Result<Self, BuildError> {
        let clock = Clock::Frozen { started: SystemTime::UNIX_EPOCH + MOMENT, elapsed: AtomicU64::new(0) };
        Ok(Self { health: builder.freeze(clock)? })
    }

    /// Returns the handle of the service, for instance to mount an endpoint.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Advances the clock by `duration`, and records a run of that duration that ends at the new time.
    ///
    /// # Errors
    ///
    /// Returns an error if no check has this name.
    pub fn record(&self, check: &str, outcome: Outcome, duration: Duration) -> Result<(), UnknownCheck> {
        let store = self.health.store();
        let signals = store.signals(check).ok_or_else(|| UnknownCheck { name: check.to_owned() })?;
        self.advance(duration);
        let started = store.clock().now().saturating_sub(nanos(duration));
        store.record(&signals, CompletedRun { outcome, started, reading: signals.reading() });
        Ok(())
    }

    /// Makes a check pending again, as if it had never run.
    ///
    /// # Errors
    ///
    /// Returns an error if no check has this name.
    pub fn forget(&self, check: &str) -> Result<(), UnknownCheck> {
        let store = self.health.store();
        let signals = store.signals(check).ok_or_else(|| UnknownCheck { name: check.to_owned() })?;
        store.forget(&signals);
        Ok(())
    }

    /// Sets the lifecycle, also to an earlier one. Evaluates startup again: it stays passed only if every startup check
    /// has succeeded. As in a running service, `Starting` becomes `Ready` at once if no readiness check is pending.
    pub fn lifecycle(&self, lifecycle: Lifecycle) {
        self.health.store().set_lifecycle(lifecycle);
    }

    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        if let Clock::Frozen { elapsed, .. } = self.health.store().clock() {
            elapsed.fetch_add(nanos(by), Ordering::AcqRel);
        }
    }
}

/// Returns a text with the known shapes of secrets redacted, as every output shows it. Tests use it to inspect the
/// messages of a custom check. Strings that are registered with [`Builder::secret`](crate::Builder::secret) are not
/// redacted here.
///
/// ```
/// use health_core::testing::redacted;
///
/// assert_eq!(redacted("postgres://app:hunter2@db/orders: refused"), "postgres://***@db/orders: refused");
/// ```
#[must_use]
pub fn redacted(text: &str) -> String {
    crate::redact::shapes(text)
}

/// Parses the health document of another service in the same way as the check `Upstream`. Returns the status, and the
/// components that are not Healthy, each with its reason or status. Returns `None` if the body is not a health
/// document. Assumes that the response has the status code 200.
///
/// ```
/// use health_core::{Status, testing::upstream_document};
///
/// let spring = br#"{"status":"DOWN","components":{"db":{"status":"DOWN"},"disk":{"status":"UP"}}}"#;
/// let read = upstream_document("application/json", spring);
/// assert_eq!(read, Some((Status::Unhealthy, vec!["db unhealthy".to_owned()])));
/// ```
#[cfg(feature = "upstream")]
#[must_use]
pub fn upstream_document(content_type: &str, body: &[u8]) -> Option<(Status, Vec<String>)> {
    crate::checks::upstream::verdict(200, content_type, body)
}
