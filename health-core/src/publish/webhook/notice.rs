//! The notice of a webhook, and its JSON.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;

use crate::{
    model::{
        change::CheckChange,
        report::Report,
        status::{Lifecycle, Reason, Status, Visibility},
    },
    publish::{
        summary::{cause, without_lifecycle},
        webhook::{change_tracker::Notification, queue::Delivery},
    },
    render::writer::Writer,
};

/// One message of a [`Webhook`](super::Webhook).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Notice {
    /// The time at which the notice was created.
    pub at: SystemTime,
    /// Whether the notice is a ping, which has no changes.
    pub is_ping: bool,
    /// The labels from [`Webhook::label`](super::Webhook::label), as names and values.
    pub labels: Vec<(String, String)>,
    /// The name of the service; `None` if it is not set.
    pub service: Option<Arc<str>>,
    /// The version of the service; `None` if it is not set or the visibility does not show it.
    pub version: Option<Arc<str>>,
    /// The current status of the service, without regard to the lifecycle and to pending checks.
    pub status: Status,
    /// The cause of the status, such as `database unreachable`. Empty if the service is Healthy or the visibility shows
    /// no checks.
    pub cause: String,
    /// The lifecycle of the service.
    pub lifecycle: Lifecycle,
    /// The changes since the last notice, in order. Empty in a ping, and if the visibility shows no checks.
    pub changes: Vec<CheckChange>,
    /// The number of changes since the last notice that are not in `changes`, because there were too many changes or
    /// because the receiver refused them.
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
            is_ping: delivery.is_ping(),
            labels: labels.to_vec(),
            service: report.service.clone(),
            version: report.version.clone().filter(|_| visibility >= Visibility::Full),
            status: known.status,
            cause: if names { cause(known) } else { String::new() },
            lifecycle: report.lifecycle,
            changes: delivery
                .notifications
                .iter()
                .filter_map(Notification::check)
                .filter(|_| names)
                .map(shown)
                .collect(),
            missed: delivery.missed,
        }
    }

    /// Returns the notice as JSON, `event` first.
    pub(super) fn json(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.object(|w| {
            w.name("event").string(if self.is_ping { "ping" } else { "change" });
            w.name("at").moment(self.at);
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

/// Returns the report without the effect of the lifecycle and without pending checks, so that a deployment changes
/// nothing.
pub(super) fn without_pending(report: &Report) -> Report {
    let mut report = report.clone();
    report.checks.retain(|check| check.reason != Some(Reason::Pending));
    without_lifecycle(report)
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
    w.name("at").moment(change.at);
}
