//! What a driver's pool and a question are to the checks of a pool.

use std::{
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{check::outcome::Outcome, checks::failure::Failure};

/// The pool of a driver.
pub(crate) trait Source: Clone + Send + Sync + 'static {
    /// A connection of the pool, or one beside the pool. A dropped connection of the pool goes back to the pool; a dropped
    /// one beside the pool is closed.
    type Session: Send + Sync + 'static;
    /// A connection as the driver knows it.
    type Raw: ?Sized;
    /// What tells one connection from another.
    type Id: Copy + Eq + Hash + Send + Sync;

    /// Returns an address that no other pool has while this one lives.
    fn address(&self) -> usize;

    /// Returns whether questions are asked on a connection beside the pool, whose own connections are only looked at.
    fn is_asked_beside(&self) -> bool {
        false
    }

    /// Returns whether one question at a time is asked over a connection, as the server may have room for no more.
    fn is_asked_in_turn(&self) -> bool {
        false
    }

    /// Returns whether there is a server that can be asked beside the pool.
    fn has_server(&self) -> bool {
        true
    }

    /// Returns how long a connection beside the pool is kept after it was needed.
    fn keeps_beside(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns the age at which a connection that is asked instead of the pool is opened anew, while the pool has connections.
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

    /// Takes a connection; waits in the pool's queue for a place. Still busy, it is asked again: the pool's own patience is
    /// over.
    fn wait(&self) -> impl Future<Output = Taken<Self>> + Send;

    /// Opens a connection that the pool does not know of.
    fn connect(&self) -> impl Future<Output = Result<Connected<Self>, Failure>> + Send;

    /// Takes an idle connection out of the pool for good, if the pool has more of them than it needs.
    fn detach(&self) -> Option<Self::Session> {
        None
    }

    /// Returns the connection as the driver knows it.
    fn raw(session: &Self::Session) -> &Self::Raw;

    /// Shows every idle connection of the pool.
    fn for_each_idle(&self, _look: &mut dyn FnMut(&Self::Raw)) {}

    /// Returns the identity of a connection of the pool.
    fn id(session: &Self::Session) -> Option<Self::Id>;

    /// Closes a connection, which the pool forgets.
    fn discard(session: Self::Session);

    /// Closes the idle connections that nobody has used since this moment.
    fn clear_idle(&self, unused_since: Instant);
}

/// What a pool gives.
pub(crate) enum Taken<S: Source> {
    Connection(Connected<S>),
    /// Every place is in use.
    Busy,
    /// The pool leaves it to the check to ask beside it: it would have to connect, or has several idle connections.
    Beside,
    Failed(Failure),
}

/// A connection, and whether it was opened just now.
pub(crate) struct Connected<S: Source> {
    pub(crate) session: S::Session,
    pub(crate) is_new: bool,
}

/// A question to the server, asked over one connection. Questions of several checks may be asked over it at once.
#[async_trait]
pub(crate) trait RoundTrip<S: Source>: Send + Sync {
    /// Asks and judges the answer.
    async fn ask(&self, session: &S::Session) -> Result<Outcome, Failure>;

    /// Looks at a connection of a pool that is asked beside it. What is found holds until the remark takes it back.
    fn look(&self, _connection: &S::Raw) -> Option<Remark> {
        None
    }

    /// Returns whether it is answered by a server that refuses a connection beside the pool for want of room, while the
    /// pool has connections to give.
    fn is_answered_by_refusal(&self) -> bool {
        false
    }
}

/// What a connection of the pool has said, for as long as it holds.
pub(crate) type Remark = Arc<dyn Fn() -> Option<Outcome> + Send + Sync>;
