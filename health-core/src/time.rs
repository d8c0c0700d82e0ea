//! The clock of the store: nanoseconds since its start for ages, and the system's wall clock for display.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// A moment: nanoseconds since the start of the clock.
pub(crate) type Nanos = u64;

/// The longest accepted duration, 366 days. Adding it to the current time of a clock does not overflow.
pub(crate) const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A moment that never comes.
pub(crate) const NEVER: Nanos = Nanos::MAX;

/// The clock of the store. Ages come from the monotonic clock, times of day from the system's wall clock.
#[derive(Debug)]
pub(crate) enum Clock {
    /// Real time.
    Running { started: Instant },
    /// A time that stands still until a test moves it.
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

/// Formats a moment as RFC 3339 with milliseconds, in UTC. Clamps a moment before 1970 to the start of 1970, and one
/// after 9999, which the format cannot express, to the end of 9999.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(at.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST)).to_string()
}

/// Converts a duration to nanoseconds. Saturates at 584 years, which is [`NEVER`].
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

/// Varies durations by ±10 %, so that instances do not run their checks at the same moments.
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new() -> Self {
        // Every `RandomState` has different keys, so it yields a seed without a dependency on a random number crate.
        Self(RandomState::new().build_hasher().finish() | 1)
    }

    pub(crate) fn around(&mut self, duration: Duration) -> Duration {
        // xorshift64: random enough for jitter.
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
