//! The log of the service, under the tracing target `health`: one line per change. It is the only output with the long
//! form of error texts (4096 characters instead of 256). The texts are redacted.
//!
//! After a line about a check, [`LogLimiter`] holds the check's changes back for ten seconds, so that a check that
//! flaps does not fill the log. A failure is held back only by another failure, so that an outage has its error in the
//! log although a recovery was logged just before. The last change that was held back is written after the ten seconds.
//! A check that panics in every run has one line about panics in ten seconds.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    model::{
        change::{Change, CheckChange, Drained},
        report::Muted,
        status::{Lifecycle, Reason, Status},
    },
    time::{Nanos, rfc3339},
};

/// The shortest time between two lines of one kind about one check.
const PAUSE: Nanos = 10_000_000_000;

/// The rate limit of log lines, which decides whether a line is written now or held back.
#[derive(Debug, Default)]
pub(super) struct LogLimiter {
    changes: HashMap<Arc<str>, LimitedChanges>,
    panics: HashMap<Arc<str>, LimitedPanics>,
    last_stall: Option<Nanos>,
}

#[derive(Debug, Default)]
struct LimitedChanges {
    written: Option<Nanos>,
    /// The time of the last line that reported Unhealthy.
    failed: Option<Nanos>,
    /// The number of changes held back since the last line.
    suppressed: u32,
    /// The last change held back.
    last: Option<CheckChange>,
}

impl LimitedChanges {
    /// Whether a change to this status is held back now.
    fn holds_back(&self, to: Status, now: Nanos) -> bool {
        let last = if to == Status::Unhealthy { self.failed } else { self.written };
        last.is_some_and(|at| now.saturating_sub(at) < PAUSE)
    }

    /// Records that a line about a change to this status is written, and returns the number of lines held back before.
    fn record_line(&mut self, to: Status, now: Nanos) -> u32 {
        let suppressed = self.suppressed;
        let failed = if to == Status::Unhealthy { Some(now) } else { self.failed };
        *self = Self { written: Some(now), failed, suppressed: 0, last: None };
        suppressed
    }
}

#[derive(Debug)]
struct LimitedPanics {
    written: Nanos,
    /// The number of panics held back since the last line.
    suppressed: u32,
    /// The text of the last panic held back.
    last: Option<Box<str>>,
}

/// A line to write, with the number of lines of the same kind about the same check that were suppressed before it.
#[derive(Debug)]
pub(super) enum LogLine {
    Change(Change, u32),
    Panic { check: Arc<str>, payload: Box<str>, suppressed: u32 },
}

impl LogLimiter {
    /// Returns the lines to write now for these changes. The change to Stopped also returns every line that is held
    /// back.
    pub(super) fn admit_changes(&mut self, changes: &[Change], now: Nanos) -> Vec<LogLine> {
        let mut lines = Vec::new();
        for change in changes {
            match change {
                Change::Check(of_a_check) => {
                    let limited = self.changes.entry(Arc::clone(&of_a_check.check)).or_default();
                    if limited.holds_back(of_a_check.to, now) {
                        limited.suppressed += 1;
                        limited.last = Some(of_a_check.clone());
                    } else {
                        lines.push(LogLine::Change(change.clone(), limited.record_line(of_a_check.to, now)));
                    }
                }
                Change::Lifecycle(of_life) => {
                    if of_life.to == Lifecycle::Stopped {
                        lines.extend(self.overdue(Nanos::MAX));
                    }
                    lines.push(LogLine::Change(change.clone(), 0));
                }
            }
        }
        lines
    }

    /// Returns the held-back lines that may be written now: the last change and the last panic of each check.
    pub(super) fn overdue(&mut self, now: Nanos) -> Vec<LogLine> {
        let mut overdue = Vec::new();
        self.panics.retain(|check, limited| {
            if now.saturating_sub(limited.written) < PAUSE {
                return true;
            }
            let Some(payload) = limited.last.take() else { return false };
            let suppressed = limited.suppressed - 1;
            overdue.push(LogLine::Panic { check: Arc::clone(check), payload, suppressed });
            *limited = LimitedPanics { written: now, suppressed: 0, last: None };
            true
        });
        self.changes.retain(|_, limited| {
            if limited.written.is_some_and(|at| now.saturating_sub(at) < PAUSE) {
                return true;
            }
            let Some(change) = limited.last.take() else { return false };
            let suppressed = limited.record_line(change.to, now) - 1;
            overdue.push(LogLine::Change(Change::Check(change), suppressed));
            true
        });
        // At startup every check has a change. Later few checks have one, so the memory is released.
        if self.changes.capacity() > 8 * self.changes.len() {
            self.changes.shrink_to(2 * self.changes.len());
        }
        overdue
    }

