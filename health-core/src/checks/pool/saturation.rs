//! Since when a pool has served nobody.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    check::outcome::Outcome,
    checks::failure::Failure,
    model::status::{Reason, Status},
};

/// What is known of a pool's saturation.
#[derive(Debug, Default)]
pub(super) struct Saturation(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when the pool has had no connection for a run that asked.
    unserved_since: Option<Instant>,
    has_served: bool,
}

impl Saturation {
    /// Remembers that a run waits for a connection.
    pub(super) fn waits(&self) {
        self.state().unserved_since.get_or_insert_with(Instant::now);
    }

    /// Remembers that a question was answered, or that a connection was given that nobody wanted any more.
    pub(super) fn serves(&self) {
        *self.state() = State { unserved_since: None, has_served: true };
    }

    /// Remembers that a question failed although the pool had room for it; unless the server has none, that is another matter
    /// than saturation.
    pub(super) fn fails(&self, failure: &Failure) {
        if failure.reason != Reason::Saturated {
            self.state().unserved_since = None;
        }
    }

    /// Remembers the outcome of a question over the pool, or over a connection that the pool would have opened.
    pub(super) fn asked<T>(&self, answer: &Result<T, Failure>) {
        match answer {
            Ok(_) => self.serves(),
            Err(failure) => self.fails(failure),
        }
    }

    pub(super) fn has_served_nothing(&self) -> bool {
        !self.state().has_served
    }

    /// Worsens the outcome of a pool that serves nobody while its server lives: Degraded, and Unhealthy once that has
    /// lasted for the tolerated time.
    pub(super) fn worsen(&self, outcome: Outcome, tolerated: Duration) -> Outcome {
        let lasted = self.state().unserved_since.get_or_insert_with(Instant::now).elapsed();
        let message =
            format!("the server answers, but the pool has had no free connection for {:.1} s", lasted.as_secs_f64());
        let status = if lasted >= tolerated { Status::Unhealthy } else { Status::Degraded };
        outcome.worsened(status, Reason::Saturated, message)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
