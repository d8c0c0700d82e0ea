//! What every part of a page knows besides its report.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use crate::model::{
    report::{CheckReport, Report, Subject},
    status::{Impact, Probe, Reason, Status, Visibility},
};

/// The verdict on a probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    /// Whether everything that makes the status bad is unknown.
    pub(crate) is_unknown: bool,
}

/// What a page shows besides its report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The time printed.
    pub(crate) now: SystemTime,
    /// The time in whole seconds until the first critical result on the page expires.
    pub(crate) expires_in: u64,
    /// The verdicts of the probes.
    pub(crate) probes: [(Probe, Verdict); 3],
    /// Whether everything that makes the verdict bad is unknown.
    pub(crate) is_unknown: bool,
    /// The last segment of the path of the full report.
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

/// The paths of other pages, relative to the page.
pub(super) struct Paths {
    pub(super) home: String,
    /// What comes before `checks/…` and `metrics`.
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

/// The word for the effect of a failure.
pub(super) fn impact(check: &CheckReport) -> &'static str {
    match check.impact {
        Impact::Critical => "critical",
        Impact::Optional => "optional",
    }
}

/// The name of what a page is about; `None` for the full report.
pub(super) fn subject_name(subject: &Subject) -> Option<&str> {
    match subject {
        Subject::All => None,
        Subject::Probe(probe) => Some(probe.as_str()),
        Subject::Tag(name) | Subject::Check(name) => Some(name),
    }
}

/// The reason of the whole report; on the page of a check, that of the check.
pub(super) fn reason(report: &Report) -> Option<Reason> {
    match (&report.subject, report.checks.first()) {
        (Subject::Check(_), Some(check)) => check.reason,
        _ => report.reason,
    }
}

/// The time from which on a check has had its status; `None` if the status is unknown.
pub(super) fn known_since(check: &CheckReport) -> Option<SystemTime> {
    check.since.filter(|_| !check.is_unknown())
}
