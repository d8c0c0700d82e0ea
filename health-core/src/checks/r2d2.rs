//! Checks any server behind a pool of r2d2. Green proves what the pool's own test of a connection proves, which is the
//! `is_valid` of its manager. For PostgreSQL that is a round trip on an authenticated session.

mod owned;
mod unserved;

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use r2d2::{ManageConnection, Pool};
use tokio::{select, time::timeout};

use self::{
    owned::{Asked, NotServed, Owned},
    unserved::Unserved,
};
use super::{limits::check_settings, saturation::SATURATED_FOR};
use crate::{
    check::{
        Check, CheckResult,
        blocking::BlockingThread,
        deadline::time_left,
        error::{CheckError, InvalidCheck},
        outcome::Outcome,
    },
    model::status::Reason,
};

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// Checks any server by taking a connection from the application's own [`r2d2::Pool`].
///
/// Green proves that the pool gave a connection that passed the test of the pool's manager, `is_valid`. It does not
/// prove more than that test does.
///
/// - The pool must test a connection before it gives it (`test_on_check_out`, which is the default). A pool without
///   this test is a build error.
/// - The test blocks, so it runs on a thread that belongs to the check. While a test hangs, no second one starts.
/// - Least privilege: the right to connect, and the rights that `is_valid` needs.
/// - A dead pooled connection is not an outage: the pool tests the next one.
/// - A pool is healthy as long as the check gets a connection within half of its deadline.
/// - **Pass the manager** by [`beside`](Self::beside), because a pool of r2d2 does not give access to its own. If the
///   pool serves no connection for half of the deadline, the check opens, tests and closes one connection beside the
///   pool, on a second thread. If this connection works, the check is Degraded with `saturated`, and Unhealthy after
///   [`saturated_for`](Self::saturated_for). If it fails, its error gives the reason. The server and the limits of the
///   user must allow one connection more than the pool's maximum.
/// - Without the manager a pool whose connections are all in use is `saturated`, and a dead server is noticed only when
///   the next connection becomes free. The pool keeps only the text of a failed attempt to connect. The check knows the
///   texts of the usual databases. The texts of r2d2_postgres name no cause, so every refused connection is `failed`.
/// - The reason of an error of the manager comes from its source chain and its text, and from its SQLSTATE with the
///   feature `tokio_postgres`. [`reasons`](Self::reasons) adds a function of the application.
/// - r2d2 cannot cancel a test that never ends, such as one on a connection whose other end has vanished. The check
///   stays `saturated`, or `timeout` without the manager, until the driver ends the test. Set TCP keepalive and
///   `tcp_user_timeout`, or the corresponding options of the driver.
/// - Observed values: `pool_max`, `pool_size`, `pool_idle`, and, if no connection was idle, `pool_wait` in ms.
///
/// ```no_run
/// use health_core::{Health, R2d2};
/// # fn example<M>(pool: r2d2::Pool<M>, manager: M) -> Result<(), health_core::BuildError>
/// # where
/// #     M: r2d2::ManageConnection + Clone,
/// # {
///
/// let health = Health::builder().check("database", R2d2::new(pool.clone()).beside(manager)).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct R2d2<M: ManageConnection> {
    owned: Arc<Owned<M>>,
    /// Takes connections from the pool.
    thread: BlockingThread,
    /// Opens connections beside the pool.
    beside: BlockingThread,
    unserved: Unserved,
    saturated_for: Duration,
}

impl<M: ManageConnection> R2d2<M> {
    /// Creates a check of the server behind this pool.
    pub fn new(pool: Pool<M>) -> Self {
        Self {
            owned: Arc::new(Owned::new(pool)),
            thread: BlockingThread::default(),
            beside: BlockingThread::default(),
            unserved: Unserved::default(),
            saturated_for: SATURATED_FOR,
        }
    }

    /// Sets the manager that opens a connection beside the pool if the pool serves none in time. It must be configured
    /// like the manager of the pool. Default none.
    pub fn beside(mut self, manager: M) -> Self {
        Arc::make_mut(&mut self.owned).set_manager(manager);
        self
    }

