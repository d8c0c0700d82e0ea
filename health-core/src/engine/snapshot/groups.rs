//! The groups of a view. Every change of a member updates the counts of its group, so that a row is created without
//! counting the members again.

use std::sync::{Arc, OnceLock};

use crate::{
    engine::{snapshot::persistent_vec::PersistentVec, tally::Tally},
    model::{
        group::GroupReport,
        report::CheckReport,
        status::{Reason, Status},
    },
};

/// The largest number of members that a row names.
const NAMED: usize = 10;

/// The checks of a view, divided into checks that it lists one by one and members of groups, which a row represents.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    /// The positions of the checks that are listed one by one, including the ones that a local view leaves out.
    pub(super) listed: PersistentVec<usize>,
    /// A row for each group of the service, including groups without a member in the view.
    rows: PersistentVec<Arc<Row>>,
}

/// One group in one view.
#[derive(Clone, Debug)]
struct Row {
    name: Arc<str>,
    /// The positions of the members, including the ones that a local view leaves out.
    members: PersistentVec<usize>,
    /// The number of members with each status of their own.
    tally: Tally,
    pending: usize,
    /// The report, created for the first reader and kept until a change of a member affects it.
    report: OnceLock<Arc<GroupReport>>,
}

/// Returns the properties of a member that affect its row.
fn shown(check: &CheckReport) -> (Status, Option<Reason>, bool) {
    (judged(check), check.reason, check.is_pending())
}

/// Returns the status with which a member counts in its row. A member that was inserted into a Ready service counts as
/// Healthy before its first result.
pub(super) fn judged(check: &CheckReport) -> Status {
    if check.counts { check.status } else { Status::Healthy }
}

impl Folded {
    /// Creates rows without members for these groups; `None` if there are no groups.
    pub(super) fn new(groups: &[Arc<str>]) -> Option<Self> {
        if groups.is_empty() {
            return None;
        }
        let rows = groups.iter().map(|name| Arc::new(Row::new(Arc::clone(name)))).collect();
        Some(Self { listed: PersistentVec::default(), rows })
    }

    /// Adds the check at a position. `is_shown` is `false` if the view is local and leaves the check out.
    pub(super) fn join(&mut self, position: usize, check: &CheckReport, is_shown: bool) {
        let Some(group) = &check.group else { return self.listed.push(position) };
        if let Some(row) = self.rows.get_mut(group.position).map(Arc::make_mut) {
            row.members.push(position);
            row.replace(None, is_shown.then_some(check));
        }
    }

    /// Replaces a check. `before` or `after` is `None` if the view leaves the check out.
    pub(super) fn replace(&mut self, before: Option<&CheckReport>, after: Option<&CheckReport>) {
        let Some(group) = before.or(after).and_then(|check| check.group.as_ref()) else { return };
        if before.map(shown) == after.map(shown) {
            return;
        }
        if let Some(row) = self.rows.get_mut(group.position).map(Arc::make_mut) {
            row.replace(before, after);
        }
    }

    /// Returns the reports of all groups, including groups without a member. `member` returns the check at a position;
    /// `None` if the view leaves it out.
    pub(super) fn reports<'c>(
        &self,
        member: &impl Fn(usize) -> Option<&'c CheckReport>,
    ) -> impl Iterator<Item = Arc<GroupReport>> {
        self.rows.iter().map(move |row| row.report(member))
    }
}

impl Row {
    fn new(name: Arc<str>) -> Self {
        Self { name, members: PersistentVec::default(), tally: Tally::default(), pending: 0, report: OnceLock::new() }
    }

    fn replace(&mut self, before: Option<&CheckReport>, after: Option<&CheckReport>) {
        if let Some(check) = before {
            self.tally.remove(judged(check), check.is_unknown());
            self.pending -= usize::from(check.is_pending());
        }
        if let Some(check) = after {
            self.tally.add(judged(check), check.is_unknown());
            self.pending += usize::from(check.is_pending());
        }
        self.report = OnceLock::new();
    }

    fn report<'c>(&self, member: &impl Fn(usize) -> Option<&'c CheckReport>) -> Arc<GroupReport> {
        if let Some(report) = self.report.get() {
            return Arc::clone(report);
        }
        let status = self.tally.worst();
        let is_bad = status > Status::Healthy;
        let bad = || {
            let members = self.members.iter().filter(|_| is_bad).filter_map(|position| member(*position));
            members.filter(|check| judged(check) > Status::Healthy)
        };
        let worst = bad().find(|check| judged(check) == status);
        let report = Arc::new(GroupReport {
            name: Arc::clone(&self.name),
            status,
            reason: worst.and_then(|check| check.reason),
            counts: self.tally.counts(),
            pending: self.pending,
            not_healthy: bad().take(NAMED).map(|check| Arc::clone(&check.name)).collect(),
            is_unknown: is_bad && self.tally.worst_is_unknown(),
        });
        // Fails if another reader was faster. Its report is the same.
        let _ = self.report.set(Arc::clone(&report));
        report
    }
}
