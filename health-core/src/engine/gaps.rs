//! The times in which nothing was known about any check: while the runtime was stalled, and while the machine was suspended.
//! Pure.

use std::{collections::VecDeque, ops::RangeInclusive, time::SystemTime};

use crate::{
    model::history::Span,
    time::{Nanos, unix_millis},
};

/// The most gaps that are kept. Beyond them the earliest are forgotten, and count as known.
const KEPT: usize = 60;

/// The steps of the time of day against the monotonic clock, in milliseconds, that count as a suspension: of a second to 30
/// days. Smaller ones come from corrections of the time of day, and greater ones from a machine that did not know it.
const SUSPENDED_MILLIS: RangeInclusive<i128> = 1_000..=30 * 24 * 3_600_000;

/// The gaps of the recent past, oldest first.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    stalls: VecDeque<(Nanos, Nanos)>,
    /// The moments after suspensions, in which the monotonic clock stands still, and their lengths.
    suspensions: VecDeque<(Nanos, Nanos)>,
    /// The time of day less the monotonic clock, in milliseconds.
    offset: Option<i128>,
}

impl Gaps {
    /// Records that the runtime was stalled. A later call with the same beginning replaces the end.
    pub(super) fn record_stall(&mut self, from: Nanos, to: Nanos) {
        match self.stalls.back_mut() {
            Some(last) if last.0 == from => last.1 = last.1.max(to),
            _ => push(&mut self.stalls, (from, to)),
        }
    }

    /// Compares the two clocks, and records a suspension if the time of day has run ahead. Returns whether it has.
    pub(super) fn compare(&mut self, now: Nanos, at: SystemTime) -> bool {
        let offset = i128::from(unix_millis(at)) - i128::from(now / 1_000_000);
        let ahead = offset - self.offset.replace(offset).unwrap_or(offset);
        let is_suspension = SUSPENDED_MILLIS.contains(&ahead);
        if is_suspension {
            let length = u64::try_from(ahead).unwrap_or(u64::MAX).saturating_mul(1_000_000);
            push(&mut self.suspensions, (now, length));
        }
        is_suspension
    }

    /// Splits the time from one record of a check to the next. The status of the first is known until it expires.
    pub(super) fn split(&self, from: Nanos, to: Nanos, expires_at: Nanos) -> Span {
        let passed = to.saturating_sub(from);
        let end = to.min(expires_at).max(from);
        let overlap = |(begin, stop): &(Nanos, Nanos)| stop.min(&end).saturating_sub(*begin.max(&from));
        let stalled = self.stalls.iter().map(overlap).fold(0, Nanos::saturating_add);
        let known = (end - from).saturating_sub(stalled);
        let within = self.suspensions.iter().filter(|(after, _)| from < *after && *after <= to);
        let suspended = within.map(|(_, length)| *length).fold(0, Nanos::saturating_add);
        Span { known, unknown: (passed - known).saturating_add(suspended) }
    }
}

fn push(gaps: &mut VecDeque<(Nanos, Nanos)>, gap: (Nanos, Nanos)) {
    if gaps.len() == KEPT {
        gaps.pop_front();
    }
    gaps.push_back(gap);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn split(gaps: &Gaps, from: u64, to: u64, expires_at: u64) -> (u64, u64) {
        let span = gaps.split(from * SECOND, to * SECOND, expires_at.saturating_mul(SECOND));
        (span.known / SECOND, span.unknown / SECOND)
    }

    #[test]
    fn the_time_after_a_result_expired_is_unknown() {
        let gaps = Gaps::default();
        assert_eq!(split(&gaps, 10, 15, 27), (5, 0));
        assert_eq!(split(&gaps, 10, 100, 27), (17, 73));
        assert_eq!(split(&gaps, 10, 15, u64::MAX), (5, 0));
        assert_eq!(split(&gaps, 10, 15, 3), (0, 5));
    }

    #[test]
    fn a_stall_is_unknown_even_before_a_result_expires() {
        let mut gaps = Gaps::default();
        gaps.record_stall(40 * SECOND, 60 * SECOND);
        gaps.record_stall(40 * SECOND, 70 * SECOND);
        assert_eq!(split(&gaps, 10, 100, u64::MAX), (60, 30));
        assert_eq!(split(&gaps, 10, 100, 50), (30, 60));
        assert_eq!(split(&gaps, 50, 60, u64::MAX), (0, 10));
        assert_eq!(split(&gaps, 70, 80, u64::MAX), (10, 0));
    }

    /// The monotonic clock stands still while the machine is suspended.
    #[test]
    fn a_suspension_is_unknown_and_a_corrected_time_of_day_is_not() {
        let mut gaps = Gaps::default();
        let mut compare =
            |second: u64, day: u64| gaps.compare(second * SECOND, SystemTime::UNIX_EPOCH + Duration::from_millis(day));
        let days = [(0, 1_000_000), (10, 1_010_000), (20, 1_020_900), (30, 1_020_000), (40, 1_030_000)];
        days.into_iter().for_each(|(second, day)| assert!(!compare(second, day)));
        assert!(compare(50, 1_130_000));
        assert_eq!(split(&gaps, 40, 50, u64::MAX), (10, 90));
        assert_eq!(split(&gaps, 50, 60, u64::MAX), (10, 0));
        assert_eq!(split(&gaps, 0, 40, u64::MAX), (40, 0));
        // The first time of day that a board without a clock hears of.
        assert!(!gaps.compare(60 * SECOND, SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000)));
        assert_eq!(split(&gaps, 50, 60, u64::MAX), (10, 0));
    }

    proptest! {
        /// What is known and what is unknown add up to the time that passed, whatever the gaps are.
        #[test]
        fn no_time_is_lost_and_none_is_invented(
            stalls in prop::collection::vec((0_u64..1_000, 0_u64..100), 0..10),
            from in 0_u64..1_000,
            length in 0_u64..500,
            expires_at in 0_u64..2_000,
        ) {
            let mut gaps = Gaps::default();
            // Stalls follow each other.
            let mut clock = 0;
            for (pause, stall) in stalls {
                gaps.record_stall(clock + pause, clock + pause + stall);
                clock += pause + stall + 1;
            }
            let span = gaps.split(from, from + length, expires_at);
            prop_assert_eq!(span.known + span.unknown, length);
            prop_assert!(span.known <= expires_at.saturating_sub(from).min(length));
        }
    }
}
