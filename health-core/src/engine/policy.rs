//! The policy: pure functions that derive the state of a check from its runs, and the verdict of a report from its
//! checks.
//!
//! [`fold`] applies the thresholds, [`spacing`] decides when a check runs next, [`effective_status`] applies
//! dependencies and mutes, and [`verdict`] judges a report. [`contribution`] is the status with which a check counts in
//! a report. Nothing here waits, locks, reads a clock or depends on a format.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::{
    config::plan::Plan,
    engine::tally::Tally,
    model::{
        report::{self, CheckReport, Subject, contribution},
        status::{Lifecycle, Probe, Reason, Status},
    },
};

/// The state of a check, derived from its own runs only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CheckState {
    /// The status after thresholds; `None` while pending, that is, until the first run has finished.
    pub(super) status: Option<Status>,
    pub(super) reason: Option<Reason>,
    /// The number of failed runs in a row, up to the last run.
    pub(super) failures: u32,
    /// The number of successful runs in a row, up to the last run.
    pub(super) successes: u32,
    pub(super) ever_succeeded: bool,
}

/// The thresholds of a check: the numbers of runs in a row after which its status changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thresholds {
    /// The number of failed runs in a row that turn a Healthy or Degraded check Unhealthy.
    pub(super) failures: u32,
    /// The number of successful runs in a row that end the status Unhealthy.
    pub(super) successes: u32,
}

/// Folds one finished run into the state of its check.
///
/// Until the first success the thresholds do not apply. After it, a failing check is Degraded, with the reason of the
/// failure, until `failures` runs in a row have failed. An Unhealthy check stays Unhealthy until `successes` runs in a
/// row have succeeded. A run with the opposite outcome resets the count.
pub(super) fn fold(
    previous: &CheckState,
    status: Status,
    reason: Option<Reason>,
    thresholds: Thresholds,
) -> CheckState {
    let was_unhealthy = previous.status == Some(Status::Unhealthy);
    if status == Status::Unhealthy {
        let failures = previous.failures.saturating_add(1);
        let tolerated = previous.ever_succeeded && !was_unhealthy && failures < thresholds.failures;
        let status = if tolerated { Status::Degraded } else { Status::Unhealthy };
        CheckState { status: Some(status), reason, failures, successes: 0, ever_succeeded: previous.ever_succeeded }
    } else {
        let successes = previous.successes.saturating_add(1);
        let distrusted = previous.ever_succeeded && was_unhealthy && successes < thresholds.successes;
        let (status, reason) = if distrusted { (Status::Unhealthy, previous.reason) } else { (status, reason) };
        CheckState { status: Some(status), reason, failures: 0, successes, ever_succeeded: true }
    }
}

/// Returns the time from the start of one run to the start of the next: the interval while the check is Healthy,
/// otherwise the recheck. From the tenth failed run in a row on, each failed run doubles the recheck, up to the
/// interval.
pub(super) fn spacing(plan: &Plan, state: &CheckState) -> Duration {
    if state.status == Some(Status::Healthy) {
        return plan.traits.interval;
    }
    let doublings = state.failures.saturating_sub(9).min(31);
    plan.recheck.saturating_mul(1 << doublings).min(plan.traits.interval)
}

/// A check on which another check depends.
pub(super) struct Upstream<'a> {
    pub(super) name: &'a Arc<str>,
    /// Whether its dependants are held back, because its last run failed or because it is held back itself.
    pub(super) holds_back: bool,
    pub(super) effective: &'a EffectiveStatus,
}

/// The status of a check after dependencies and mutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EffectiveStatus {
    pub(super) status: Status,
    pub(super) reason: Option<Reason>,
    /// The checks that explain the reason `dependency`.
    pub(super) caused_by: Vec<Arc<str>>,
    /// Whether the check would be Unhealthy if neither it nor a check that it waits for were muted.
    pub(super) failing: bool,
}

