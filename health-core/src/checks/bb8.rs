//! Any server behind a pool of bb8. Green proves what the pool's own test of a connection proves, which is the manager's
//! `is_valid`; of PostgreSQL a round trip on an authenticated session.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bb8::{AddError, ManageConnection, Pool, PooledConnection, RunError};

use super::{
    driver_error::{ReasonOf, explain},
    failure::Failure,
    limits::check_settings,
    pool::{
        PoolCheck,
        source::{Connected, RoundTrip, Source, Taken},
    },
};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::status::Reason,
};

/// Asks any server over the application's own [`bb8::Pool`]. Needs the feature `bb8`.
///
/// - The question is the manager's `is_valid`, which the pool asks before it gives a connection; so the pool must test its
///   connections (`test_on_check_out`, its default).
/// - Least privilege: the right to connect, with room for one connection more than the pool may have, and what `is_valid` needs.
/// - If no connection is idle and the pool has room, the check opens one and gives it to the pool: the pool itself tries again
///   and again until its `connection_timeout` and cannot tell why it failed.
/// - A connection that died in the pool is no outage: the pool tests the next one.
/// - A pool whose every connection is in use is healthy as long as the check gets one within half of its deadline. After that
///   one connection beside the pool is opened, by which alone a server counts as alive: bb8 lends its manager to nobody. Then
///   the pool is `saturated`, Degraded, and Unhealthy after [`saturated_for`](Self::saturated_for).
/// - Nobody can take a connection out of a pool of bb8. One that does not come out of its test stays there until the pool's
///   `connection_timeout`, and is tested again later, until its `max_lifetime` or the driver ends it.
/// - A pool in FIFO order, bb8's default, gives its idle connections in turn, also to the check: with `QueueStrategy::Lifo` the
///   check keeps one from its `idle_timeout` and not all.
/// - The reason of an error comes from its source chain and its text, and from SQLSTATE and the codes of Redis with the features
///   `tokio_postgres` and `redis`. [`reasons`](Self::reasons) adds what the application knows.
/// - Several checks of one pool wait in its queue each for itself.
/// - Observed: `pool_max`, `pool_size`, `pool_idle`, and `pool_wait`, in ms, after a wait in the queue.
///
/// ```no_run
/// use health_core::{Bb8, Health};
/// # fn example<M: bb8::ManageConnection>(pool: bb8::Pool<M>) -> Result<(), health_core::BuildError>
/// # where
/// #     M::Error: std::error::Error,
/// # {
///
/// let health = Health::builder().check("database", Bb8::new(pool.clone())).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Bb8<M>
where
    M: ManageConnection,
    M::Error: Error,
{
    pool: Pool<M>,
    pool_check: PoolCheck<Bb8Pool<M>>,
}

impl<M> Bb8<M>
where
    M: ManageConnection,
    M::Error: Error,
{
    /// Checks the server behind this pool.
    pub fn new(pool: Pool<M>) -> Self {
        let source = Bb8Pool { pool: pool.clone(), reason_of: Arc::new(|_| None) };
        Self { pool, pool_check: PoolCheck::new(source) }
    }

    /// Sets the time in which the pool may serve nobody before that is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }

    /// Finds the reason of an error of the application's own driver. `None` leaves it to the check.
    pub fn reasons(mut self, reason_of: impl Fn(&M::Error) -> Option<Reason> + Send + Sync + 'static) -> Self {
        let saturated_for = self.pool_check.saturated_for;
        let source = Bb8Pool { pool: self.pool.clone(), reason_of: Arc::new(reason_of) };
        self.pool_check = PoolCheck::new(source);
        self.pool_check.saturated_for = saturated_for;
        self
    }
}

#[async_trait]
impl<M> Check for Bb8<M>
where
    M: ManageConnection,
    M::Error: Error,
{
    async fn check(&self) -> CheckResult {
        Ok(self.pool_check.run(&Tested).await)
    }

    fn proves(&self) -> &'static str {
        "The pool gave a connection that passed the test of its manager. It does not prove more than that test asks."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if !self.pool.config().test_on_check_out {
            return Err(
                "a pool with test_on_check_out(false) does not test connections before it gives them: build it with \
                        test_on_check_out(true), or ask over it in a check_fn"
                    .into(),
            );
        }
        Ok(self.pool_check.validate()?)
    }

    check_settings! {
        saturated_for: pool_check.saturated_for = duration;
    }
}

/// The test that a connection has passed before it is here.
struct Tested;

#[async_trait]
impl<M> RoundTrip<Bb8Pool<M>> for Tested
where
    M: ManageConnection,
    M::Error: Error,
{
    async fn ask(&self, session: &Session) -> Result<Outcome, Failure> {
        let is_answered = session.is_answered.swap(true, Ordering::Relaxed);
        if is_answered && session.is_beside {
            // Opening it was the question, so the next one needs another connection.
            return Err(Failure::new("the connection beside the pool was asked before", Reason::Unreachable, true));
        }
        Ok(Outcome::healthy())
    }
}

