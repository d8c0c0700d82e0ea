//! What a webhook is told, and how it is written.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;

use super::queue::Delivery;
use crate::{
    model::{
        change::CheckChange,
        report::Report,
        status::{Lifecycle, Reason, Status, Visibility},
    },
    publish::{cause, whatever_the_phase},
    render::writer::Writer,
    time::rfc3339,
};

/// What a [`Webhook`](super::Webhook) is told at once.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Notice {
    /// When it was written.
    pub at: SystemTime,
    /// A sign of life, as nothing else was to be told.
    pub is_ping: bool,
    /// What was said by [`Webhook::label`](super::Webhook::label).
    pub labels: Vec<(String, String)>,
    /// The service's name, if it was given.
    pub service: Option<Arc<str>>,
    /// The service's version, if it was given and is shown.
    pub version: Option<Arc<str>>,
    /// How the service is now, whatever the phase of its life, and without the checks that have not run yet.
    pub status: Status,
    /// What makes it so: `database unreachable`. Empty where all is well or nothing is shown.
    pub cause: String,
    /// The phase of its life.
    pub lifecycle: Lifecycle,
    /// The changes since the last notice, in order. None in a sign of life, and where only the status is shown.
    pub changes: Vec<CheckChange>,
    /// How many changes since the last notice are not among them, as there were too many or they were refused.
    pub missed: u64,
}

impl Notice {
    pub(super) fn new(
        report: &Report,
        known: &Report,
        delivery: &Delivery,
        visibility: Visibility,
        labels: &[(String, String)],
    ) -> Self {
        let shown = |change: &CheckChange| {
            let mut change = change.clone();
            change.log_message = None;
            if visibility < Visibility::Full {
                change.message = None;
            }
            change
        };
        let names = visibility >= Visibility::Checks;
        Self {
            at: SystemTime::now(),
            is_ping: delivery.is_sign_of_life(),
            labels: labels.to_vec(),
            service: report.service.clone(),
            version: report.version.clone().filter(|_| visibility >= Visibility::Full),
            status: known.status,
            cause: if names { cause(known) } else { String::new() },
            lifecycle: report.lifecycle,
            changes: delivery.items.iter().flatten().filter(|_| names).map(shown).collect(),
            missed: delivery.missed,
        }
    }

    /// As JSON, `event` first.
    pub(super) fn json(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.object(|w| {
            w.name("event").string(if self.is_ping { "ping" } else { "change" });
            w.name("at").string(&rfc3339(self.at));
            if !self.labels.is_empty() {
                w.name("labels").object(|w| self.labels.iter().for_each(|(name, value)| w.name(name).string(value)));
            }
            if let Some(service) = &self.service {
                w.name("service").string(service);
            }
            if let Some(version) = &self.version {
                w.name("version").string(version);
            }
            w.name("status").string(self.status.as_str());
            if !self.cause.is_empty() {
                w.name("cause").string(&self.cause);
            }
            w.name("lifecycle").string(self.lifecycle.as_str());
            w.name("changes").array(|w| {
                for change in &self.changes {
                    w.object(|w| members(w, change));
                }
            });
            w.name("missed").integer(self.missed);
        });
        writer.finish()
    }
}

/// The report without the phases of life and what has not run yet: what no deploy changes.
pub(super) fn known(report: &Report) -> Report {
    let mut report = report.clone();
    report.checks.retain(|check| check.reason != Some(Reason::Pending));
    whatever_the_phase(report)
}

fn members(w: &mut Writer, change: &CheckChange) {
    w.name("check").string(&change.check);
    if let Some(from) = change.from {
        w.name("from").string(from.as_str());
    }
    w.name("to").string(change.to.as_str());
    if let Some(reason) = change.reason {
        w.name("reason").string(reason.as_str());
    }
    if let Some(message) = &change.message {
        w.name("message").string(message);
    }
    if !change.caused_by.is_empty() {
        w.name("caused_by").array(|w| change.caused_by.iter().for_each(|name| w.string(name)));
    }
    w.name("at").string(&rfc3339(change.at));
}
