//! The context of a page: the values that its parts show in addition to the report.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use crate::model::{
    report::{CheckReport, Report, Subject},
    status::{Impact, Probe, Reason, Status, Visibility},
};

/// The verdict of a probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    /// Whether the status is bad and all of the worst checks are unknown: pending or stale.
    pub(crate) is_unknown: bool,
}

/// The values that a page shows in addition to its report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The printed time.
    pub(crate) now: SystemTime,
    /// The time in whole seconds until the first critical result on the page expires.
    pub(crate) expires_in: u64,
    /// The verdicts of the probes.
    pub(crate) probes: [(Probe, Verdict); 3],
    /// Whether the verdict is bad and all of the worst checks are unknown: pending or stale.
    pub(crate) is_unknown: bool,
    /// The last segment of the base path, which is the path of the full report.
    pub(crate) base: &'a str,
    pub(crate) visibility: Visibility,
    /// The time from the start of the service to the report.
    pub(crate) uptime: Duration,
}

impl Context<'_> {
    pub(super) fn sees_names(&self) -> bool {
        self.visibility > Visibility::Status
    }

    pub(super) fn sees_all(&self) -> bool {
        self.visibility == Visibility::Full
    }
}

/// The paths of other pages, relative to this page.
pub(super) struct Paths {
    /// The path of the full report.
    pub(super) home: String,
    /// The prefix of `checks/…`, `tags/…`, `metrics` and the probes.
    pub(super) below: Cow<'static, str>,
}

impl Paths {
    pub(super) fn of(subject: &Subject, base: &str) -> Self {
        match subject {
            Subject::All => Self { home: base.to_owned(), below: format!("{base}/").into() },
            Subject::Probe(_) => Self { home: format!("../{base}"), below: "".into() },
            Subject::Tag(_) | Subject::Check(_) => Self { home: format!("../../{base}"), below: "../".into() },
        }
    }
}

/// Returns the word for the impact of a check.
pub(super) fn impact(check: &CheckReport) -> &'static str {
    match check.impact {
        Impact::Critical => "critical",
        Impact::Optional => "optional",
    }
}

/// Returns the name of the subject of a page; `None` for the full report.
pub(super) fn subject_name(subject: &Subject) -> Option<&str> {
    match subject {
        Subject::All => None,
        Subject::Probe(probe) => Some(probe.as_str()),
        Subject::Tag(name) | Subject::Check(name) => Some(name),
    }
}

/// Returns the reason of the whole report; on the page of a check, the reason of the check.
pub(super) fn reason(report: &Report) -> Option<Reason> {
    match (&report.subject, report.checks.first()) {
        (Subject::Check(_), Some(check)) => check.reason,
        _ => report.reason,
    }
}

/// Returns the time since which a check has its status; `None` if the status is unknown.
pub(super) fn known_since(check: &CheckReport) -> Option<SystemTime> {
    check.since.filter(|_| !check.is_unknown())
}
