//! What happened to a check before, in bounded memory.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use crate::{Reason, Status, Totals, clock::Nanos};

/// Results and transitions kept per check.
pub(crate) const KEPT: usize = 60;

/// A check's recent past: bounded, newest first.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct History {
    /// The last runs, at most 60.
    pub results: VecDeque<PastResult>,
    /// The last changes of status, at most 60.
    pub transitions: VecDeque<Transition>,
    /// How often the status has turned from good to Unhealthy or back, since the first result.
    pub flaps: u64,
    /// What was counted since the check was registered.
    pub totals: Totals,
    good: Nanos,
    total: Nanos,
    judged: Option<(Nanos, Status)>,
}

/// One run of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastResult {
    /// When it finished.
    pub at: SystemTime,
    /// Its own outcome, before thresholds.
    pub status: Status,
    /// The category of a bad outcome.
    pub reason: Option<Reason>,
    /// How long it took.
    pub duration: Duration,
}

/// One change of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// When.
    pub at: SystemTime,
    /// From what; `None` for the first verdict.
    pub from: Option<Status>,
    /// To what.
    pub to: Status,
    /// The category of a bad verdict.
    pub reason: Option<Reason>,
}

impl History {
    /// The share of time, from the first verdict to the last, in which the check was not Unhealthy: 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than a float's precision")]
    pub fn uptime_share(&self) -> f64 {
        if self.total == 0 {
            return match self.judged {
                Some((_, Status::Unhealthy)) | None => 0.0,
                Some(_) => 1.0,
            };
        }
        self.good as f64 / self.total as f64
    }

    pub(crate) fn ran(&mut self, at: SystemTime, status: Status, reason: Option<Reason>, duration: Duration) {
        self.results.truncate(KEPT - 1);
        self.results.push_front(PastResult { at, status, reason, duration });
        self.totals.ran(at, status, duration);
    }

    /// Notes the verdict at a moment; a change is a transition.
    pub(crate) fn judged(&mut self, now: Nanos, at: SystemTime, status: Status, reason: Option<Reason>) {
        let previous = self.judged.replace((now, status));
        if let Some((then, before)) = previous {
            let passed = now.saturating_sub(then);
            self.total = self.total.saturating_add(passed);
            if before != Status::Unhealthy {
                self.good = self.good.saturating_add(passed);
            }
        }
        let from = previous.map(|(_, status)| status);
        if from != Some(status) {
            self.transitions.truncate(KEPT - 1);
            self.transitions.push_front(Transition { at, from, to: status, reason });
            let turned = |from: Status| (from == Status::Unhealthy) != (status == Status::Unhealthy);
            self.totals.transitions += u64::from(from.is_some());
            self.flaps += u64::from(from.is_some_and(turned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::nanos;

    #[test]
    fn it_is_bounded_and_newest_first() {
        let mut history = History::default();
        for second in 0..200 {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            let status = if second % 2 == 0 { Status::Healthy } else { Status::Unhealthy };
            history.ran(at, status, None, Duration::ZERO);
            history.judged(nanos(Duration::from_secs(second)), at, status, None);
        }
        assert_eq!((history.results.len(), history.transitions.len()), (KEPT, KEPT));
        assert_eq!(history.results[0].at, SystemTime::UNIX_EPOCH + Duration::from_secs(199));
        assert_eq!(history.flaps, 199);
        assert!((history.uptime_share() - 100.0 / 199.0).abs() < 1e-9);
    }
}
