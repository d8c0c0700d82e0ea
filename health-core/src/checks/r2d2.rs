//! Any server behind a pool of r2d2. Green proves what the pool's own test of a connection proves, which is the manager's
//! `is_valid`; of PostgreSQL a round trip on an authenticated session.

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
use super::limits::check_settings;
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

/// The default time in which a pool serves nothing, after which it is Unhealthy.
const SATURATED_FOR: Duration = Duration::from_secs(10);

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// Asks any server over the application's own [`r2d2::Pool`]. Needs the feature `r2d2`.
///
/// - The question is the manager's `is_valid`, which the pool asks before it gives a connection; so the pool must test its
///   connections (`test_on_check_out`, its default).
/// - It blocks, so it is asked on a thread of the check's own. A question that hangs is not asked a second time beside it.
/// - Least privilege: the right to connect, and what `is_valid` needs.
/// - A connection that died in the pool is no outage: the pool tests the next one.
/// - A pool is healthy as long as the check gets a connection within half of its deadline.
/// - **Give it the manager**, by [`beside`](Self::beside): a pool of r2d2 lends its own to nobody. If the pool serves nothing for
///   half of the deadline, one connection beside it is opened, asked and closed, on a second thread. If that answers, the pool is
///   `saturated`, Degraded, and Unhealthy after [`saturated_for`](Self::saturated_for). If not, its error is the reason. The user
///   needs room for one connection more than the pool may have.
/// - Without the manager a pool whose every connection is in use is `saturated`, and a server that died behind it is told by the
///   next connection that becomes free. Of an attempt to connect that failed the pool keeps the text alone, of which the check
///   knows what the usual databases say. The texts of r2d2_postgres name no cause, so that every refusal is `failed`.
/// - The reason of an error of the manager comes from its source chain and its text, and from SQLSTATE with the feature
///   `tokio_postgres`. [`reasons`](Self::reasons) adds what the application knows.
/// - A test that never ends, on a connection whose other end has gone without a word, is nothing that r2d2 can give up. The
///   check stays `saturated`, or `timeout` without the manager, until the driver ends it: set TCP's keepalive and
///   `tcp_user_timeout`, or what the driver has for that.
/// - Observed: `pool_max`, `pool_size`, `pool_idle`, and `pool_wait`, in ms, if none was idle.
///
/// ```no_run
/// use health_core::{Health, R2d2};
/// # fn example<M: r2d2::ManageConnection + Clone>(pool: r2d2::Pool<M>, manager: M) -> Result<(), health_core::BuildError> {
///
/// let health = Health::builder().check("database", R2d2::new(pool.clone()).beside(manager)).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct R2d2<M: ManageConnection> {
    owned: Arc<Owned<M>>,
    /// Asks over the pool.
    thread: BlockingThread,
    /// Asks beside it.
    beside: BlockingThread,
    unserved: Unserved,
    saturated_for: Duration,
}

impl<M: ManageConnection> R2d2<M> {
    /// Checks the server behind this pool.
    pub fn new(pool: Pool<M>) -> Self {
        Self {
            owned: Arc::new(Owned::new(pool)),
            thread: BlockingThread::default(),
            beside: BlockingThread::default(),
            unserved: Unserved::default(),
            saturated_for: SATURATED_FOR,
        }
    }

    /// Opens a connection by this manager, which is made like that of the pool, if the pool serves nothing in time.
    pub fn beside(mut self, manager: M) -> Self {
        Arc::make_mut(&mut self.owned).set_manager(manager);
        self
    }

    /// Sets the time in which the pool may serve nobody before that is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.saturated_for = duration;
        self
    }

    /// Finds the reason of an error of the application's own driver, for connections beside the pool. `None` leaves it to the
    /// check.
    pub fn reasons(mut self, reason_of: impl Fn(&M::Error) -> Option<Reason> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.owned).set_reasons(Arc::new(reason_of));
        self
    }

    /// Asks over the pool, and after half of the deadline beside it, too.
    async fn attempt(&self, limit: Duration) -> CheckResult {
        let half = limit / 2;
        let owned = Arc::clone(&self.owned);
        let mut pooled = pin!(self.thread.run(move || owned.ask_pool(half)));
        // The pool itself gives up at half of the deadline, unless it tests a connection just then.
        let text = match timeout(half + limit / 20, &mut pooled).await {
            Ok(Ok(Ok(asked))) => return Ok(self.served(asked)),
            Ok(Ok(Err(NotServed { text }))) => text,
            // The thread is still occupied by a test that hangs, or there is none.
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

    /// Asks on a connection beside the pool, which has served nothing.
    async fn ask_beside(&self) -> CheckResult {
        let owned = Arc::clone(&self.owned);
        match self.beside.run(move || owned.ask_beside()).await? {
            Ok(()) => {
                // An idle connection serves the application, even if the one that the check has taken hangs in its test.
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

    /// The outcome of a pool that has served nothing, of which nothing is known but its numbers and a text.
    fn without_manager(&self, text: Option<String>) -> Outcome {
        if self.owned.is_full() {
            return self.unserved.saturated("every connection is in use: the pool", self.saturated_for);
        }
        match self.unserved.reason_of(text) {
            (Some(Reason::Saturated), message) => self.refused(message),
            (reason, message) => Outcome::unhealthy(message).reason(reason.unwrap_or(Reason::Timeout)),
        }
    }

    /// The outcome where the server itself has no room for a connection. The refusal proves that it lives.
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
        // Ends 1 % before the scheduler's deadline, so that the outcome has the numbers, too.
        let outcome = match timeout(limit.saturating_sub(limit / 100), self.attempt(limit)).await {
            Ok(outcome) => outcome.unwrap_or_else(Outcome::from),
            Err(_) => Outcome::unhealthy("neither the pool nor its server answered in time").reason(Reason::Timeout),
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
                        test_on_check_out(true), or ask over it in a check_blocking"
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
