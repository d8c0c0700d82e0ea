//! The run of a check of a pool.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{check::deadline::time_left, checks::failure::Failure};

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// The run in progress: its times, and what it is doing, which is told if its time runs out.
pub(super) struct Run {
    pub(super) limit: Duration,
    pub(super) half: Instant,
    pub(super) end: Instant,
    /// Pools take the time of use from this clock.
    pub(super) began: std::time::Instant,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
pub(super) struct Progress {
    pub(super) doing: Doing,
    /// Why the question was not answered so far.
    pub(super) failure: Option<Failure>,
    /// Whether the pool is known to be busy, and its server to live.
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
            Self::AskingOld => "asking over an open connection of the pool",
            Self::AskingNew => "asking over a new connection of the pool",
            Self::AskingBeside => "asking over a connection beside the pool",
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
