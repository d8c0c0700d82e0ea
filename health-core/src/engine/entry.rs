//! The entry of one check in a snapshot.

use std::sync::Arc;

use crate::{
    engine::{
        prepared_bodies::PreparedBodies,
        signals::{Throttle, WakeRequest},
    },
    model::{
        report::{CheckReport, Subject},
        status::{Probe, Reason, Status},
    },
    time::{NEVER, Nanos},
};

/// The latest report of one check. All snapshots share it until the check changes.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) report: Arc<CheckReport>,
    pub(super) subject: Subject,
    pub(super) liveness: bool,
    pub(super) readiness: bool,
    pub(super) startup: bool,
    /// Whether the check asks another service, and is left out of answers to services.
    pub(crate) asks_a_service: bool,
    /// The moment from which on the result counts as stale.
    pub(super) stale_at: Nanos,
    /// The moment from which on a request wakes the check.
    pub(super) wake_at: Nanos,
    pub(super) max_age: Nanos,
    pub(super) wake_request: Arc<WakeRequest>,
    pub(super) wake_throttle: Throttle,
    pub(super) bodies: PreparedBodies,
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

    /// Returns the entry with its result marked as stale. A mute covers an expired result, but not a dead scheduler.
    pub(super) fn stale(&self, scheduler_stale: bool) -> Self {
        let covered = self.report.muted.is_some() && !scheduler_stale;
        Self {
            report: Arc::new(CheckReport {
                status: if covered { Status::Degraded } else { Status::Unhealthy },
                reason: Some(Reason::Stale),
                message: Some(Arc::from("the last result is too old to be believed")),
                caused_by: Vec::new(),
                ..(*self.report).clone()
            }),
            subject: self.subject.clone(),
            liveness: self.liveness,
            readiness: self.readiness,
            startup: self.startup,
            asks_a_service: self.asks_a_service,
            stale_at: NEVER,
            wake_at: self.wake_at,
            max_age: self.max_age,
            wake_request: Arc::clone(&self.wake_request),
            wake_throttle: Throttle::new(NEVER, NEVER),
            bodies: PreparedBodies::default(),
        }
    }
}
