//! Records the time since which a pool has given no connection.

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

/// The saturation of a pool.
#[derive(Debug, Default)]
pub(super) struct Saturation(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The time since which the pool has had no connection for a run.
    unserved_since: Option<Instant>,
    has_served: bool,
}

impl Saturation {
    /// Records that a run waits for a connection.
    pub(super) fn waits(&self) {
        self.state().unserved_since.get_or_insert_with(Instant::now);
    }

    /// Records that a round trip was answered, or that the pool gave a connection over which no round trip follows.
    pub(super) fn serves(&self) {
        *self.state() = State { unserved_since: None, has_served: true };
    }

    /// Records that a round trip failed although the pool had a connection or room for one. This ends the saturation,
    /// unless the server itself has no room.
    pub(super) fn fails(&self, failure: &Failure) {
        if failure.reason != Reason::Saturated {
            self.state().unserved_since = None;
        }
    }

    /// Records the result of a round trip over the pool, or over a connection that the pool would have opened
    /// otherwise.
    pub(super) fn asked<T>(&self, answer: &Result<T, Failure>) {
        match answer {
            Ok(_) => self.serves(),
            Err(failure) => self.fails(failure),
        }
    }

    pub(super) fn has_served_nothing(&self) -> bool {
        !self.state().has_served
    }

    /// Worsens the outcome of a pool that has no free connection while its server is alive: to Degraded, and to
    /// Unhealthy once this state has lasted for the tolerated time.
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
