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

/// The latest report of one check. All snapshots share it until the check changes.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) report: Arc<CheckReport>,
    pub(in crate::engine) subject: Subject,
    pub(in crate::engine) liveness: bool,
    pub(in crate::engine) readiness: bool,
    pub(in crate::engine) startup: bool,
    /// Whether the check asks another service, and is left out of answers to services.
    pub(crate) asks_a_service: bool,
    /// Whether readers that are services themselves see the check: neither one that asks another service, nor one that
    /// fails only because it waits for such a check.
    pub(in crate::engine) is_local: bool,
    /// Whether the result holds for good, because the service has stopped or the entry says that it is too old: it does not
    /// expire, and a request wakes nothing.
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

    /// Whether the last recorded result is too old to be believed, also if this entry is of an earlier one.
    pub(super) fn is_stale(&self, now: Nanos) -> bool {
        !self.is_final && now >= self.signals.stale_at()
    }

    /// The moment at which the last recorded result expires.
    pub(super) fn expires_at(&self) -> Nanos {
        if self.is_final { NEVER } else { self.signals.stale_at() }
    }

    /// Requests a run if the last recorded result is older than its `max_age`. Returns whether it did, and the first moment
    /// at which there can be something to request again.
    pub(in crate::engine) fn wake(&self, now: Nanos) -> (bool, Nanos) {
        if self.is_final { (false, NEVER) } else { self.signals.wake_if_old(now) }
    }

    /// Returns the entry with its result marked as stale. A mute covers an expired result, but not a dead scheduler.
    pub(super) fn stale(&self, scheduler_stale: bool) -> Self {
        let covered = self.report.muted.is_some() && !scheduler_stale;
        // What was known until the result expired is known.
        let expired_at = self.signals.stale_at();
        let mut history = Arc::clone(&self.report.history);
        if let Some(known) = expired_at.checked_sub(history.last()).filter(|_| expired_at != NEVER) {
            Arc::make_mut(&mut history).pass(expired_at, Span { known, unknown: 0 });
        }
        Self {
            report: Arc::new(CheckReport {
                status: if covered { Status::Degraded } else { Status::Unhealthy },
                reason: Some(Reason::Stale),
                message: Some(Arc::from("the last result is too old to be believed")),
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
