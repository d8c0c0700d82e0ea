//! What is news to a receiver: pure, from what was told last and what is now.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use crate::model::{
    change::CheckChange,
    report::{CheckReport, Report},
    status::{Reason, Status, Visibility},
};

/// What a receiver has been told of, or is about to be.
#[derive(Debug)]
pub(super) struct News {
    visibility: Visibility,
    /// The checks that it knows to be bad, and since when; of every other it believes the best.
    bad: HashMap<Arc<str>, (Status, SystemTime)>,
    /// What was stale at the last look, and at the one before as well.
    stale: HashSet<Arc<str>>,
    lasting: HashSet<Arc<str>>,
    /// The whole, where nothing else is told.
    whole: Status,
}

/// One piece of news: a change of a check, or of the whole where no more is shown.
pub(super) type Item = Option<CheckChange>;

impl News {
    pub(super) fn new(visibility: Visibility) -> Self {
        Self { visibility, bad: HashMap::new(), stale: HashSet::new(), lasting: HashSet::new(), whole: Status::Healthy }
    }

    /// A change that was heard of: no news if the receiver knows it already, and if a check is healthy from the beginning.
    pub(super) fn heard(&mut self, change: CheckChange) -> Option<Item> {
        if self.visibility < Visibility::Checks {
            return None;
        }
        let is_news = self.remember(&change.check, change.to, change.at) != change.to;
        is_news.then_some(Some(change))
    }

    /// What no change told of: what was bad before, what became stale or fresh again, what is bad no more as it was removed.
    ///
    /// A result must be stale at two looks: a machine that was asleep wakes with stale results, and has fresh ones at once.
    pub(super) fn seen(&mut self, report: &Report, at: SystemTime) -> Vec<Item> {
        let stale: HashSet<_> =
            report.checks.iter().filter(|check| is_stale(check)).map(|check| Arc::clone(&check.name)).collect();
        self.lasting = stale.intersection(&self.stale).cloned().collect();
        self.stale = stale;
        if self.visibility < Visibility::Checks {
            return Vec::new();
        }
        let mut items = Vec::new();
        for check in &report.checks {
            let is_known = check.reason != Some(Reason::Pending) && !self.is_stale_just_now(check);
            let before = self.bad.get(&check.name).copied();
            // Staleness comes and goes without a change of the check's own.
            let since = check.since.filter(|since| !is_stale(check) && before.is_none_or(|(_, told)| *since > told));
            let at = since.unwrap_or(at);
            if is_known && self.remember(&check.name, check.status, at) != check.status {
                items.push(Some(change(check, before.map(|(status, _)| status), at)));
            }
        }
        self.bad.retain(|name, (from, _)| {
            let is_there = report.check(name).is_some();
            if !is_there {
                items.push(Some(removed(name, *from, at)));
            }
            is_there
        });
        items
    }

    /// The status of the whole, where that is all that is told. What was not stale before makes it no news yet.
    pub(super) fn whole(&mut self, known: &Report) -> Option<Item> {
        if self.visibility >= Visibility::Checks || known.checks.iter().any(|check| self.is_stale_just_now(check)) {
            return None;
        }
        let is_news = std::mem::replace(&mut self.whole, known.status) != known.status;
        is_news.then_some(None)
    }

    fn is_stale_just_now(&self, check: &CheckReport) -> bool {
        is_stale(check) && !self.lasting.contains(&check.name)
    }