/// Returns the status of a check after dependencies and mutes.
///
/// A check that is held back keeps its own status until an upstream is Unhealthy. Then it is Unhealthy with the reason
/// `dependency`. A muted check is at most Degraded, and so is a check that waits only for muted checks.
pub(super) fn effective_status(
    state: &CheckState,
    held_back: bool,
    upstreams: &[Upstream<'_>],
    muted: bool,
) -> EffectiveStatus {
    let effective = unmuted_status(state, held_back, upstreams);
    if muted { EffectiveStatus { status: effective.status.min(Status::Degraded), ..effective } } else { effective }
}

fn unmuted_status(state: &CheckState, held_back: bool, upstreams: &[Upstream<'_>]) -> EffectiveStatus {
    let mut caused_by: Vec<Arc<str>> = Vec::new();
    let mut all_muted = true;
    if held_back {
        for upstream in upstreams.iter().filter(|up| up.holds_back && up.effective.failing) {
            all_muted &= upstream.effective.status < Status::Unhealthy;
            let causes = match upstream.effective.reason {
                Some(Reason::Dependency) => upstream.effective.caused_by.as_slice(),
                _ => std::slice::from_ref(upstream.name),
            };
            for cause in causes {
                if !caused_by.contains(cause) {
                    caused_by.push(Arc::clone(cause));
                }
            }
        }
    }
    if caused_by.is_empty() {
        let (status, reason) = match state.status {
            Some(status) => (status, state.reason),
            None => (Status::Unhealthy, Some(Reason::Pending)),
        };
        EffectiveStatus { status, reason, caused_by, failing: status == Status::Unhealthy }
    } else {
        let status = if all_muted { Status::Degraded } else { Status::Unhealthy };
        EffectiveStatus { status, reason: Some(Reason::Dependency), caused_by, failing: true }
    }
}

/// The state of the service, which affects the verdict of every report in addition to the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServiceState {
    pub(super) lifecycle: Lifecycle,
    /// Whether startup has passed. Once passed, it stays passed.
    pub(super) startup_passed: bool,
    /// Whether the scheduler has given no sign of life for so long that no result can be trusted.
    pub(super) scheduler_stale: bool,
}

/// The verdict of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) status: Status,
    /// The reason of the report itself, which comes from the service and from no check.
    pub(super) reason: Option<Reason>,
}

/// Returns the verdict of a report on `subject`: Unhealthy with a reason if the state of the service demands it,
/// otherwise the worst status with which a member counts.
pub(super) fn verdict(tally: &Tally, subject: &Subject, state: ServiceState) -> Verdict {
    let lifecycle = match subject {
        Subject::All | Subject::Tag(_) | Subject::Probe(Probe::Readiness) => state.lifecycle.reason(),
        Subject::Probe(Probe::Liveness | Probe::Startup) | Subject::Check(_) => None,
    };
    let reason = if state.scheduler_stale { Some(Reason::Stale) } else { lifecycle };
    Verdict { status: if reason.is_some() { Status::Unhealthy } else { tally.worst() }, reason }
}

/// Returns the status of a report without the lifecycle, and its severity for alerts: 0 for Healthy, 1 for Degraded,
/// 2 for Unhealthy, and 3 if every check that counts with the worst status is pending or stale.
pub(super) fn severity(tally: &Tally, state: ServiceState) -> (Status, u8) {
    if state.scheduler_stale {
        return (Status::Unhealthy, 3);
    }
    (tally.worst(), report::severity(tally.worst(), tally.worst_is_unknown()))
}

/// Returns the names of the root causes: the Unhealthy members that no other check explains, and the checks, in the
/// report or not, that explain an Unhealthy member. Looks at no check if all of them count as Healthy.
pub(super) fn root_causes<'c>(
    tally: &Tally,
    members: impl Iterator<Item = &'c CheckReport>,
    subject: &Subject,
    startup_passed: bool,
) -> Vec<Arc<str>> {
    if tally.worst() == Status::Healthy {
        return Vec::new();
    }
    let (mut roots, mut known): (Vec<Arc<str>>, HashSet<&str>) = (Vec::new(), HashSet::new());
    let failing = members.filter(|check| {
        check.status == Status::Unhealthy
            && check.reason != Some(Reason::Pending)
            && contribution(check, subject, startup_passed) > Status::Healthy
    });
    for check in failing {
        let causes = match check.reason {
            Some(Reason::Dependency) => check.caused_by.as_slice(),
            _ => std::slice::from_ref(&check.name),
        };
        roots.extend(causes.iter().filter(|cause| known.insert(cause)).cloned());
    }
    roots
}

#[cfg(test)]
mod tests;
