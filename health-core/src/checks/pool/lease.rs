//! A connection in use by the runs of one or several checks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::source::{Connected, RoundTrip, Source};
use crate::{
    check::{deadline::time_left, outcome::Outcome},
    checks::failure::Failure,
};

/// A connection in use. The last user returns it to the pool. The connection is closed instead if a round trip over it
/// failed, or was dropped because the run was cancelled or another answer came first: its next user would receive the
/// answer to an earlier request.
pub(super) struct Lease<S: Source> {
    session: Option<S::Session>,
    is_new: AtomicBool,
    is_sound: AtomicBool,
    is_of_the_pool: bool,
    begins: Instant,
    /// Held during a round trip if the server may have room for only one at a time. A round trip waits for it for a
    /// quarter of the time left at most.
    in_turn: Option<Mutex<()>>,
}

impl<S: Source> Lease<S> {
    pub(super) fn new(connected: Connected<S>, source: &S) -> Arc<Self> {
        Self::build(connected, false, source)
    }

    /// Creates the lease of a connection that was taken out of the pool for good.
    pub(super) fn detached(session: S::Session, source: &S) -> Arc<Self> {
        Self::build(Connected { session, is_new: false }, true, source)
    }

    fn build(connected: Connected<S>, is_of_the_pool: bool, source: &S) -> Arc<Self> {
        let Connected { session, is_new } = connected;
        Arc::new(Self {
            session: Some(session),
            is_new: is_new.into(),
            is_sound: true.into(),
            is_of_the_pool,
            begins: Instant::now(),
            in_turn: source.is_asked_in_turn().then(Mutex::default),
        })
    }

    /// Returns the time for which checks have used the connection.
    pub(super) fn age(&self) -> Duration {
        self.begins.elapsed()
    }

    pub(super) fn is_of_the_pool(&self) -> bool {
        self.is_of_the_pool
    }

    /// Returns the connection.
    ///
    /// # Panics
    ///
    /// Never panics: only `drop` takes the connection.
    pub(super) fn session(&self) -> &S::Session {
        self.session.as_ref().expect("a lease has its connection until it is dropped")
    }

    /// Returns whether the connection was opened for this lease and has had no answer yet.
    pub(super) fn is_new(&self) -> bool {
        self.is_new.load(Ordering::Relaxed)
    }

    pub(super) fn is_sound(&self) -> bool {
        self.is_sound.load(Ordering::Relaxed)
    }

    pub(super) async fn ask(&self, trip: &impl RoundTrip<S>) -> Result<Outcome, Failure> {
        // A round trip without an answer must not keep the others from starting.
        let patience = time_left().unwrap_or_default() / 4;
        let _turn = match &self.in_turn {
            Some(turn) => timeout(patience, turn.lock()).await.ok(),
            None => None,
        };
        let mut question = Question { lease: self, is_over: false };
        let answer = trip.ask(self.session()).await;
        question.is_over = !answer.as_ref().is_err_and(|failure| failure.is_broken);
        if question.is_over {
            self.is_new.store(false, Ordering::Relaxed);
        }
        answer
    }
}

/// A round trip in progress. If it is dropped before its end, the connection is unusable.
struct Question<'a, S: Source> {
    lease: &'a Lease<S>,
    is_over: bool,
}

impl<S: Source> Drop for Question<'_, S> {
    fn drop(&mut self) {
        if !self.is_over {
            self.lease.is_sound.store(false, Ordering::Relaxed);
        }
    }
}

impl<S: Source> Drop for Lease<S> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && !self.is_sound()
        {
            S::discard(session);
        }
    }
}
