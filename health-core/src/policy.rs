//! Every verdict, as pure functions: from a run to a check's standing, from checks to a report.
//!
//! Nothing here waits, locks, reads a clock or knows a format. "Three failures mean down" is [`fold`]; what a report
//! says is [`verdict`]; what a check counts for in it is [`contribution`].

use std::{sync::Arc, time::Duration};

use crate::{
    config::plan::Plan,
    model::{
        report::{CheckReport, Subject, contribution},
        status::{Impact, Lifecycle, Probe, Reason, Status},
    },
};

/// Where a check stands by its own runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// `None` until the first run has finished: pending.
    pub(crate) status: Option<Status>,
    pub(crate) reason: Option<Reason>,
    /// Failed runs in a row, ending with the last one.
    pub(crate) failures: u32,
    /// Successful runs in a row, ending with the last one.
    pub(crate) successes: u32,
    pub(crate) ever_succeeded: bool,
}

/// How many runs in a row turn a check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    pub(crate) failures: u32,
    pub(crate) successes: u32,
}

/// Folds one finished run into a check's standing.
///
/// Until the first success thresholds do not apply. After it, a good check shows Degraded with the real reason until
/// `failures` runs in a row have failed, and an Unhealthy one stays so until `successes` runs in a row have
/// succeeded; the opposite event resets the count.
pub(crate) fn fold(previous: &Standing, status: Status, reason: Option<Reason>, thresholds: Thresholds) -> Standing {
    let was_unhealthy = previous.status == Some(Status::Unhealthy);
    if status == Status::Unhealthy {
        let failures = previous.failures.saturating_add(1);
        let tolerated = previous.ever_succeeded && !was_unhealthy && failures < thresholds.failures;
        let status = if tolerated { Status::Degraded } else { Status::Unhealthy };
        Standing { status: Some(status), reason, failures, successes: 0, ever_succeeded: previous.ever_succeeded }
    } else {
        let successes = previous.successes.saturating_add(1);
        let distrusted = previous.ever_succeeded && was_unhealthy && successes < thresholds.successes;
        let (status, reason) = if distrusted { (Status::Unhealthy, previous.reason) } else { (status, reason) };
        Standing { status: Some(status), reason, failures: 0, successes, ever_succeeded: true }
    }
}

/// The time from the start of one run to the start of the next.
pub(crate) fn spacing(plan: &Plan, standing: &Standing) -> Duration {
    if standing.status == Some(Status::Healthy) {
        return plan.interval;
    }
    // After ten failed runs in a row it doubles with each one, up to the interval.
    let doublings = standing.failures.saturating_sub(9).min(31);
    plan.recheck.saturating_mul(1 << doublings).min(plan.interval)
}

/// A check on which others depend, as far as they care.
pub(crate) struct Upstream<'a> {
    pub(crate) name: &'a Arc<str>,
    /// Its last run failed, or it is not run because one above it failed.
    pub(crate) holds_back: bool,
    pub(crate) shown: &'a Shown,
}

/// What a check shows: its own standing, or that something it depends on is Unhealthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) caused_by: Vec<Arc<str>>,
    /// Unhealthy, whatever a mute makes of it.
    pub(crate) failing: bool,
}