    /// Sets the time for which the pool may serve no connection before the check is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.saturated_for = duration;
        self
    }

    /// Sets a function that returns the reason of an error of the manager, for connections beside the pool. If it
    /// returns `None`, the check finds the reason itself. Default none.
    pub fn reasons(mut self, reason_of: impl Fn(&M::Error) -> Option<Reason> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.owned).set_reasons(Arc::new(reason_of));
        self
    }

    /// Takes a connection from the pool, and after half of the deadline opens one beside the pool, too.
    async fn attempt(&self, limit: Duration) -> CheckResult {
        let half = limit / 2;
        let owned = Arc::clone(&self.owned);
        let mut pooled = pin!(self.thread.run(move || owned.ask_pool(half)));
        // The pool itself gives up at half of the deadline, unless it is testing a connection at that time.
        let text = match timeout(half + limit / 20, &mut pooled).await {
            Ok(Ok(Ok(asked))) => return Ok(self.served(asked)),
            Ok(Ok(Err(NotServed { text }))) => text,
            // A test that hangs still occupies the thread, or no thread could be started.
            Ok(Err(error)) if error.get_reason() != Reason::Timeout || !self.owned.has_manager() => return Err(error),
            Ok(Err(_)) => None,
            Err(_) if !self.owned.has_manager() => {
                return match pooled.await? {
                    Ok(asked) => Ok(self.served(asked)),
                    Err(NotServed { text }) => Ok(self.without_manager(text)),
                };
            }
            Err(_) => {
                let mut beside = pin!(self.ask_beside());
                return select! {
                    biased;
                    pooled = &mut pooled => match pooled? {
                        Ok(asked) => Ok(self.served(asked)),
                        Err(NotServed { .. }) => beside.await,
                    },
                    beside = &mut beside => beside,
                };
            }
        };
        if self.owned.has_manager() { self.ask_beside().await } else { Ok(self.without_manager(text)) }
    }

    fn served(&self, Asked { waited }: Asked) -> Outcome {
        self.unserved.serves();
        match waited {
            Some(waited) => Outcome::healthy().observe("pool_wait", milliseconds(waited), "ms"),
            None => Outcome::healthy(),
        }
    }

    /// Opens and tests a connection beside the pool, which has served none.
    async fn ask_beside(&self) -> CheckResult {
        let owned = Arc::clone(&self.owned);
        match self.beside.run(move || owned.ask_beside()).await? {
            Ok(()) => {
                // An idle connection serves the application, even if the test of the connection taken by the check
                // hangs.
                if self.owned.has_idle() {
                    self.unserved.fails();
                }
                Ok(self.unserved.saturated("the server answers, but the pool", self.saturated_for))
            }
            Err((Reason::Saturated, message)) => Ok(self.refused(message)),
            Err((reason, message)) => {
                self.unserved.fails();
                Err(CheckError::new(message).reason(reason))
            }
        }
    }

    /// Returns the outcome of a pool that has served no connection, from its numbers and the text of its last error.
    fn without_manager(&self, text: Option<String>) -> Outcome {
        if self.owned.is_full() {
            return self.unserved.saturated("every connection is in use: the pool", self.saturated_for);
        }
        match self.unserved.reason_of(text) {
            (Some(Reason::Saturated), message) => self.refused(message),
            (reason, message) => Outcome::unhealthy(message).reason(reason.unwrap_or(Reason::Timeout)),
        }
    }

    /// Returns the outcome of a server that refuses a connection for want of room. The refusal proves that the server
    /// runs.
    fn refused(&self, message: String) -> Outcome {
        let has_nothing = !self.unserved.has_served() && !self.owned.has_connections();
        let tolerated = if has_nothing { Duration::ZERO } else { self.saturated_for };
        self.unserved.saturated("the server has no room, and the pool", tolerated).message(message)
    }
}

#[async_trait]
impl<M: ManageConnection> Check for R2d2<M> {
    async fn check(&self) -> CheckResult {
        let limit = time_left().unwrap_or(DEFAULT_LIMIT);
        let numbers = self.owned.numbers();
        // Ends 1 % before the scheduler's deadline, so that the outcome includes the observed values.
        let outcome = match timeout(limit.saturating_sub(limit / 100), self.attempt(limit)).await {
            Ok(outcome) => outcome.unwrap_or_else(Outcome::from),
            Err(_) => Outcome::unhealthy("neither the pool nor the server answered in time").reason(Reason::Timeout),
        };
        Ok(numbers.into_iter().fold(outcome, |outcome, (name, value)| outcome.observe(name, value, "connections")))
    }

    fn proves(&self) -> &'static str {
        "The pool gave a connection that passed the test of its manager. It does not prove more than that test asks."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if !self.owned.is_tested() {
            return Err(
                "a pool with test_on_check_out(false) does not test connections before it gives them: build it with \
                        test_on_check_out(true), or use the pool in a check_blocking"
                    .into(),
            );
        }
        if self.saturated_for.is_zero() {
            return Err("saturated_for(0 s) makes every busy moment an outage: use the time that is tolerable".into());
        }
        Ok(())
    }

    check_settings! {
        saturated_for: saturated_for = duration;
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

impl<M: ManageConnection> fmt::Debug for R2d2<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("R2d2").field("manager", &std::any::type_name::<M>()).finish_non_exhaustive()
    }
}
