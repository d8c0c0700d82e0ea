//! Records whether a pool serves the runs of its checks, and the time since which it does not.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::{
    check::outcome::Outcome,
    checks::{failure::Failure, saturation::Saturation},
    model::status::Reason,
};

/// Whether a pool has ever served a run, and the start of its saturation.
#[derive(Debug, Default)]
pub(super) struct Serving {
    saturation: Saturation,
    has_served: AtomicBool,
}

impl Serving {
    /// Records that a run waits for a connection.
    pub(super) fn waits(&self) {
        self.saturation.begins();
    }

    /// Records that a round trip was answered, or that the pool gave a connection over which no round trip follows.
    pub(super) fn serves(&self) {
        self.saturation.ends();
        self.has_served.store(true, Ordering::Relaxed);
    }

    /// Records that a round trip failed although the pool had a connection or room for one. This ends the saturation,
    /// unless the server itself has no room.
    pub(super) fn fails(&self, failure: &Failure) {
        if failure.reason != Reason::Saturated {
            self.saturation.ends();
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
        !self.has_served.load(Ordering::Relaxed)
    }

    /// Worsens the outcome of a pool that has no free connection while its server is alive.
    pub(super) fn worsen(&self, outcome: Outcome, tolerated: Duration) -> Outcome {
        self.saturation.worsen(outcome, "the server answers, but the pool", tolerated)
    }
}
