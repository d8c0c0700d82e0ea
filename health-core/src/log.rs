//! One line per change, under the target `health`: the one place where the text of an error is told in full, redacted.

use crate::{Change, Drained, Muted, Status, clock::rfc3339};

/// Tells of a change. Every status has its level: Unhealthy is an error, Degraded a warning.
pub(crate) fn change(change: &Change) {
    match change {
        Change::Check(change) => {
            let check = &*change.check;
            let from = change.from.map_or("pending", Status::as_str);
            let to = change.to.as_str();
            let reason = change.reason.map_or("", crate::Reason::as_str);
            let error = change.log_message.as_deref().unwrap_or_default();
            match change.to {
                Status::Healthy => tracing::info!(target: "health", check, from, to, "check is healthy"),
                Status::Degraded => {
                    tracing::warn!(target: "health", check, from, to, reason, error, "check is degraded");
                }
                Status::Unhealthy => {
                    tracing::error!(target: "health", check, from, to, reason, error, "check is unhealthy");
                }
            }
        }
        Change::Lifecycle(change) => {
            tracing::info!(target: "health", from = change.from.as_str(), to = change.to.as_str(), "service moved on");
        }
    }
}

/// Tells once per check that a result was cut to bounds.
pub(crate) fn over_bounds(check: &str, what: &str) {
    tracing::warn!(target: "health", check, what, "a result was over its bounds and is shown without it");
}

/// Tells that a failure is taken for known, or no longer.
pub(crate) fn muted(check: &str, muted: Option<&Muted>) {
    match muted {
        Some(Muted { until, note }) => {
            let note = note.as_deref().unwrap_or_default();
            tracing::warn!(target: "health", check, until = rfc3339(*until), note, "check is muted");
        }
        None => tracing::info!(target: "health", check, "check is no longer muted"),
    }
}

/// Tells of a panic; its payload goes nowhere else.
pub(crate) fn panicked(check: &str, payload: &str) {
    tracing::error!(target: "health", check, payload, "check panicked");
}

/// Tells why a drain is over.
pub(crate) fn drained(drained: Drained) {
    match drained {
        Drained::Finished => tracing::info!(target: "health", "drained: no work is in progress"),
        Drained::LimitReached { in_flight } => {
            tracing::warn!(target: "health", in_flight, "drained: the limit was reached while work was in progress");
        }
    }
}
