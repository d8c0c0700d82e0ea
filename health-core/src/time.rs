//! The clock of the store: nanoseconds since its start to compute ages, and the system's wall clock for display.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// A point in time, in nanoseconds since the start of the clock.
pub(crate) type Nanos = u64;

/// The longest accepted duration, 366 days. Adding it to the current time of a clock does not overflow.
pub(crate) const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A point in time that is never reached.
pub(crate) const NEVER: Nanos = Nanos::MAX;

/// The clock of the store. Ages are computed with the monotonic clock. Times for display come from the system's wall
/// clock.
#[derive(Debug)]
pub(crate) enum Clock {
    /// Real time.
    Running { started: Instant },
    /// A clock that stands still until a test advances it.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "constructed by the testing feature"))]
    Frozen { started: SystemTime, elapsed: AtomicU64 },
}

impl Clock {
    /// Creates a clock that starts now.
    pub(crate) fn running() -> Self {
        Self::Running { started: Instant::now() }
    }

    /// Returns whether the clock stands still until a test advances it.
    pub(crate) fn is_frozen(&self) -> bool {
        matches!(self, Self::Frozen { .. })
    }

    /// Returns the nanoseconds since the start of the clock.
    pub(crate) fn now(&self) -> Nanos {
        match self {
            Self::Running { started } => nanos(started.elapsed()),
            Self::Frozen { elapsed, .. } => elapsed.load(Ordering::Acquire),
        }
    }

    /// Returns the wall-clock time.
    pub(crate) fn wall(&self) -> SystemTime {
        match self {
            Self::Running { .. } => SystemTime::now(),
            Self::Frozen { started, elapsed } => *started + Duration::from_nanos(elapsed.load(Ordering::Acquire)),
        }
    }
}

/// Converts a time to milliseconds since 1970, in 48 bits. Clamps a time before 1970 to 0, and a time after the year
/// 10889 to the greatest value.
pub(crate) fn unix_millis(at: SystemTime) -> u64 {
    let passed = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).min((1 << 48) - 1)
}

/// Converts milliseconds since 1970 to a time.
pub(crate) fn at_unix_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// Formats a time as RFC 3339 with milliseconds, in UTC. Clamps a time before 1970 to the start of 1970, and a time
/// after 9999, which the format cannot express, to the end of 9999.
pub(crate) fn rfc3339(at: SystemTime) -> Rfc3339 {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let passed = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LAST);
    let (days, second) = (passed.as_secs() / 86_400, passed.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    for (end, mut number) in [
        (4, year),
        (7, month),
        (10, day),
        (13, second / 3600),
        (16, second / 60 % 60),
        (19, second % 60),
        (23, u64::from(passed.subsec_millis())),
    ] {
        // Fills the digits from the right, up to the preceding separator.
        for digit in text[..end].iter_mut().rev().take_while(|digit| **digit == b'0') {
            *digit += u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    Rfc3339(text)
}

/// A time formatted as RFC 3339, without allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rfc3339([u8; 24]);

impl Rfc3339 {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Converts days since 1970 to year, month and day in the Gregorian calendar. The algorithm lets years begin in March,
/// so that the leap day is the last day of its year:
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn civil(days: u64) -> (u64, u64, u64) {
    // Days since 1 March of the year 0.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Converts a duration to nanoseconds. Saturates at 584 years, which is [`NEVER`].
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

/// Varies durations by ±10 %, so that instances do not run their checks at the same time.
pub(crate) struct Jitter(u64);

impl Jitter {
    /// Creates a generator with a random seed.
    pub(crate) fn new() -> Self {
        // Every `RandomState` has different keys, so it yields a seed without a dependency on a random number crate.
        Self(RandomState::new().build_hasher().finish() | 1)
    }

    /// Returns the duration, varied by ±10 %.
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rfc3339_agrees_with_humantime(seconds in 0_u64..253_402_300_800, millis in 0_u64..1_000) {
            let at = SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1_000 + millis);
            prop_assert_eq!(rfc3339(at).to_string(), humantime::format_rfc3339_millis(at).to_string());
        }
    }

    #[test]
    fn times_survive_a_round_trip_through_milliseconds() {
        let epoch = SystemTime::UNIX_EPOCH;
        for millis in [0, 1, 1_764_000_000_123] {
            assert_eq!(
                at_unix_millis(unix_millis(epoch + Duration::from_millis(millis))),
                epoch + Duration::from_millis(millis)
            );
        }
        assert_eq!(at_unix_millis(unix_millis(epoch - Duration::from_secs(1))), epoch);
        assert!(unix_millis(epoch + LONGEST * 9_000) < 1 << 48);
    }

    #[test]
    fn times_outside_rfc3339_are_clamped() {
        let (day, year) = (Duration::from_secs(86_400), Duration::from_secs(366 * 86_400));
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH - day).as_str(), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + year * 9_000).as_str(), "9999-12-31T23:59:59.000Z");
        let leap = SystemTime::UNIX_EPOCH + Duration::from_millis(951_782_400_123);
        assert_eq!(rfc3339(leap).as_str(), "2000-02-29T00:00:00.123Z");
    }

    #[test]
    fn jitter_varies_and_stays_within_ten_percent() {
        let mut jitter = Jitter::new();
        let spread: Vec<Duration> = (0..1000).map(|_| jitter.around(Duration::from_secs(10))).collect();
        assert!(spread.iter().all(|d| (Duration::from_secs(9)..=Duration::from_secs(11)).contains(d)));
        assert!(spread.iter().max() > spread.iter().min());
    }
}
