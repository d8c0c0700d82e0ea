//! The share of throttled periods over a window that is long enough to judge. Pure.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::checks::host::percent;

/// A window of so many new periods, or so much time, is long enough. A period lasts 100 ms by default.
const ENOUGH_PERIODS: u64 = 10;
const ENOUGH_TIME: Duration = Duration::from_secs(1);

/// The scheduler's periods since the group was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Periods {
    pub(super) all: u64,
    pub(super) throttled: u64,
}

/// The periods of every group with a quota at one moment.
#[derive(Clone, Debug)]
struct Counts {
    at: Instant,
    groups: HashMap<PathBuf, Periods>,
}

impl Counts {
    /// Returns the periods of a group since these counts; `None` if the group is new or was made anew.
    fn since(&self, folder: &PathBuf, now: Periods) -> Option<Periods> {
        let before = self.groups.get(folder)?;
        Some(Periods { all: now.all.checked_sub(before.all)?, throttled: now.throttled.checked_sub(before.throttled)? })
    }
}

/// The last two counts that a window can begin with.
#[derive(Debug, Default)]
pub(super) struct Throttling {
    latest: Option<Counts>,
    earlier: Option<Counts>,
}

impl Throttling {
    /// Records the counts of a run and returns the greatest share of throttled periods of a group, in percent. A window
    /// that is too short to judge is joined to the one before, so that a run shortly after another one does not find
    /// nothing. Returns `None` until there was a window that is long enough, and if there is no group with a quota.
    pub(super) fn share(&mut self, now: Instant, groups: HashMap<PathBuf, Periods>) -> Option<f64> {
        let Some(latest) = &self.latest else {
            self.latest = Some(Counts { at: now, groups });
            return None;
        };
        let is_enough = now.saturating_duration_since(latest.at) >= ENOUGH_TIME
            || groups.iter().filter_map(|(folder, now)| latest.since(folder, *now)).any(|it| it.all >= ENOUGH_PERIODS);
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
        HashMap::from([(PathBuf::from("group"), Periods { all, throttled })])
    }

    #[test]
    fn a_window_that_is_too_short_is_joined_to_the_one_before() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut throttling = Throttling::default();
        for (ms, all, throttled, expected) in [
            (0, 1_000, 900, None),
            (50, 1_001, 901, None),
            // Long enough by its periods.
            (500, 1_100, 989, Some(89.0)),
            // No period since, one, and a few.
            (510, 1_100, 989, Some(89.0)),
            (600, 1_101, 989, Some(88.12)),
            (900, 1_104, 990, Some(86.54)),
            // Long enough by its time, since the last one that was.
            (1_500, 1_105, 990, Some(20.0)),
            // An idle group has no periods.
            (6_500, 1_105, 990, Some(0.0)),
            (11_500, 1_155, 1_040, Some(100.0)),
            // Made anew: the counts begin anew.
            (16_500, 5, 0, None),
            (21_500, 55, 25, Some(50.0)),
        ] {
            assert_eq!(throttling.share(at(ms), counts(all, throttled)), expected, "at {ms} ms");
        }
    }

    #[test]
    fn without_a_quota_there_is_no_share() {
        let mut throttling = Throttling::default();
        for _ in 0..3 {
            assert_eq!(throttling.share(Instant::now(), HashMap::new()), None);
        }
    }
}
