//! The tally: the number of checks that count with each status. It gives a verdict without a walk over all checks.

use crate::model::status::Status;

/// The number of checks that count with each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    counted: [usize; 3],
    /// The number of these checks whose own status is unknown: pending or stale.
    unknown: [usize; 3],
}

impl Tally {
    /// Adds a check that counts with the status `counted`. `is_unknown` is `true` if its own status is unknown.
    pub(super) fn add(&mut self, counted: Status, is_unknown: bool) {
        self.counted[counted as usize] += 1;
        self.unknown[counted as usize] += usize::from(is_unknown);
    }

    /// Removes a check that [`add`](Self::add) added with the same arguments.
    pub(super) fn remove(&mut self, counted: Status, is_unknown: bool) {
        self.counted[counted as usize] -= 1;
        self.unknown[counted as usize] -= usize::from(is_unknown);
    }

    /// The worst status with which a check counts; Healthy if there is no check.
    pub(super) fn worst(&self) -> Status {
        let counts = |status: &&Status| self.counted[**status as usize] > 0;
        Status::ALL.iter().rev().find(counts).copied().unwrap_or(Status::Healthy)
    }

    /// The number of checks by status: Healthy, Degraded, Unhealthy.
    pub(super) fn counts(&self) -> [usize; 3] {
        self.counted
    }

    /// Whether every check that counts with the worst status has an unknown status of its own.
    pub(super) fn worst_is_unknown(&self) -> bool {
        let worst = self.worst() as usize;
        self.unknown[worst] == self.counted[worst]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_status_ignores_removed_checks() {
        let mut tally = Tally::default();
        assert_eq!(tally.worst(), Status::Healthy);
        tally.add(Status::Healthy, false);
        tally.add(Status::Unhealthy, true);
        tally.add(Status::Degraded, false);
        assert_eq!((tally.worst(), tally.worst_is_unknown()), (Status::Unhealthy, true));
        tally.add(Status::Unhealthy, false);
        assert!(!tally.worst_is_unknown());
        tally.remove(Status::Unhealthy, true);
        tally.remove(Status::Unhealthy, false);
        assert_eq!((tally.worst(), tally.worst_is_unknown()), (Status::Degraded, false));
    }
}
