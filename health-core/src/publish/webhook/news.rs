//! What is news to a receiver: pure, from what was told last and what is now.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use crate::{CheckChange, Reason, Report, Status, Visibility};

/// What a receiver has been told of.
#[derive(Debug)]
pub(super) struct News {
    visibility: Visibility,
    /// The checks that it knows to be bad; of every other it believes the best.
    bad: HashMap<Arc<str>, Status>,
    /// The whole, where nothing else is told.
    whole: Status,
}

/// One piece of news: a change of a check, or of the whole where no more is shown.
pub(super) type Item = Option<CheckChange>;

impl News {
    pub(super) fn new(visibility: Visibility) -> Self {
        Self { visibility, bad: HashMap::new(), whole: Status::Healthy }
    }

    /// A change that was heard of: no news if the receiver knows it already, and if a check is healthy from the beginning.
    pub(super) fn heard(&mut self, change: CheckChange) -> Option<Item> {
        let is_news = self.remember(&change.check, change.to) != change.to;
        (is_news && self.visibility >= Visibility::Checks).then_some(Some(change))
    }

    /// What no change told of: what was bad before, what became stale or fresh again, what is bad no more as it was removed.
    pub(super) fn seen(&mut self, report: &Report, at: SystemTime) -> Vec<Item> {
        if self.visibility < Visibility::Checks {
            return Vec::new();
        }
        let mut items = Vec::new();
        for check in report.checks.iter().filter(|check| check.reason != Some(Reason::Pending)) {
            let from = self.bad.get(&check.name).copied();
            if self.remember(&check.name, check.status) != check.status {
                let is_stale = check.reason == Some(Reason::Stale);
                items.push(Some(CheckChange {
                    check: Arc::clone(&check.name),
                    from,
                    to: check.status,
                    reason: check.reason,
                    message: check.message.clone(),
                    log_message: None,
                    caused_by: check.caused_by.clone(),
                    at: check.since.filter(|_| !is_stale).unwrap_or(at),
                }));
            }
        }
        self.bad.retain(|name, from| {
            let is_there = report.check(name).is_some();
            if !is_there {
                items.push(Some(CheckChange {
                    check: Arc::clone(name),
                    from: Some(*from),
                    to: Status::Healthy,
                    reason: None,
                    message: Some("it was removed".into()),
                    log_message: None,
                    caused_by: Vec::new(),
                    at,
                }));
            }
            is_there
        });
        items
    }

    /// The status of the whole, where that is all that is told.
    pub(super) fn whole(&mut self, status: Status) -> Option<Item> {
        let is_news = std::mem::replace(&mut self.whole, status) != status;
        (is_news && self.visibility < Visibility::Checks).then_some(None)
    }

    /// The status that was told before.
    fn remember(&mut self, check: &Arc<str>, status: Status) -> Status {
        let before = match status {
            Status::Healthy => self.bad.remove(check),
            bad => self.bad.insert(Arc::clone(check), bad),
        };
        before.unwrap_or(Status::Healthy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn change(check: &str, from: Option<Status>, to: Status) -> CheckChange {
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
        assert!(news.heard(change("a", None, Healthy)).is_none());
        assert!(news.heard(change("a", Some(Healthy), Degraded)).is_some());
        assert!(news.heard(change("a", Some(Healthy), Degraded)).is_none());
        assert!(news.heard(change("a", Some(Degraded), Unhealthy)).is_some());
        assert!(news.heard(change("a", Some(Unhealthy), Healthy)).is_some());
        // One that never ran before, as it was held back, and was told as bad, is told as good with its first run.
        assert!(news.heard(change("b", None, Unhealthy)).is_some());
        assert!(news.heard(change("b", None, Healthy)).is_some());
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
        assert!(news.heard(change("database", Some(Status::Healthy), Status::Unhealthy)).is_none());
        report.checks.retain(|check| &*check.name != "database");
        assert_eq!(told(news.seen(&report, at)), [("database".to_owned(), Some(Status::Unhealthy), Status::Healthy)]);
        assert!(news.seen(&report, at).is_empty());
    }

    #[test]
    fn at_the_least_visibility_the_whole_is_all() {
        let mut news = News::new(Visibility::Status);
        assert!(news.heard(change("a", None, Status::Unhealthy)).is_none());
        assert!(news.seen(&samples::report(), SystemTime::UNIX_EPOCH).is_empty());
        assert!(news.whole(Status::Healthy).is_none());
        assert!(news.whole(Status::Unhealthy).is_some_and(|it| it.is_none()));
        assert!(news.whole(Status::Unhealthy).is_none());
        assert!(news.whole(Status::Healthy).is_some());
        assert!(News::new(Visibility::Checks).whole(Status::Unhealthy).is_none());
    }
}
