//! The short description of a report for external systems, as pure functions.

use crate::model::{
    report::{CheckReport, Report},
    status::{Reason, Status},
};

/// Returns the report without the effect of the lifecycle, so that a deployment changes nothing. The report of a dead
/// scheduler stays stale.
pub(super) fn without_lifecycle(mut report: Report) -> Report {
    if report.reason != Some(Reason::Stale) {
        report.reason = None;
        report.status = report.checks.iter().map(|check| report.counted(check)).max().unwrap_or(Status::Healthy);
    }
    report
}

/// Returns a short description of the cause of a bad report: the reason of the whole report, the root causes and the
/// pending checks, such as `database unreachable, cache slow`. Empty for a Healthy report. It contains no text of a
/// driver.
pub(super) fn cause(report: &Report) -> String {
    if report.status == Status::Healthy {
        return String::new();
    }
    let mut words: Vec<String> = report.reason.iter().map(ToString::to_string).collect();
    let describe = |check: &CheckReport| {
        let why = check.reason.map_or(check.status.as_str(), |reason| reason.as_str());
        format!("{} {why}", check.name)
    };
    // A root cause can be a check outside the report.
    words.extend(report.root_causes.iter().map(|name| report.check(name).map_or_else(|| name.to_string(), describe)));
    // A pending check is not a root cause, but it can make the report bad.
    let worst = report.checks.iter().filter(|check| report.counted(check) == report.status);
    let unnamed = worst.filter(|check| check.reason == Some(Reason::Pending) || report.root_causes.is_empty());
    words.extend(unnamed.map(|check| describe(check)));
    words.join(", ")
}
