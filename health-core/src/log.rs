//! One line per change, and per check at most one in ten seconds, under the target `health`: the one place where the text of an error is told in full, redacted.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Change, CheckChange, Drained, Lifecycle, Muted, Status,
    clock::{Nanos, rfc3339},
};

/// A check's changes are told at most once in this time.
const PAUSE: Nanos = 10_000_000_000;

/// What has been told of each check lately, so that one that flaps, or panics in every run, does not fill the log.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    changes: HashMap<Arc<str>, Told>,
    panics: HashMap<Arc<str>, Panics>,
}

#[derive(Debug, Default)]
struct Told {
    at: Option<Nanos>,
    /// Changes that were kept back since, and the last of them.
    suppressed: u32,
    last: Option<CheckChange>,
}

#[derive(Debug)]
struct Panics {
    told: Nanos,
    /// Those that were kept back since.
    suppressed: u32,
}

/// A change to be told, and how many of the same check came before it that nobody was told of.
#[derive(Debug)]
pub(crate) struct Line(Change, u32);

impl Lines {
    /// What is to be told now of these; the rest is kept back. With the end of the checks everything is told.
    pub(crate) fn admitted(&mut self, changes: &[Change], now: Nanos) -> Vec<Line> {
        let mut lines = Vec::new();
        for change in changes {
            match change {
                Change::Check(of_a_check) => {
                    let told = self.changes.entry(Arc::clone(&of_a_check.check)).or_default();
                    if told.at.is_some_and(|at| now.saturating_sub(at) < PAUSE) {
                        told.suppressed += 1;
                        told.last = Some(of_a_check.clone());
                    } else {
                        lines.push(Line(change.clone(), told.suppressed));
                        *told = Told { at: Some(now), ..Told::default() };
                    }
                }
                Change::Lifecycle(of_life) => {
                    if of_life.to == Lifecycle::Stopped {
                        lines.extend(self.overdue(Nanos::MAX));
                    }
                    lines.push(Line(change.clone(), 0));
                }
            }
        }
        lines
    }

    /// What was kept back for long enough: the last change of each check.
    pub(crate) fn overdue(&mut self, now: Nanos) -> Vec<Line> {
        let mut overdue = Vec::new();
        self.panics.retain(|_, panics| now.saturating_sub(panics.told) < PAUSE * 10);
        self.changes.retain(|_, told| {
            if told.at.is_some_and(|at| now.saturating_sub(at) < PAUSE) {
                return true;
            }
            let Some(change) = told.last.take() else { return false };
            overdue.push(Line(Change::Check(change), told.suppressed - 1));
            *told = Told { at: Some(now), ..Told::default() };
            true
        });
        overdue
    }

    /// Whether a panic of this check is to be told now: how many came before it that nobody was told of. What it does to
    /// the check's status is a change like any other.
    pub(crate) fn panicked(&mut self, check: &Arc<str>, now: Nanos) -> Option<u32> {
        let suppressed = match self.panics.get_mut(check) {
            Some(panics) if now.saturating_sub(panics.told) < PAUSE => {
                panics.suppressed += 1;
                return None;
            }
            Some(panics) => panics.suppressed,
            None => 0,
        };
        self.panics.insert(Arc::clone(check), Panics { told: now, suppressed: 0 });
        Some(suppressed)
    }
}

/// Tells of a change.
pub(crate) fn tell(Line(change, suppressed): &Line) {
    match change {
        Change::Check(change) => line(change, *suppressed),
        Change::Lifecycle(change) => {
            tracing::info!(target: "health", from = change.from.as_str(), to = change.to.as_str(), "service moved on");
        }
    }
}

/// One line of a check, and how many came before that nobody was told of. Every status has its level: Unhealthy is an
/// error, Degraded a warning.
fn line(change: &CheckChange, suppressed: u32) {
    let check = &*change.check;
    let from = change.from.map_or("pending", Status::as_str);
    let to = change.to.as_str();
    let reason = change.reason.map_or("", crate::Reason::as_str);
    let error = change.log_message.as_deref().unwrap_or_default();
    let suppressed = (suppressed > 0).then_some(suppressed);
    match change.to {
        Status::Healthy => tracing::info!(target: "health", check, from, to, suppressed, "check is healthy"),
        Status::Degraded => {
            tracing::warn!(target: "health", check, from, to, reason, error, suppressed, "check is degraded");
        }
        Status::Unhealthy => {
            tracing::error!(target: "health", check, from, to, reason, error, suppressed, "check is unhealthy");
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
pub(crate) fn panicked(check: &str, payload: &str, suppressed: u32) {
    let suppressed = (suppressed > 0).then_some(suppressed);
    tracing::error!(target: "health", check, payload, suppressed, "check panicked");
}

/// Tells that the runtime gave nobody a turn for so long: why pages were stale meanwhile, which is no change of a check's.
pub(crate) fn stood_still(gap: Nanos) {
    let seconds = gap as f64 / 1e9;
    tracing::warn!(target: "health", seconds, "the runtime stood still: no check ran, and what grew too old was answered as stale");
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

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
