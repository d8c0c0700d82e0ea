//! One run of a check of a pool.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{check::deadline::time_left, checks::failure::Failure};

/// The deadline of a run that the scheduler did not start.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// The run in progress: its times, and its current step, which the message names if the time runs out.
pub(super) struct Run {
    pub(super) limit: Duration,
    pub(super) half: Instant,
    pub(super) end: Instant,
    /// The start, on the clock by which pools record the last use of a connection.
    pub(super) began: std::time::Instant,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
pub(super) struct Progress {
    pub(super) doing: Doing,
    /// The last failure, which explains why there is no answer so far.
    pub(super) failure: Option<Failure>,
    /// Whether the pool is known to be busy and its server to be alive.
    pub(super) is_saturated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Taking,
    AskingOld,
    AskingNew,
    AskingBeside,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taking => "taking a connection of the pool",
            Self::AskingOld => "waiting for an answer over an open connection of the pool",
            Self::AskingNew => "waiting for an answer over a new connection of the pool",
            Self::AskingBeside => "connecting or waiting for an answer beside the pool",
        })
    }
}

impl Run {
    pub(super) fn begin() -> Self {
        let limit = time_left().unwrap_or(DEFAULT_LIMIT);
        let progress = Mutex::new(Progress { doing: Doing::Taking, failure: None, is_saturated: false });
        let now = Instant::now();
        Self { limit, half: now + limit / 2, end: now + limit, began: std::time::Instant::now(), progress }
    }

    pub(super) fn does(&self, doing: Doing) {
        self.progress().doing = doing;
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
