//! One clock for everything a board records: nanoseconds since its start, and the wall clock for display.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// A moment: nanoseconds since the start of the board.
pub(crate) type Nanos = u64;

/// A moment that never comes.
pub(crate) const NEVER: Nanos = Nanos::MAX;

/// Ages come from the monotonic clock, times of day from the system's.
#[derive(Debug)]
pub(crate) enum Clock {
    /// Time passes.
    Running { started: Instant },
    /// Time stands still until a test moves it.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "constructed by the testing feature"))]
    Frozen { started: SystemTime, elapsed: AtomicU64 },
}

impl Clock {
    pub(crate) fn running() -> Self {
        Self::Running { started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Nanos {
        match self {
            Self::Running { started } => nanos(started.elapsed()),
            Self::Frozen { elapsed, .. } => elapsed.load(Ordering::Acquire),
        }
    }

    pub(crate) fn wall(&self) -> SystemTime {
        match self {
            Self::Running { .. } => SystemTime::now(),
            Self::Frozen { started, elapsed } => *started + Duration::from_nanos(elapsed.load(Ordering::Acquire)),
        }
    }
}

/// RFC 3339 with milliseconds, in UTC. A moment before 1970 is taken for 1970, and one after 9999, which the format
/// cannot write, for the end of that year.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(at.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST)).to_string()
}

/// A duration in nanoseconds; more than 584 years is taken for that.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(NEVER)
}
