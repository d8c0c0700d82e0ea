//! The entry of one check in a snapshot.

use std::sync::{Arc, OnceLock};

use crate::{
    engine::{signals::Signals, snapshot::prepared_bodies::PreparedBodies},
    model::{
        report::{CheckReport, Subject},
        status::{Probe, Reason, Status, Visibility},
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
    pub(in crate::engine) parts: Parts,
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

    /// Returns the part of the check in a document, which is rendered at the first call.
    pub(crate) fn part(
        &self,
        format: PartFormat,
        visibility: Visibility,
        render: impl Fn(&CheckReport) -> Box<[u8]>,
    ) -> &[u8] {
        self.parts.part(format, visibility, || render(&self.report))
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
        Self {
            report: Arc::new(CheckReport {
                status: if covered { Status::Degraded } else { Status::Unhealthy },
                reason: Some(Reason::Stale),
                message: Some(Arc::from("the last result is too old to be believed")),
                caused_by: Vec::new(),
                ..(*self.report).clone()
            }),
            subject: self.subject.clone(),
            is_local: !self.asks_a_service,
            is_final: true,
            signals: Arc::clone(&self.signals),
            bodies: PreparedBodies::default(),
            parts: Parts::default(),
            ..*self
        }
    }
}

/// A document that is put together from the parts of its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartFormat {
    Json,
    /// The last variant: it counts the formats.
    Health,
}

const FORMATS: usize = PartFormat::Health as usize + 1;
/// No document shows a part at the lowest visibility.
const VISIBILITIES: usize = Visibility::ALL.len() - 1;

/// The parts of one check in documents.
#[derive(Debug, Default)]
pub(in crate::engine) struct Parts([[OnceLock<Box<[u8]>>; FORMATS]; VISIBILITIES]);

impl Parts {
    fn part(&self, format: PartFormat, visibility: Visibility, render: impl Fn() -> Box<[u8]>) -> &[u8] {
        let cell = &self.0[(visibility as usize).saturating_sub(1)][format as usize];
        loop {
            if let Some(part) = cell.get() {
                return part;
            }
            // Rendered first and stored then, so that no reader waits for another.
            let _ = cell.set(render());
        }
    }
}