    /// The status that was told before.
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

/// A check as a change to what it is. Where it was not told as bad, its history knows what it was.
fn change(check: &CheckReport, told: Option<Status>, at: SystemTime) -> CheckChange {
    let last = check.history.transitions.front().filter(|last| last.to == check.status);
    CheckChange {
        check: Arc::clone(&check.name),
        from: told.or_else(|| last.and_then(|last| last.from)),
        to: check.status,
        reason: check.reason,
        message: check.message.clone(),
        log_message: None,
        caused_by: check.caused_by.clone(),
        at,
    }
}

fn removed(check: &Arc<str>, from: Status, at: SystemTime) -> CheckChange {
    CheckChange {
        check: Arc::clone(check),
        from: Some(from),
        to: Status::Healthy,
        reason: None,
        message: Some("it was removed".into()),
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

    fn heard(check: &str, from: Option<Status>, to: Status) -> CheckChange {
        let at = SystemTime::UNIX_EPOCH;
        let caused_by = Vec::new();
        CheckChange { check: check.into(), from, to, reason: None, message: None, log_message: None, caused_by, at }
    }

    fn told(items: impl IntoIterator<Item = Item>) -> Vec<(String, Option<Status>, Status)> {
        items.into_iter().flatten().map(|it| (it.check.to_string(), it.from, it.to)).collect()
    }

    #[test]
    fn each_status_is_told_once_and_a_good_beginning_never() {
        use Status::{Degraded, Healthy, Unhealthy};
        let mut news = News::new(Visibility::Checks);
        assert!(news.heard(heard("a", None, Healthy)).is_none());
        assert!(news.heard(heard("a", Some(Healthy), Degraded)).is_some());
        assert!(news.heard(heard("a", Some(Healthy), Degraded)).is_none());
        assert!(news.heard(heard("a", Some(Degraded), Unhealthy)).is_some());
        assert!(news.heard(heard("a", Some(Unhealthy), Healthy)).is_some());
        // One that never ran before, as it was held back, and was told as bad, is told as good with its first run.
        assert!(news.heard(heard("b", None, Unhealthy)).is_some());
        assert!(news.heard(heard("b", None, Healthy)).is_some());
    }

    #[test]
    fn what_no_change_told_of_is_seen() {
        let mut report = samples::report();
        let mut news = News::new(Visibility::Checks);
        let at = SystemTime::UNIX_EPOCH;
        let first = told(news.seen(&report, at));
        assert!(first.contains(&("database".to_owned(), None, Status::Unhealthy)), "{first:?}");
        let pending: Vec<_> = report.checks.iter().filter(|it| it.reason == Some(Reason::Pending)).collect();
        assert!(!pending.is_empty() && pending.iter().all(|it| first.iter().all(|(name, ..)| **name != *it.name)));
        assert!(news.seen(&report, at).is_empty());
        // The change that was on its way.
        assert!(news.heard(heard("database", Some(Status::Healthy), Status::Unhealthy)).is_none());
        report.checks.retain(|check| &*check.name != "database");
        assert_eq!(told(news.seen(&report, at)), [("database".to_owned(), Some(Status::Unhealthy), Status::Healthy)]);
        assert!(news.seen(&report, at).is_empty());
    }

    #[test]
    fn what_is_stale_at_two_looks_is_told_and_so_is_that_it_is_fresh_again() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let report = |status, reason| {
            let mut report = samples::report();
            report.checks.retain(|check| &*check.name == "database");
            let check = Arc::make_mut(&mut report.checks[0]);
            (check.status, check.reason, check.since) = (status, reason, Some(at(1)));
            report
        };
        let (fresh, stale) = (report(Status::Healthy, None), report(Status::Unhealthy, Some(Reason::Stale)));
        let mut news = News::new(Visibility::Checks);
        // It slept.
        assert!(news.seen(&fresh, at(2)).is_empty());
        assert!(news.seen(&stale, at(60)).is_empty());
        assert!(news.seen(&fresh, at(61)).is_empty());
        // It hangs.
        assert!(news.seen(&stale, at(70)).is_empty());
        let told_at = |items: Vec<Item>| items.into_iter().flatten().map(|it| (it.to, it.at)).collect::<Vec<_>>();
        assert_eq!(told_at(news.seen(&stale, at(71))), [(Status::Unhealthy, at(71))]);
        assert!(news.seen(&stale, at(72)).is_empty());
        assert_eq!(told_at(news.seen(&fresh, at(73))), [(Status::Healthy, at(73))], "not when it was healthy before");
    }

    #[test]
    fn at_the_least_visibility_the_whole_is_all() {
        let mut news = News::new(Visibility::Status);
        assert!(news.heard(heard("a", None, Status::Unhealthy)).is_none());
        assert!(news.seen(&samples::report(), SystemTime::UNIX_EPOCH).is_empty());
        let whole = |status, reason| {
            let mut report = samples::report();
            report.status = status;
            report.checks.truncate(1);
            Arc::make_mut(&mut report.checks[0]).reason = reason;
            report
        };
        let (well, bad) = (whole(Status::Healthy, None), whole(Status::Unhealthy, Some(Reason::Timeout)));
        assert!(news.whole(&well).is_none());
        assert!(news.whole(&bad).is_some_and(|it| it.is_none()));
        assert!(news.whole(&bad).is_none());
        assert!(news.whole(&well).is_some());
        // Here as well, what slept is not told as bad; what hangs is.
        let stale = whole(Status::Unhealthy, Some(Reason::Stale));
        for is_told in [false, true, false] {
            news.seen(&stale, SystemTime::UNIX_EPOCH);
            assert_eq!(news.whole(&stale).is_some(), is_told);
        }
        assert!(News::new(Visibility::Checks).whole(&bad).is_none());
    }
}
