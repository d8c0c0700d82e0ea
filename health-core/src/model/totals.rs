//! Counts of a check for metrics, from its registration on. The counts are never reset.

use std::time::{Duration, SystemTime};

use crate::model::status::Status;

/// The counts of one check since it was registered.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Totals {
    /// The number of finished runs by their own status, before thresholds: Healthy, Degraded, Unhealthy.
    pub(crate) runs: [u64; 3],
    /// The number of changes of the check's status. The first status is not counted.
    pub(crate) transitions: u64,
    /// The time of the last successful run (Healthy or Degraded); `None` if there was none.
    pub(crate) last_success: Option<SystemTime>,
    /// The durations of the finished runs.
    pub(crate) durations: Durations,
}

/// A histogram of the durations of runs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Durations {
    /// The number of runs per bucket. A bucket counts the runs that took at most the bound at the same position of
    /// [`BOUNDS`](Self::BOUNDS) and longer than the previous bound. The last bucket counts the runs longer than every
    /// bound.
    pub(crate) counts: [u64; Durations::BOUNDS.len() + 1],
    /// The sum of the durations of all runs.
    pub(crate) sum: Duration,
}

impl Durations {
    /// The upper bounds of the buckets: from 1 ms, enough for a query on an open connection, to 5 s, which only a long
    /// deadline allows.
    pub(crate) const BOUNDS: [Duration; 12] = [
        Duration::from_millis(1),
        Duration::from_micros(2_500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2_500),
        Duration::from_secs(5),
    ];

    /// Returns the upper bounds of the buckets in ascending order: 1, 2.5, 5, 10, 25, 50, 100, 250 and 500 ms, 1, 2.5
    /// and 5 s. The last bucket has no bound.
    #[must_use]
    pub fn bounds() -> &'static [Duration] {
        &Self::BOUNDS
    }

    /// Iterates over the buckets in ascending order: the inclusive upper bound, and the number of runs that took at
    /// most this bound and longer than the previous one. The last bucket has no bound. The counts are not cumulative.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        Self::BOUNDS.into_iter().map(Some).chain([None]).zip(self.counts)
    }

    /// Returns the number of runs.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the sum of the durations of all runs.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Records the duration of a run.
    pub(crate) fn record(&mut self, duration: Duration) {
        let position = Self::BOUNDS.iter().position(|bound| duration <= *bound).unwrap_or(Self::BOUNDS.len());
        self.counts[position] += 1;
        self.sum = self.sum.saturating_add(duration);
    }
}

impl Totals {
    /// Returns the number of finished runs with this status, before thresholds.
    #[must_use]
    pub fn runs(&self, status: Status) -> u64 {
        self.runs[status as usize]
    }

    /// Returns the number of changes of the check's status. The first status is not counted.
    #[must_use]
    pub fn transitions(&self) -> u64 {
        self.transitions
    }

    /// Returns the time of the last successful run (Healthy or Degraded); `None` if there was none.
    #[must_use]
    pub fn last_success(&self) -> Option<SystemTime> {
        self.last_success
    }

    /// Returns the histogram of the durations of the finished runs.
    #[must_use]
    pub fn durations(&self) -> &Durations {
        &self.durations
    }

    /// Records a finished run.
    pub(crate) fn record_run(&mut self, at: SystemTime, status: Status, duration: Duration) {
        self.runs[status as usize] += 1;
        if status < Status::Unhealthy {
            self.last_success = Some(at);
        }
        self.durations.record(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_includes_its_upper_bound() {
        let mut totals = Totals::default();
        for (millis, status) in
            [(1, Status::Healthy), (2, Status::Degraded), (5_000, Status::Unhealthy), (5_001, Status::Unhealthy)]
        {
            totals.record_run(
                SystemTime::UNIX_EPOCH + Duration::from_millis(millis),
                status,
                Duration::from_millis(millis),
            );
        }
        assert_eq!(totals.durations.counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(totals.durations.sum, Duration::from_millis(10_004));
        assert_eq!(totals.runs, [1, 1, 2]);
        assert_eq!(totals.last_success, Some(SystemTime::UNIX_EPOCH + Duration::from_millis(2)));
        assert!(Durations::BOUNDS.is_sorted());
    }
}
