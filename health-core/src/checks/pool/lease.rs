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

/// A connection in use. The last user gives it back. If a question over it was dropped, because the run was cancelled or
/// another answer came first, or if it failed, the connection is closed: from the pool, its next user would receive the
/// answer to an earlier question.
pub(super) struct Lease<S: Source> {
    session: Option<S::Session>,
    is_new: AtomicBool,
    is_sound: AtomicBool,
    is_of_the_pool: bool,
    begins: Instant,
    /// Held by the question that is asked, where the server may have room for one at a time only. Waited for up to a quarter of
    /// the time left.
    in_turn: Option<Mutex<()>>,
}

impl<S: Source> Lease<S> {
    pub(super) fn new(connected: Connected<S>, source: &S) -> Arc<Self> {
        Self::build(connected, false, source)
    }

    /// A connection that was taken out of the pool for good.
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

    /// Returns how long it has been in use by checks.
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
    /// Never: only dropping takes it.
    pub(super) fn session(&self) -> &S::Session {
        self.session.as_ref().expect("a connection until it is dropped")
    }

    /// Returns whether no question has been answered over it yet, and it was opened just now.
    pub(super) fn is_new(&self) -> bool {
        self.is_new.load(Ordering::Relaxed)
    }

    pub(super) fn is_sound(&self) -> bool {
        self.is_sound.load(Ordering::Relaxed)
    }

    pub(super) async fn ask(&self, trip: &impl RoundTrip<S>) -> Result<Outcome, Failure> {
        // One that gets no answer must not keep the others from asking.
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

/// A question in progress. Dropped before it is over, it leaves an unusable connection.
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