    /// Returns the line for a panic of a check, or holds it back. The change of status that a panic causes is logged
    /// separately.
    pub(super) fn admit_panic(&mut self, check: &Arc<str>, payload: Box<str>, now: Nanos) -> Option<LogLine> {
        let suppressed = match self.panics.get_mut(check) {
            Some(limited) if now.saturating_sub(limited.written) < PAUSE => {
                limited.suppressed += 1;
                limited.last = Some(payload);
                return None;
            }
            Some(limited) => limited.suppressed,
            None => 0,
        };
        self.panics.insert(Arc::clone(check), LimitedPanics { written: now, suppressed: 0, last: None });
        Some(LogLine::Panic { check: Arc::clone(check), payload, suppressed })
    }

    /// Whether a stall of the runtime may be logged now.
    pub(super) fn admit_stall(&mut self, now: Nanos) -> bool {
        let is_admitted = self.last_stall.is_none_or(|last| now.saturating_sub(last) >= PAUSE);
        if is_admitted {
            self.last_stall = Some(now);
        }
        is_admitted
    }
}

/// Writes a line. The text of a panic appears in the log only.
pub(super) fn write(line: &LogLine) {
    match line {
        LogLine::Change(Change::Check(change), suppressed) => write_check(change, *suppressed),
        LogLine::Change(Change::Lifecycle(change), _) => {
            tracing::info!(target: "health", from = change.from.as_str(), to = change.to.as_str(), "lifecycle changed");
        }
        LogLine::Panic { check, payload, suppressed } => {
            let suppressed = (*suppressed > 0).then_some(*suppressed);
            tracing::error!(target: "health", check = &**check, payload = &**payload, suppressed, "check panicked");
        }
    }
}

/// Writes the change of a check, at the level error if it is Unhealthy, warn if Degraded, and info if Healthy.
fn write_check(change: &CheckChange, suppressed: u32) {
    let check = &*change.check;
    let from = change.from.map_or("pending", Status::as_str);
    let to = change.to.as_str();
    let reason = change.reason.map_or("", Reason::as_str);
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

/// Warns that a result of a check exceeds a limit. Called once per check.
pub(super) fn limit_exceeded(check: &str, limit: &str) {
    tracing::warn!(target: "health", check, limit, "check result exceeds a limit: the excess is dropped");
}

/// Logs that a check is muted, or that it is no longer muted.
pub(super) fn muted(check: &str, muted: Option<&Muted>) {
    match muted {
        Some(Muted { until, note }) => {
            let note = note.as_deref().unwrap_or_default();
            tracing::warn!(target: "health", check, until = rfc3339(*until).as_str(), note, "check is muted");
        }
        None => tracing::info!(target: "health", check, "check is no longer muted"),
    }
}

/// Warns that the runtime has run no task for `gap`. Results may have expired meanwhile. An expired result is not a
/// change of a check, so it has no log line of its own.
pub(super) fn stall(gap: Duration) {
    let seconds = gap.as_secs_f64();
    tracing::warn!(
        target: "health",
        seconds,
        "runtime stalled: no check ran, and results that expired meanwhile were reported as stale"
    );
}

/// Warns that a mounted endpoint has never received a request.
pub(super) fn unasked() {
    tracing::warn!(
        target: "health",
        "endpoint received no request for a minute: nothing probes it, or the application answers its paths; \
         mount the endpoint outermost and last"
    );
}

/// Logs the end of a drain and its cause.
pub(crate) fn drained(drained: Drained) {
    match drained {
        Drained::Finished => tracing::info!(target: "health", "drained: no work is in progress"),
        Drained::LimitReached { in_flight } => {
            tracing::warn!(target: "health", in_flight, "drained: time limit reached while work was in progress");
        }
    }
}

#[cfg(test)]
mod tests;
