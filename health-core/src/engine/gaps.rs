//! The times in which the status of every check was unknown: while the runtime was stalled, and while the machine was
//! suspended. The code reads no clock and does no I/O.

use std::{collections::VecDeque, ops::RangeInclusive, time::SystemTime};

use crate::{
    model::history::Span,
    time::{Nanos, unix_millis},
};

/// The largest number of gaps of each kind that are kept. A further gap replaces the earliest one, whose time then
/// counts as known.
const KEPT: usize = 60;

/// The steps of the wall clock ahead of the monotonic clock that count as a suspension, in milliseconds: from one
/// second to 30 days. Smaller steps are corrections of the wall clock. Greater steps come from a machine whose wall
/// clock was not set when it started.
const SUSPENDED_MILLIS: RangeInclusive<i128> = 1_000..=30 * 24 * 3_600_000;

/// The gaps of the recent past, oldest first.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// The beginnings and the ends of stalls.
    stalls: VecDeque<(Nanos, Nanos)>,
    /// For each suspension, the time at which it was noticed, and its length. The monotonic clock stands still during a
    /// suspension.
    suspensions: VecDeque<(Nanos, Nanos)>,
    /// The wall clock minus the monotonic clock at the last comparison, in milliseconds.
    offset: Option<i128>,
}

impl Gaps {
    /// Records a stall of the runtime. A later call with the same beginning extends the stall.
    pub(super) fn record_stall(&mut self, from: Nanos, to: Nanos) {
        match self.stalls.back_mut() {
            Some(last) if last.0 == from => last.1 = last.1.max(to),
            _ => push(&mut self.stalls, (from, to)),
        }
    }

    /// Records a suspension if the wall clock has advanced further than the monotonic clock since the last comparison.
    /// Returns whether a suspension was recorded.
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

    /// Splits the time between two records of a check into known and unknown time. The status of the first record is
    /// known until it expires.
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
    fn a_stall_is_unknown_time_even_before_a_result_expires() {
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
    fn a_suspension_is_unknown_time_and_a_clock_correction_is_not() {
        let mut gaps = Gaps::default();
        let mut compare =
            |second: u64, day: u64| gaps.compare(second * SECOND, SystemTime::UNIX_EPOCH + Duration::from_millis(day));
        let days = [(0, 1_000_000), (10, 1_010_000), (20, 1_020_900), (30, 1_020_000), (40, 1_030_000)];
        days.into_iter().for_each(|(second, day)| assert!(!compare(second, day)));
        assert!(compare(50, 1_130_000));
        assert_eq!(split(&gaps, 40, 50, u64::MAX), (10, 90));
        assert_eq!(split(&gaps, 50, 60, u64::MAX), (10, 0));
        assert_eq!(split(&gaps, 0, 40, u64::MAX), (40, 0));
        // The wall clock of a machine without a battery-backed clock is set for the first time.
        assert!(!gaps.compare(60 * SECOND, SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000)));
        assert_eq!(split(&gaps, 50, 60, u64::MAX), (10, 0));
    }

    proptest! {
        /// Known and unknown time add up to the time that passed, whatever the gaps are.
        #[test]
        fn known_and_unknown_time_add_up_to_the_time_that_passed(
            stalls in prop::collection::vec((0_u64..1_000, 0_u64..100), 0..10),
            from in 0_u64..1_000,
            length in 0_u64..500,
            expires_at in 0_u64..2_000,
        ) {
            let mut gaps = Gaps::default();
            // Stalls do not overlap.
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
