//! The change tracker: finds the changes that a receiver does not know yet. It compares the state of which the receiver
//! was notified with the current state. It does no I/O.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
    time::SystemTime,
};

use crate::model::{
    change::CheckChange,
    report::{CheckReport, Report},
    status::{Reason, Status, Visibility},
};

/// The state of the service as a receiver knows it, or will know it once the queued notifications are delivered.
#[derive(Debug)]
pub(super) struct ChangeTracker {
    visibility: Visibility,
    /// The checks that are bad in the state of the receiver, each with its status and the time of the change. All other
    /// checks are Healthy in the state of the receiver.
    bad: HashMap<Arc<str>, (Status, SystemTime)>,
    /// The checks that were stale at the last poll.
    stale: HashSet<Arc<str>>,
    /// The checks that were stale at the last two polls.
    lasting: HashSet<Arc<str>>,
    /// The status of the service in the state of the receiver. Used if the visibility shows no checks.
    status: Status,
}

/// A change to notify the receiver of.
#[derive(Clone, Debug)]
pub(super) enum Notification {
    /// The change of a check.
    Check(CheckChange),
    /// A change of the status of the service, if the visibility shows no checks.
    Status,
}

impl Notification {
    pub(super) fn check(&self) -> Option<&CheckChange> {
        match self {
            Self::Check(change) => Some(change),
            Self::Status => None,
        }
    }
}

impl ChangeTracker {
    pub(super) fn new(visibility: Visibility) -> Self {
        let status = Status::Healthy;
        Self { visibility, bad: HashMap::new(), stale: HashSet::new(), lasting: HashSet::new(), status }
    }

    /// Records the change of a check. Returns `None` if the receiver already knows the new status. At the beginning
    /// every check is Healthy in the state of the receiver.
    pub(super) fn record_change(&mut self, change: CheckChange) -> Option<Notification> {
        if self.visibility < Visibility::Checks {
            return None;
        }
        let is_new = self.remember(&change.check, change.to, change.at) != change.to;
        is_new.then_some(Notification::Check(change))
    }

    /// Returns the changes without an event: checks that were bad before the first change, results that expired, new
    /// results after expired ones, and bad checks that were removed.
    ///
    /// A result counts as stale only at the second poll in a row that finds it stale, because a machine that was
    /// suspended resumes with stale results and has new ones immediately afterwards.
    pub(super) fn poll(&mut self, report: &Report, at: SystemTime) -> Vec<Notification> {
        let stale: HashSet<_> =
            report.checks.iter().filter(|check| is_stale(check)).map(|check| Arc::clone(&check.name)).collect();
        self.lasting = stale.intersection(&self.stale).cloned().collect();
        self.stale = stale;
        if self.visibility < Visibility::Checks {
            return Vec::new();
        }
        let mut notifications = Vec::new();
        for check in &report.checks {
            let is_known = check.reason != Some(Reason::Pending) && !self.is_newly_stale(check);
            let before = self.bad.get(&check.name).copied();
            // `since` does not change when a result becomes stale or fresh.
            let since = check.since.filter(|since| !is_stale(check) && before.is_none_or(|(_, known)| *since > known));
            let at = since.unwrap_or(at);
            if is_known && self.remember(&check.name, check.status, at) != check.status {
                notifications.push(Notification::Check(change(check, before.map(|(status, _)| status), at)));
            }
        }
        self.bad.retain(|name, (from, _)| {
            let exists = report.check(name).is_some();
            if !exists {
                notifications.push(Notification::Check(removal(name, *from, at)));
            }
            exists
        });
        notifications
    }

    /// Records the status of the service, if the visibility shows no checks. Returns `None` if the receiver already
    /// knows the status, or if a result is stale for the first poll.
    pub(super) fn record_status(&mut self, known: &Report) -> Option<Notification> {
        if self.visibility >= Visibility::Checks || known.checks.iter().any(|check| self.is_newly_stale(check)) {
            return None;
        }
        let is_new = mem::replace(&mut self.status, known.status) != known.status;
        is_new.then_some(Notification::Status)
    }

    fn is_newly_stale(&self, check: &CheckReport) -> bool {
        is_stale(check) && !self.lasting.contains(&check.name)
    }

    /// Stores the status of a check in the state of the receiver, and returns the previous status.
    fn remember(&mut self, check: &Arc<str>, status: Status, at: SystemTime) -> Status {
        let before = match status {
            Status::Healthy => self.bad.remove(check),
            bad => self.bad.insert(Arc::clone(check), (bad, at)),
        };
        before.map_or(Status::Healthy, |(status, _)| status)
    }
}

fn is_stale(check: &CheckReport) -> bool {
    check.reason == Some(Reason::Stale)
}

/// Returns the change to the current status of a check. Its `from` is the status that the receiver knows, or otherwise
/// the previous status in the history of the check.
fn change(check: &CheckReport, known: Option<Status>, at: SystemTime) -> CheckChange {
    let last = check.history.transitions().next().filter(|last| last.to == check.status);
    CheckChange {
        check: Arc::clone(&check.name),
        from: known.or_else(|| last.and_then(|last| last.from)),
        to: check.status,
        reason: check.reason,
        message: check.message.clone(),
        log_message: None,
        caused_by: check.caused_by.clone(),
        at,
    }
}