/// A pool of bb8, and what the application says of the errors of its driver.
struct Bb8Pool<M: ManageConnection> {
    pool: Pool<M>,
    reason_of: ReasonOf<M::Error>,
}

impl<M: ManageConnection> Clone for Bb8Pool<M> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), reason_of: Arc::clone(&self.reason_of) }
    }
}

/// A connection of the pool, or one beside it.
struct Session {
    is_beside: bool,
    is_answered: AtomicBool,
    /// Held until it goes back or is closed. Not every connection may be shared, so it is behind a lock that nobody takes.
    _connection: Mutex<Box<dyn Send>>,
}

impl Session {
    fn of(connection: impl Send + 'static, is_beside: bool) -> Self {
        let connection = Mutex::new(Box::new(connection) as Box<dyn Send>);
        Self { is_beside, is_answered: AtomicBool::new(false), _connection: connection }
    }
}

impl<M> Bb8Pool<M>
where
    M: ManageConnection,
    M::Error: Error,
{
    fn failure(&self, error: &M::Error) -> Failure {
        let (reason, message) = explain(error, &self.reason_of);
        Failure::new(message, reason, true)
    }

    /// Takes a connection on a task of its own, which comes to its end even if nobody waits for it any more: a test that is
    /// cancelled would put the connection back in the middle of an answer. The pool's own `connection_timeout` bounds it.
    async fn get(&self) -> Taken<Self> {
        let pool = self.pool.clone();
        let getting = tokio::spawn(async move { pool.get_owned().await });
        match getting.await {
            Ok(Ok(connection)) => Self::taken(connection),
            Ok(Err(RunError::TimedOut)) => Taken::Busy,
            Ok(Err(RunError::User(error))) => Taken::Failed(self.failure(&error)),
            // What a panic says is for the log alone.
            Err(error) if error.is_panic() => {
                Taken::Failed(Failure::new("the pool's manager panicked", Reason::Panicked, true))
            }
            Err(_) => Taken::Failed(Failure::new("the runtime has ended", Reason::Failed, true)),
        }
    }

    fn taken(connection: PooledConnection<'static, M>) -> Taken<Self> {
        Taken::Connection(Connected { session: Session::of(connection, false), is_new: false })
    }
}

impl<M> Source for Bb8Pool<M>
where
    M: ManageConnection,
    M::Error: Error,
{
    type Session = Session;
    type Raw = ();
    type Id = ();

    /// The pool shows no address of its own, so this is one of the check's.
    fn address(&self) -> usize {
        std::ptr::from_ref(&*self.reason_of).cast::<()>().addr()
    }

    fn numbers(&self) -> Vec<(&'static str, usize, &'static str)> {
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let state = self.pool.state();
        vec![
            ("pool_max", number(self.pool.config().max_size), "connections"),
            ("pool_size", number(state.connections), "connections"),
            ("pool_idle", number(state.idle_connections), "connections"),
        ]
    }

    fn has_connections(&self) -> bool {
        self.pool.state().connections > 0
    }

    fn has_idle(&self) -> bool {
        self.pool.state().idle_connections > 0
    }

    async fn take(&self) -> Taken<Self> {
        let state = self.pool.state();
        if state.idle_connections > 0 {
            return self.get().await;
        }
        if state.connections >= self.pool.config().max_size {
            return Taken::Busy;
        }
        let connection = match self.pool.dedicated_connection().await {
            Ok(connection) => connection,
            Err(error) => return Taken::Failed(Failure { is_of_connecting: true, ..self.failure(&error) }),
        };
        match self.pool.add(connection) {
            Ok(()) => self.get().await,
            // The pool has opened one of its own meanwhile.
            Err(AddError::NoCapacity(_)) => Taken::Beside,
            Err(AddError::Broken(_)) => {
                let message = "the manager takes the connection that it has just opened for a broken one";
                Taken::Failed(Failure::new(message, Reason::Unreachable, true))
            }
        }
    }

    async fn wait(&self) -> Taken<Self> {
        self.get().await
    }

    async fn connect(&self) -> Result<Connected<Self>, Failure> {
        match self.pool.dedicated_connection().await {
            Ok(connection) => Ok(Connected { session: Session::of(connection, true), is_new: true }),
            Err(error) => Err(self.failure(&error)),
        }
    }

    fn raw(_: &Session) -> &() {
        &()
    }

    fn id(_: &Session) -> Option<()> {
        None
    }

    /// One of the pool has passed its test, so that only one beside it is ever discarded.
    fn discard(session: Session) {
        drop(session);
    }

    /// Nobody can take a connection out of the pool.
    fn clear_idle(&self, _unused_since: Instant) {}
}

impl<M> fmt::Debug for Bb8<M>
where
    M: ManageConnection,
    M::Error: Error,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bb8").field("manager", &std::any::type_name::<M>()).finish_non_exhaustive()
    }
}
