//! One clock for everything a board records: nanoseconds since its start, and the wall clock for display.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// A moment: nanoseconds since the start of the board.
pub(crate) type Nanos = u64;

/// The longest duration in use, 366 days. It can be added to any moment of a clock.
pub(crate) const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

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

/// Spreads instances over time: ±10 %.
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new() -> Self {
        // Every `RandomState` is keyed differently: a source of seeds without a dependency.
        Self(RandomState::new().build_hasher().finish() | 1)
    }

    pub(crate) fn around(&mut self, duration: Duration) -> Duration {
        // xorshift64: plenty for spreading.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let thousandths = u32::try_from(self.0 % 201).unwrap_or(100);
        duration * (900 + thousandths) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_tenth_and_moves() {
        let mut jitter = Jitter::new();
        let spread: Vec<Duration> = (0..1000).map(|_| jitter.around(Duration::from_secs(10))).collect();
        assert!(spread.iter().all(|d| (Duration::from_secs(9)..=Duration::from_secs(11)).contains(d)));
        assert!(spread.iter().max() > spread.iter().min());
    }
}