/// Returns the change of a bad check that was removed.
fn removal(check: &Arc<str>, from: Status, at: SystemTime) -> CheckChange {
    CheckChange {
        check: Arc::clone(check),
        from: Some(from),
        to: Status::Healthy,
        reason: None,
        message: Some("the check was removed".into()),
        log_message: None,
        caused_by: Vec::new(),
        at,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::render::samples;

    fn check_change(check: &str, from: Option<Status>, to: Status) -> CheckChange {
        let at = SystemTime::UNIX_EPOCH;
        let caused_by = Vec::new();
        CheckChange { check: check.into(), from, to, reason: None, message: None, log_message: None, caused_by, at }
    }

    fn changes(notifications: Vec<Notification>) -> Vec<(String, Option<Status>, Status)> {
        let changes = notifications.iter().filter_map(Notification::check);
        changes.map(|it| (it.check.to_string(), it.from, it.to)).collect()
    }

    #[test]
    fn each_status_is_notified_once_and_a_first_healthy_status_never() {
        use Status::{Degraded, Healthy, Unhealthy};
        let mut tracker = ChangeTracker::new(Visibility::Checks);
        assert!(tracker.record_change(check_change("a", None, Healthy)).is_none());
        assert!(tracker.record_change(check_change("a", Some(Healthy), Degraded)).is_some());
        assert!(tracker.record_change(check_change("a", Some(Healthy), Degraded)).is_none());
        assert!(tracker.record_change(check_change("a", Some(Degraded), Unhealthy)).is_some());
        assert!(tracker.record_change(check_change("a", Some(Unhealthy), Healthy)).is_some());
        // A check that was held back and notified as bad, and never ran, is notified as Healthy after its first run.
        assert!(tracker.record_change(check_change("b", None, Unhealthy)).is_some());
        assert!(tracker.record_change(check_change("b", None, Healthy)).is_some());
    }

    #[test]
    fn changes_without_an_event_are_found() {
        let mut report = samples::report();
        let mut tracker = ChangeTracker::new(Visibility::Checks);
        let at = SystemTime::UNIX_EPOCH;
        let first = changes(tracker.poll(&report, at));
        assert!(first.contains(&("database".to_owned(), None, Status::Unhealthy)), "{first:?}");
        let pending: Vec<_> = report.checks.iter().filter(|it| it.reason == Some(Reason::Pending)).collect();
        assert!(!pending.is_empty() && pending.iter().all(|it| first.iter().all(|(name, ..)| **name != *it.name)));
        assert!(tracker.poll(&report, at).is_empty());
        // The event of a change that the poll has already found.
        assert!(tracker.record_change(check_change("database", Some(Status::Healthy), Status::Unhealthy)).is_none());
        report.checks.retain(|check| &*check.name != "database");
        assert_eq!(
            changes(tracker.poll(&report, at)),
            [("database".to_owned(), Some(Status::Unhealthy), Status::Healthy)]
        );
        assert!(tracker.poll(&report, at).is_empty());
    }

    #[test]
    fn a_result_is_notified_as_stale_at_the_second_poll_and_as_fresh_at_the_first() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let report = |status, reason| {
            let mut report = samples::report();
            report.checks.retain(|check| &*check.name == "database");
            let check = Arc::make_mut(&mut report.checks[0]);
            (check.status, check.reason, check.since) = (status, reason, Some(at(1)));
            report
        };
        let (fresh, stale) = (report(Status::Healthy, None), report(Status::Unhealthy, Some(Reason::Stale)));
        let mut tracker = ChangeTracker::new(Visibility::Checks);
        // The machine was suspended.
        assert!(tracker.poll(&fresh, at(2)).is_empty());
        assert!(tracker.poll(&stale, at(60)).is_empty());
        assert!(tracker.poll(&fresh, at(61)).is_empty());
        // The runtime hangs.
        assert!(tracker.poll(&stale, at(70)).is_empty());
        let times = |notifications: Vec<Notification>| {
            let changes = notifications.iter().filter_map(Notification::check);
            changes.map(|change| (change.to, change.at)).collect::<Vec<_>>()
        };
        assert_eq!(times(tracker.poll(&stale, at(71))), [(Status::Unhealthy, at(71))]);
        assert!(tracker.poll(&stale, at(72)).is_empty());
        assert_eq!(
            times(tracker.poll(&fresh, at(73))),
            [(Status::Healthy, at(73))],
            "the change to Healthy has the time of the former `since`"
        );
    }

    #[test]
    fn at_the_lowest_visibility_only_the_status_is_notified() {
        let mut tracker = ChangeTracker::new(Visibility::Status);
        assert!(tracker.record_change(check_change("a", None, Status::Unhealthy)).is_none());
        assert!(tracker.poll(&samples::report(), SystemTime::UNIX_EPOCH).is_empty());
        let with_status = |status, reason| {
            let mut report = samples::report();
            report.status = status;
            report.checks.truncate(1);
            Arc::make_mut(&mut report.checks[0]).reason = reason;
            report
        };
        let (well, bad) = (with_status(Status::Healthy, None), with_status(Status::Unhealthy, Some(Reason::Timeout)));
        assert!(tracker.record_status(&well).is_none());
        assert!(tracker.record_status(&bad).is_some_and(|it| it.check().is_none()));
        assert!(tracker.record_status(&bad).is_none());
        assert!(tracker.record_status(&well).is_some());
        // A stale result is notified only if it is stale at two polls.
        let stale = with_status(Status::Unhealthy, Some(Reason::Stale));
        for is_notified in [false, true, false] {
            tracker.poll(&stale, SystemTime::UNIX_EPOCH);
            assert_eq!(tracker.record_status(&stale).is_some(), is_notified);
        }
        assert!(ChangeTracker::new(Visibility::Checks).record_status(&bad).is_none());
    }
}
