//! Groups: checks that a report shows in one row.

use std::sync::Arc;

use crate::model::status::{Reason, Status};

/// The group of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The position of the group among all groups of the service.
    pub(crate) position: usize,
    pub(crate) name: Arc<str>,
}

/// A group in a report, from [`Builder::group`](crate::Builder::group). It summarizes the members that are part of the
/// report. Each member counts with its own status, whatever its impact.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupReport {
    pub(crate) name: Arc<str>,
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    /// The number of members by their own status: Healthy, Degraded, Unhealthy.
    pub(crate) counts: [usize; 3],
    pub(crate) pending: usize,
    /// The first members, in registration order, that are not Healthy.
    pub(crate) not_healthy: Vec<Arc<str>>,
    /// Whether every member that has the status of the group is unknown: pending or stale.
    pub(crate) is_unknown: bool,
}

impl GroupReport {
    /// Returns the name of the group, which is the tag of its members.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the worst status among the members.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns the reason of the first member, in registration order, that has the status of the group; `None` if the
    /// group is Healthy.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Returns the number of members.
    #[must_use]
    pub fn checks(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Returns the number of members with this status. A pending member counts as Unhealthy, or as Degraded while it is
    /// muted.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.counts[status as usize]
    }

    /// Iterates over the names of the first ten members, in registration order, that are not Healthy.
    pub fn not_healthy(&self) -> impl Iterator<Item = &str> {
        self.not_healthy.iter().map(|name| &**name)
    }

    /// Returns the number of members that have not finished a run yet. [`count`](Self::count) includes them.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }
}
