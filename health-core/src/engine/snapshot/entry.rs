//! The entry of one check in a snapshot.

use std::sync::Arc;

use crate::{
    engine::{signals::Signals, snapshot::prepared_bodies::PreparedBodies},
    model::{
        history::Span,
        report::{CheckReport, Subject},
        status::{Probe, Reason, Status},
    },
    time::{NEVER, Nanos},
};

/// The latest report of one check. Snapshots share it until the check changes.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) report: Arc<CheckReport>,
    pub(in crate::engine) subject: Subject,
    pub(in crate::engine) liveness: bool,
    pub(in crate::engine) readiness: bool,
    pub(in crate::engine) startup: bool,
    /// Whether the check calls another service, so that it is left out of answers to requests with `Health-Local: 1`.
    pub(crate) asks_a_service: bool,
    /// Whether the check is in answers to requests with `Health-Local: 1`; `false` if it calls another service, or
    /// fails only because it waits for checks that call another service.
    pub(in crate::engine) is_local: bool,
    /// Whether the entry is final, because the service has stopped or the entry is already marked stale. A final entry
    /// does not expire, and a request for it wakes nothing.
    pub(in crate::engine) is_final: bool,
    pub(in crate::engine) signals: Arc<Signals>,
    pub(in crate::engine) bodies: PreparedBodies,
}

impl Entry {
    /// Whether the check counts for a probe.
    pub(crate) fn counts_for(&self, probe: Probe) -> bool {
        match probe {
            Probe::Liveness => self.liveness,
            Probe::Readiness => self.readiness,
            Probe::Startup => self.startup,
        }
    }

    /// Whether the last recorded result is stale. The entry may show an earlier result.
    pub(super) fn is_stale(&self, now: Nanos) -> bool {
        !self.is_final && now >= self.signals.stale_at()
    }

    /// The time at which the last recorded result expires.
    pub(super) fn expires_at(&self) -> Nanos {
        if self.is_final { NEVER } else { self.signals.stale_at() }
    }

    /// Requests a run if the last recorded result is older than `max_age`. Returns whether a run was requested, and the
    /// earliest time at which the next request can be due.
    pub(in crate::engine) fn wake(&self, now: Nanos) -> (bool, Nanos) {
        if self.is_final { (false, NEVER) } else { self.signals.wake_if_old(now) }
    }

    /// Returns the entry with its result marked as stale. A mute covers an expired result, but not a dead scheduler.
    pub(super) fn stale(&self, scheduler_stale: bool) -> Self {
        let covered = self.report.muted.is_some() && !scheduler_stale;
        // The time until the result expired counts as known.
        let expired_at = self.signals.stale_at();
        let mut history = Arc::clone(&self.report.history);
        if let Some(known) = expired_at.checked_sub(history.last()).filter(|_| expired_at != NEVER) {
            Arc::make_mut(&mut history).pass(expired_at, Span { known, unknown: 0 });
        }
        Self {
            report: Arc::new(CheckReport {
                status: if covered { Status::Degraded } else { Status::Unhealthy },
                reason: Some(Reason::Stale),
                message: Some(Arc::from("the last result is too old to be trusted")),
                caused_by: Vec::new(),
                history,
                ..(*self.report).clone()
            }),
            subject: self.subject.clone(),
            is_local: !self.asks_a_service,
            is_final: true,
            signals: Arc::clone(&self.signals),
            bodies: PreparedBodies::default(),
            ..*self
        }
    }
}
