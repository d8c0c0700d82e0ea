//! The share of throttled periods over a window that is long enough to judge. This module does no I/O.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::checks::host::percent;

/// A window with this many new periods is long enough. So is a window as long as this many periods, because an idle
/// group has no periods.
const ENOUGH: u32 = 10;
/// The minimum duration of a window that is long enough by its time. A period lasts 100 ms by default.
const SHORTEST: Duration = Duration::from_secs(1);

/// The scheduler periods of a group since its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Periods {
    pub(super) all: u64,
    pub(super) throttled: u64,
    /// The duration of one period.
    pub(super) length: Duration,
}

/// The counted periods of every group with a quota at one point in time.
#[derive(Clone, Debug)]
struct Counts {
    at: Instant,
    groups: HashMap<PathBuf, Periods>,
}

impl Counts {
    /// Returns the periods of a group since these counts; `None` if the group is new or was created again.
    fn since(&self, folder: &PathBuf, now: Periods) -> Option<Periods> {
        let before = self.groups.get(folder)?;
        let (all, throttled) = (now.all.checked_sub(before.all)?, now.throttled.checked_sub(before.throttled)?);
        Some(Periods { all, throttled, length: now.length })
    }
}

/// The two latest counts with which a window can begin.
#[derive(Debug, Default)]
pub(super) struct Throttling {
    latest: Option<Counts>,
    earlier: Option<Counts>,
}

impl Throttling {
    /// Records the counts of a run and returns the greatest share of throttled periods of any group, in percent. A
    /// window that is too short to judge is joined to the window before it, so that a run shortly after another one
    /// has a share, too. Returns `None` until a window was long enough, and if no group has a quota.
    pub(super) fn share(&mut self, now: Instant, groups: HashMap<PathBuf, Periods>) -> Option<f64> {
        let Some(latest) = &self.latest else {
            self.latest = Some(Counts { at: now, groups });
            return None;
        };
        let longest = groups.values().map(|periods| periods.length.saturating_mul(ENOUGH)).max();
        let is_enough = now.saturating_duration_since(latest.at) >= longest.map_or(SHORTEST, |time| time.max(SHORTEST))
            || groups.iter().filter_map(|(folder, now)| latest.since(folder, *now)).any(|it| it.all >= ENOUGH.into());
        let begin = if is_enough { latest } else { self.earlier.as_ref()? };
        let shares = groups.iter().filter_map(|(folder, now)| {
            let window = begin.since(folder, *now)?;
            // A group that was idle had no period.
            Some(if window.all == 0 { 0.0 } else { percent(window.throttled, window.all) })
        });
        let worst = shares.max_by(f64::total_cmp);
        if is_enough {
            self.earlier = self.latest.replace(Counts { at: now, groups });
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(all: u64, throttled: u64) -> HashMap<PathBuf, Periods> {
        lasting(100, all, throttled)
    }

    fn lasting(ms: u64, all: u64, throttled: u64) -> HashMap<PathBuf, Periods> {
        HashMap::from([(PathBuf::from("group"), Periods { all, throttled, length: Duration::from_millis(ms) })])
    }

    #[test]
    fn a_group_with_long_periods_is_judged_over_ten_periods() {
        let began = Instant::now();
        let mut throttling = Throttling::default();
        for (seconds, all, throttled, expected) in [
            (0, 100, 89, None),
            (5, 105, 94, None),
            (10, 110, 98, Some(90.0)),
            // One run a second. One period in ten is not throttled.
            (11, 111, 98, Some(81.82)),
            (12, 112, 99, Some(83.33)),
            (19, 119, 106, Some(89.47)),
            (20, 120, 107, Some(90.0)),
            // Idle.
            (30, 120, 107, Some(0.0)),
        ] {
            let now = began + Duration::from_secs(seconds);
            assert_eq!(throttling.share(now, lasting(1_000, all, throttled)), expected, "at {seconds} s");
        }
    }

    #[test]
    fn a_window_that_is_too_short_is_joined_to_the_one_before() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut throttling = Throttling::default();
        for (ms, all, throttled, expected) in [
            (0, 1_000, 900, None),
            (50, 1_001, 901, None),
            // Long enough by its number of periods.
            (500, 1_100, 989, Some(89.0)),
            // No new period, then one, then a few.
            (510, 1_100, 989, Some(89.0)),
            (600, 1_101, 989, Some(88.12)),
            (900, 1_104, 990, Some(86.54)),
            // Long enough by its time, measured from the end of the last window that was long enough.
            (1_500, 1_105, 990, Some(20.0)),
            // An idle group has no periods.
            (6_500, 1_105, 990, Some(0.0)),
            (11_500, 1_155, 1_040, Some(100.0)),
            // The group was created again, so its counts restart.
            (16_500, 5, 0, None),
            (21_500, 55, 25, Some(50.0)),
        ] {
            assert_eq!(throttling.share(at(ms), counts(all, throttled)), expected, "at {ms} ms");
        }
    }

    #[test]
    fn without_a_quota_there_is_no_throttled_share() {
        let mut throttling = Throttling::default();
        for _ in 0..3 {
            assert_eq!(throttling.share(Instant::now(), HashMap::new()), None);
        }
    }
}
