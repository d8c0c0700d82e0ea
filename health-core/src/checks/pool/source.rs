//! The interfaces between the check of a pool, the driver's pool, and the round trip of the check.

use std::{
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{check::outcome::Outcome, checks::failure::Failure};

/// The pool of a driver.
pub(crate) trait Source: Clone + Send + Sync + 'static {
    /// A connection of the pool, or one beside the pool. A dropped connection of the pool returns to the pool, and a
    /// dropped connection beside the pool is closed.
    type Session: Send + Sync + 'static;
    /// The driver's own type of a connection.
    type Raw: ?Sized;
    /// The identity of a connection.
    type Id: Copy + Eq + Hash + Send + Sync;

    /// Returns an address that no other pool has while this one exists.
    fn address(&self) -> usize;

    /// Returns whether round trips use a connection beside the pool. The pool's own connections are then only
    /// inspected.
    fn is_asked_beside(&self) -> bool {
        false
    }

    /// Returns whether a connection is used for one round trip at a time, because the server may have no room for
    /// more.
    fn is_asked_in_turn(&self) -> bool {
        false
    }

    /// Returns whether there is a server to which a connection beside the pool can be opened.
    fn has_server(&self) -> bool {
        true
    }

    /// Returns the time for which a connection beside the pool is kept after its last use.
    fn keeps_beside(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns the age after which a connection that is used in place of the pool is replaced, while the pool has
    /// connections.
    fn renews_beside_after(&self) -> Duration {
        Duration::MAX
    }

    /// Returns whether an attempt to connect continues after its future is dropped.
    fn connects_uncancellably(&self) -> bool {
        false
    }

    /// Returns the pool's numbers: name, value and unit.
    fn numbers(&self) -> Vec<(&'static str, usize, &'static str)>;

    /// Returns whether the pool has any connection, idle or in use.
    fn has_connections(&self) -> bool;

    /// Returns whether a connection is idle, so that [`take`](Self::take) does not connect.
    fn has_idle(&self) -> bool;

    /// Takes a connection, unless every place of the pool is in use.
    fn take(&self) -> impl Future<Output = Taken<Self>> + Send;

    /// Takes a connection, and waits for it in the pool's queue. If the pool's own timeout elapses, the result is
    /// [`Taken::Busy`], and the caller waits again.
    fn wait(&self) -> impl Future<Output = Taken<Self>> + Send;

    /// Opens a connection that the pool does not manage.
    fn connect(&self) -> impl Future<Output = Result<Connected<Self>, Failure>> + Send;

    /// Takes an idle connection out of the pool for good, if the pool has more of them than it needs.
    fn detach(&self) -> Option<Self::Session> {
        None
    }

    /// Returns the connection in the driver's own type.
    fn raw(session: &Self::Session) -> &Self::Raw;

    /// Calls a function with every idle connection of the pool.
    fn for_each_idle(&self, _look: &mut dyn FnMut(&Self::Raw)) {}

    /// Returns the identity of a connection of the pool.
    fn id(session: &Self::Session) -> Option<Self::Id>;

    /// Closes a connection and removes it from the pool.
    fn discard(session: Self::Session);

    /// Closes the idle connections that have not been used since this time.
    fn clear_idle(&self, unused_since: Instant);
}

/// The result of taking a connection of a pool.
pub(crate) enum Taken<S: Source> {
    Connection(Connected<S>),
    /// Every connection is in use, and the pool has no room for another one.
    Busy,
    /// The round trip must use a connection beside the pool, because the pool would have to connect, or has several
    /// idle connections.
    Beside,
    Failed(Failure),
}

/// A connection, and whether it was opened just now.
pub(crate) struct Connected<S: Source> {
    pub(crate) session: S::Session,
    pub(crate) is_new: bool,
}

/// A round trip to the server over one connection. Several checks may use one connection at the same time.
#[async_trait]
pub(crate) trait RoundTrip<S: Source>: Send + Sync {
    /// Performs the round trip and judges the answer.
    async fn ask(&self, session: &S::Session) -> Result<Outcome, Failure>;

    /// Inspects a connection of a pool whose round trips use a connection beside it. The finding holds until it
    /// returns `None`.
    fn look(&self, _connection: &S::Raw) -> Option<Remark> {
        None
    }

    /// Returns whether a refusal counts as the answer: the server has no room for a connection beside the pool, but
    /// the pool has connections to give.
    fn is_answered_by_refusal(&self) -> bool {
        false
    }
}

/// A finding on a connection of the pool. Returns the outcome of the finding, and `None` once it does not hold any
/// more.
pub(crate) type Remark = Arc<dyn Fn() -> Option<Outcome> + Send + Sync>;
