//! The [`Source`] of deadpool pools.

use std::{
    ops::Deref,
    pin::Pin,
    time::{Duration, Instant},
};

use deadpool::managed::{HookError, Manager, Object, ObjectId, Pool, PoolError, TimeoutType, Timeouts};

use super::source::{Connected, Source, Taken};
use crate::{checks::failure::Failure, model::status::Reason};

/// No timeouts of the pool, because they need a runtime that the pool may not have.
const NO_TIMEOUTS: Timeouts = Timeouts { wait: None, create: None, recycle: None };
const AT_ONCE: Timeouts = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };

/// Determines the cause of a failed attempt to connect, for drivers that do not report it.
pub(crate) type Diagnose<M> = fn(&M, Failure) -> Pin<Box<dyn Future<Output = Failure> + Send + '_>>;

/// A deadpool pool and the function that classifies the errors of its driver.
pub(crate) struct Deadpool<M: Manager> {
    pool: Pool<M>,
    explain: fn(M::Error) -> Failure,
    diagnose: Option<Diagnose<M>>,
    has_own_connection: bool,
}

impl<M: Manager> Deadpool<M> {
    pub(crate) fn new(pool: Pool<M>, explain: fn(M::Error) -> Failure) -> Self {
        Self { pool, explain, diagnose: None, has_own_connection: false }
    }

    /// Creates a source whose round trips use a connection beside the pool, opened by attempts that cannot be
    /// cancelled. A hanging attempt of the pool itself would occupy one of the pool's places.
    #[cfg(any(feature = "rabbitmq", test))]
    pub(crate) fn asked_beside(pool: Pool<M>, explain: fn(M::Error) -> Failure) -> Self {
        Self { has_own_connection: true, ..Self::new(pool, explain) }
    }

    /// Sets the function that determines the cause of a failed attempt to connect.
    #[cfg(feature = "redis")]
    pub(crate) fn diagnosed_by(self, diagnose: Diagnose<M>) -> Self {
        Self { diagnose: Some(diagnose), ..self }
    }

    async fn why(&self, error: M::Error) -> Failure {
        let failure = (self.explain)(error);
        match self.diagnose {
            Some(diagnose) if failure.reason == Reason::Unreachable => diagnose(self.pool.manager(), failure).await,
            _ => failure,
        }
    }

    async fn taken(&self, taken: Result<Object<M>, PoolError<M::Error>>) -> Taken<Self>
    where
        Self: Source<Session = Session<M>>,
    {
        let failed = |message: &str, reason| Taken::Failed(Failure::new(message.to_owned(), reason, true));
        match taken {
            Ok(object) => {
                let is_new = Object::metrics(&object).recycle_count == 0;
                Taken::Connection(Connected { session: Session::Pooled(object), is_new })
            }
            Err(PoolError::Timeout(TimeoutType::Wait)) => Taken::Busy,
            Err(PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error))) => {
                Taken::Failed(Failure { is_of_connecting: true, ..self.why(error).await })
            }
            Err(PoolError::Closed) => failed("the pool has been closed", Reason::Failed),
            Err(PoolError::Timeout(_)) => failed("the pool's own timeout elapsed", Reason::Timeout),
            Err(PoolError::NoRuntimeSpecified) => {
                failed("the pool has a timeout but was built without a runtime", Reason::Failed)
            }
            Err(PoolError::PostCreateHook(HookError::Message(message))) => {
                failed(&format!("the pool's own hook refused a new connection: {message}"), Reason::Rejected)
            }
        }
    }
}

impl<M: Manager> Clone for Deadpool<M> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), ..*self }
    }
}

/// A connection of the pool, or one beside the pool.
pub(crate) enum Session<M: Manager> {
    Pooled(Object<M>),
    Beside(Beside<M>),
}

/// A connection that the pool's manager opened, and that the pool does not manage.
pub(crate) struct Beside<M: Manager> {
    session: M::Type,
    pool: Pool<M>,
}

impl<M: Manager> Drop for Beside<M> {
    fn drop(&mut self) {
        // Managers track the connections that they open.
        self.pool.manager().detach(&mut self.session);
    }
}

impl<M: Manager> Deref for Session<M> {
    type Target = M::Type;

    fn deref(&self) -> &M::Type {
        match self {
            Self::Pooled(object) => object,
            Self::Beside(beside) => &beside.session,
        }
    }
}

impl<M> Source for Deadpool<M>
where
    M: Manager + 'static,
    M::Type: Sync,
    M::Error: Send + 'static,
{
    type Session = Session<M>;
    type Raw = M::Type;
    type Id = ObjectId;

    fn address(&self) -> usize {
        std::ptr::from_ref(self.pool.manager()).addr()
    }

    fn is_asked_beside(&self) -> bool {
        self.has_own_connection
    }

    /// The user may have room for only one more channel, and opening a second one would close the connection.
    fn is_asked_in_turn(&self) -> bool {
        self.has_own_connection
    }

    fn connects_uncancellably(&self) -> bool {
        self.has_own_connection
    }

    fn numbers(&self) -> Vec<(&'static str, usize, &'static str)> {
        let status = self.pool.status();
        vec![
            ("pool_max", status.max_size, "connections"),
            ("pool_size", status.size, "connections"),
            ("pool_available", status.available, "connections"),
            ("pool_waiting", status.waiting, "requests"),
        ]
    }

    fn has_connections(&self) -> bool {
        self.pool.status().size > 0
    }

    fn has_idle(&self) -> bool {
        self.pool.status().available > 0
    }

    async fn take(&self) -> Taken<Self> {
        let status = self.pool.status();
        if self.has_own_connection && status.available == 0 && status.size < status.max_size {
            return Taken::Beside;
        }
        self.taken(self.pool.timeout_get(&AT_ONCE).await).await
    }

    async fn wait(&self) -> Taken<Self> {
        self.taken(self.pool.timeout_get(&NO_TIMEOUTS).await).await
    }

    async fn connect(&self) -> Result<Connected<Self>, Failure> {
        let session = match self.pool.manager().create().await {
            Ok(session) => session,
            Err(error) => return Err(self.why(error).await),
        };
        Ok(Connected { session: Session::Beside(Beside { session, pool: self.pool.clone() }), is_new: true })
    }

    fn raw(session: &Session<M>) -> &M::Type {
        session
    }

    fn for_each_idle(&self, look: &mut dyn FnMut(&M::Type)) {
        if self.has_own_connection {
            drop(self.pool.retain(|connection, _| {
                look(connection);
                true
            }));
        }
    }

    fn id(session: &Session<M>) -> Option<ObjectId> {
        match session {
            Session::Pooled(object) => Some(Object::id(object)),
            Session::Beside(_) => None,
        }
    }

    fn discard(session: Session<M>) {
        if let Session::Pooled(object) = session {
            drop(Object::take(object));
        }
    }

    fn clear_idle(&self, unused_since: Instant) {
        // If round trips use a connection beside the pool, the application may have channels on idle connections.
        if !self.has_own_connection {
            drop(self.pool.retain(|_, metrics| metrics.recycled.unwrap_or(metrics.created) > unused_since));
        }
    }
}
