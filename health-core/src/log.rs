//! One line per change, and per check at most one in ten seconds, under the target `health`: the one place where the text of an error is told in full, redacted.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    model::{
        change::{Change, CheckChange, Drained},
        report::Muted,
        status::{Lifecycle, Status},
    },
    time::{Nanos, rfc3339},
};

/// A check's changes are told at most once in this time.
const PAUSE: Nanos = 10_000_000_000;

/// What has been told of each check lately, so that one that flaps, or panics in every run, does not fill the log.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    changes: HashMap<Arc<str>, Told>,
    panics: HashMap<Arc<str>, Panics>,
    stood_still: Option<Nanos>,
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
    /// Those that were kept back since, and what the last of them said.
    suppressed: u32,
    last: Option<Box<str>>,
}

/// What is to be told, and how many of the same check came before it that nobody was told of.
#[derive(Debug)]
pub(crate) enum Line {
    Change(Change, u32),
    Panic { check: Arc<str>, payload: Box<str>, suppressed: u32 },
}

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
                        lines.push(Line::Change(change.clone(), told.suppressed));
                        *told = Told { at: Some(now), ..Told::default() };
                    }
                }
                Change::Lifecycle(of_life) => {
                    if of_life.to == Lifecycle::Stopped {
                        lines.extend(self.overdue(Nanos::MAX));
                    }
                    lines.push(Line::Change(change.clone(), 0));
                }
            }
        }
        lines
    }

    /// What was kept back for long enough: the last change and the last panic of each check.
    pub(crate) fn overdue(&mut self, now: Nanos) -> Vec<Line> {
        let mut overdue = Vec::new();
        self.panics.retain(|check, panics| {
            if now.saturating_sub(panics.told) < PAUSE {
                return true;
            }
            let Some(payload) = panics.last.take() else { return false };
            let suppressed = panics.suppressed - 1;
            overdue.push(Line::Panic { check: Arc::clone(check), payload, suppressed });
            *panics = Panics { told: now, suppressed: 0, last: None };
            true
        });
        self.changes.retain(|_, told| {
            if told.at.is_some_and(|at| now.saturating_sub(at) < PAUSE) {
                return true;
            }
            let Some(change) = told.last.take() else { return false };
            overdue.push(Line::Change(Change::Check(change), told.suppressed - 1));
            *told = Told { at: Some(now), ..Told::default() };
            true
        });
        overdue
    }

    /// The line for a panic of a check, unless there has just been one: then it is kept back. What a panic does to the
    /// check's status is a change like any other.
    pub(crate) fn panicked(&mut self, check: &Arc<str>, payload: Box<str>, now: Nanos) -> Option<Line> {
        let suppressed = match self.panics.get_mut(check) {
            Some(panics) if now.saturating_sub(panics.told) < PAUSE => {
                panics.suppressed += 1;
                panics.last = Some(payload);
                return None;
            }
            Some(panics) => panics.suppressed,
            None => 0,
        };
        self.panics.insert(Arc::clone(check), Panics { told: now, suppressed: 0, last: None });
        Some(Line::Panic { check: Arc::clone(check), payload, suppressed })
    }

    /// Whether it is time to tell that the runtime stood still: at most as often as of a check.
    pub(crate) fn stood_still(&mut self, now: Nanos) -> bool {
        let is_time = self.stood_still.is_none_or(|told| now.saturating_sub(told) >= PAUSE);
        if is_time {
            self.stood_still = Some(now);
        }
        is_time
    }
}

/// Tells of a change or a panic. What a panic says goes nowhere else.
pub(crate) fn tell(told: &Line) {
    match told {
        Line::Change(Change::Check(change), suppressed) => line(change, *suppressed),
        Line::Change(Change::Lifecycle(change), _) => {
            tracing::info!(target: "health", from = change.from.as_str(), to = change.to.as_str(), "service moved on");
        }
        Line::Panic { check, payload, suppressed } => {
            let suppressed = (*suppressed > 0).then_some(*suppressed);
            tracing::error!(target: "health", check = &**check, payload = &**payload, suppressed, "check panicked");
        }
    }
}

/// One line of a check, and how many came before that nobody was told of. Every status has its level: Unhealthy is an
/// error, Degraded a warning.
fn line(change: &CheckChange, suppressed: u32) {
    let check = &*change.check;
    let from = change.from.map_or("pending", Status::as_str);
    let to = change.to.as_str();
    let reason = change.reason.map_or("", crate::model::status::Reason::as_str);
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

/// Tells that the runtime gave nobody a turn for so long: pages may be stale then, which is no change of a check's.
pub(crate) fn stood_still(gap: Duration) {
    let seconds = gap.as_secs_f64();
    let words = "the runtime stood still: no check ran, and what grew too old meanwhile was answered as stale";
    tracing::warn!(target: "health", seconds, "{words}");
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
