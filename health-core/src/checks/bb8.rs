//! A server behind a bb8 pool. Green proves that the pool gave a connection that passed the manager's own test,
//! `is_valid`. For PostgreSQL that is a round trip on an authenticated session. It does not prove more than `is_valid`
//! tests.

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

/// Checks any server over the application's own [`bb8::Pool`].
///
/// Green proves that the pool gave a connection that passed the manager's own test, `is_valid`. For PostgreSQL that is
/// a round trip on an authenticated session. It does not prove more than `is_valid` tests.
///
/// - The pool runs `is_valid` before it gives a connection. The pool must therefore be built with
///   `test_on_check_out(true)`, the default of bb8; otherwise the start fails with a build error.
/// - Least privilege: the right to connect, room on the server for one connection more than the pool's maximum, and
///   what `is_valid` needs.
/// - If no connection is idle and the pool has room, the check opens a connection and adds it to the pool. The pool
///   itself would retry until its `connection_timeout`, and would not report the cause of the failure.
/// - A connection that died in the pool is not an outage: the pool tests the next one.
/// - If all connections are in use, the check waits in the pool's queue and stays Healthy as long as it gets a
///   connection within half of its deadline. After that it opens one connection beside the pool. Only opening a
///   connection can prove that the server is alive, because bb8 gives no access to its manager. The result is
///   `saturated`: Degraded, and Unhealthy after [`saturated_for`](Self::saturated_for).
/// - bb8 offers no way to remove a connection from a pool. A connection that hangs in its test stays in the pool until
///   the pool's `connection_timeout`. The pool tests it again later, until its `max_lifetime` or the driver ends it.
/// - A pool in FIFO order, bb8's default, gives its idle connections in turn, also to the check. The runs of the check
///   therefore keep all idle connections from reaching their `idle_timeout`. With `QueueStrategy::Lifo` only one
///   connection is affected.
/// - The reason of an error comes from its source chain and its text. With the feature `tokio_postgres` it also comes
///   from SQLSTATE, and with the feature `redis` from the error codes of Redis. [`reasons`](Self::reasons) adds the
///   application's own mapping, which takes precedence.
/// - Several checks of one pool do not share a place in its queue: each waits on its own.
/// - Observed values: `pool_max`, `pool_size` and `pool_idle` in `connections`; `pool_wait` in `ms` after a wait in
///   the queue.
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
    /// Creates a check of the server behind this pool.
    pub fn new(pool: Pool<M>) -> Self {
        let source = Bb8Pool { pool: pool.clone(), reason_of: Arc::new(|_| None) };
        Self { pool, pool_check: PoolCheck::new(source) }
    }

    /// Sets the time for which the pool may have no free connection before the check is Unhealthy. Default 10 s. Zero
    /// is a build error.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }

    /// Sets a function that maps an error of the application's driver to a reason. If it returns `None` or panics, the
    /// check determines the reason. Default: no function.
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
        "The pool gave a connection that passed its manager's test. It does not prove more than that test covers."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if !self.pool.config().test_on_check_out {
            return Err(
                "a pool with test_on_check_out(false) does not test connections before it gives them: build it with \
                        test_on_check_out(true), or use it in a check_fn"
                    .into(),
            );
        }
        Ok(self.pool_check.validate()?)
    }

    check_settings! {
        saturated_for: pool_check.saturated_for = duration;
    }
}

/// The round trip of this check. The pool has tested a connection before the check receives it.
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
            // Only opening a connection beside the pool tests the server, so each run needs a new one.
            return Err(Failure::new("the connection beside the pool was used before", Reason::Unreachable, true));
        }
        Ok(Outcome::healthy())
    }
}

/// A bb8 pool and the application's mapping of driver errors to reasons.
struct Bb8Pool<M: ManageConnection> {
    pool: Pool<M>,
    reason_of: ReasonOf<M::Error>,
}

impl<M: ManageConnection> Clone for Bb8Pool<M> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), reason_of: Arc::clone(&self.reason_of) }
    }
}

/// A connection of the pool, or one beside the pool.
struct Session {
    is_beside: bool,
    is_answered: AtomicBool,
    /// The connection, held until it returns to the pool or is closed. A connection need not be `Sync`, so it is in a
    /// mutex that is never locked.
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

    /// Takes a connection of the pool on a separate task, which runs to its end even if the caller is cancelled. A
    /// cancelled test would return the connection to the pool in the middle of an answer. The pool's own
    /// `connection_timeout` limits the duration of the task.
    async fn get(&self) -> Taken<Self> {
        let pool = self.pool.clone();
        let getting = tokio::spawn(async move { pool.get_owned().await });
        match getting.await {
            Ok(Ok(connection)) => Self::taken(connection),
            Ok(Err(RunError::TimedOut)) => Taken::Busy,
            Ok(Err(RunError::User(error))) => Taken::Failed(self.failure(&error)),
            // The text of a panic belongs in the log only.
            Err(error) if error.is_panic() => {
                Taken::Failed(Failure::new("the pool's manager panicked", Reason::Panicked, true))
            }
            Err(_) => Taken::Failed(Failure::new("the Tokio runtime has shut down", Reason::Failed, true)),
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

    /// Returns an address of the check, because bb8 exposes none of the pool.
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
            // The pool has opened a connection itself in the meantime.
            Err(AddError::NoCapacity(_)) => Taken::Beside,
            Err(AddError::Broken(_)) => {
                let message = "the pool's manager reports the connection that it has just opened as broken";
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

    /// Closes a connection beside the pool. A connection of the pool is never discarded, because it has passed its
    /// test.
    fn discard(session: Session) {
        drop(session);
    }

    /// Does nothing: bb8 offers no way to remove a connection from a pool.
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