/// What a check shows. A check that is held back keeps its own verdict until an upstream is Unhealthy. A muted one is at
/// most Degraded, and so is one that waits for nothing but muted ones.
pub(crate) fn shown(standing: &Standing, held_back: bool, upstreams: &[Upstream<'_>], muted: bool) -> Shown {
    let shown = unmuted(standing, held_back, upstreams);
    if muted { Shown { status: shown.status.min(Status::Degraded), ..shown } } else { shown }
}

fn unmuted(standing: &Standing, held_back: bool, upstreams: &[Upstream<'_>]) -> Shown {
    let mut caused_by: Vec<Arc<str>> = Vec::new();
    let mut known = true;
    if held_back {
        for upstream in upstreams.iter().filter(|up| up.holds_back && up.shown.failing) {
            known &= upstream.shown.status < Status::Unhealthy;
            let causes = match upstream.shown.reason {
                Some(Reason::Dependency) => upstream.shown.caused_by.as_slice(),
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
        let (status, reason) = match standing.status {
            Some(status) => (status, standing.reason),
            None => (Status::Unhealthy, Some(Reason::Pending)),
        };
        Shown { status, reason, caused_by, failing: status == Status::Unhealthy }
    } else {
        let status = if known { Status::Degraded } else { Status::Unhealthy };
        Shown { status, reason: Some(Reason::Dependency), caused_by, failing: true }
    }
}

/// Everything beside the checks that decides a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) lifecycle: Lifecycle,
    /// Startup was passed once: it stays 200.
    pub(crate) startup_passed: bool,
    /// The scheduler has not beaten for too long: nothing it says can be believed.
    pub(crate) scheduler_stale: bool,
}

/// A report's status, the reason that is not a check's, and the checks at the root of it.
pub(crate) struct Verdict {
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) root_causes: Vec<Arc<str>>,
}

/// Judges a report on `subject` over its members.
pub(crate) fn verdict(members: &[Arc<CheckReport>], subject: &Subject, circumstances: Circumstances) -> Verdict {
    let worst = members
        .iter()
        .map(|check| contribution(check, subject, circumstances.startup_passed))
        .max()
        .unwrap_or(Status::Healthy);
    let lifecycle = match subject {
        Subject::All | Subject::Tag(_) | Subject::Probe(Probe::Readiness) => circumstances.lifecycle.reason(),
        Subject::Probe(Probe::Liveness | Probe::Startup) | Subject::Check(_) => None,
    };
    let reason = if circumstances.scheduler_stale { Some(Reason::Stale) } else { lifecycle };
    Verdict {
        status: if reason.is_some() { Status::Unhealthy } else { worst },
        reason,
        root_causes: root_causes(members, subject, circumstances.startup_passed),
    }
}

/// The status of a report on `subject` whatever the phase of life, and how severe that is to whoever is paged: 0 to 2 by
/// status, 3 where it is not known, because all that makes it so bad is pending or stale.
pub(crate) fn severity(members: &[Arc<CheckReport>], subject: &Subject, circumstances: Circumstances) -> (Status, u8) {
    if circumstances.scheduler_stale {
        return (Status::Unhealthy, 3);
    }
    let counted = |check: &&Arc<CheckReport>| contribution(check, subject, circumstances.startup_passed);
    let worst = members.iter().map(|check| counted(&check)).max().unwrap_or(Status::Healthy);
    let mut causes = members.iter().filter(|check| counted(check) == worst);
    (worst, severity_of(worst, causes.all(|check| is_unknown(check))))
}

/// The same of one check by itself.
pub(crate) fn check_severity(check: &CheckReport) -> u8 {
    severity_of(check.status, is_unknown(check))
}

fn severity_of(status: Status, is_unknown: bool) -> u8 {
    match status {
        Status::Healthy => 0,
        _ if is_unknown => 3,
        Status::Degraded => 1,
        Status::Unhealthy => 2,
    }
}

fn is_unknown(check: &CheckReport) -> bool {
    matches!(check.reason, Some(Reason::Pending | Reason::Stale))
}

/// The Unhealthy checks that no other check explains, and those outside the report that explain one in it.
fn root_causes(members: &[Arc<CheckReport>], subject: &Subject, startup_passed: bool) -> Vec<Arc<str>> {
    let mut roots: Vec<Arc<str>> = Vec::new();
    let failing = members.iter().filter(|check| {
        check.status == Status::Unhealthy
            && check.reason != Some(Reason::Pending)
            && contribution(check, subject, startup_passed) > Status::Healthy
    });
    for check in failing {
        let causes = match check.reason {
            Some(Reason::Dependency) => check.caused_by.as_slice(),
            _ => std::slice::from_ref(&check.name),
        };
        for cause in causes {
            if !roots.contains(cause) {
                roots.push(Arc::clone(cause));
            }
        }
    }
    roots
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
