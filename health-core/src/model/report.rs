//! The report model: all answers at one moment, as plain data. Formats live in `render`.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::model::{
    history::History,
    observed::Observed,
    status::{Impact, Kind, Lifecycle, Probe, Reason, Status, Visibility},
};

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// Every check.
    All,
    /// The checks that count for a probe.
    Probe(Probe),
    /// The checks with a tag.
    Tag(Arc<str>),
    /// One check, answering for itself.
    Check(Arc<str>),
}

/// All answers, or those of one probe, tag or check, at one moment.
///
/// Immutable and cheap to share.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What it is about.
    pub subject: Subject,
    /// The worst of what its checks count for, overruled by [`reason`](Self::reason).
    pub status: Status,
    /// Why the report is Unhealthy whatever its checks say: `starting`, `draining`, `stopped` or `stale`.
    pub reason: Option<Reason>,
    /// The Unhealthy checks that no other check explains.
    pub root_causes: Vec<Arc<str>>,
    /// The checks, in registration order.
    pub checks: Vec<Arc<CheckReport>>,
    /// The service's name, if it was given.
    pub service: Option<Arc<str>>,
    /// The service's version, if it was given.
    pub version: Option<Arc<str>>,
    /// Where the service stands in its life.
    pub lifecycle: Lifecycle,
    /// The time from the start of the checks to the last result in this report.
    pub uptime: Duration,
    pub(crate) startup_passed: bool,
}

impl Report {
    /// The check of that name, if it is in this report.
    #[must_use]
    pub fn check(&self, name: &str) -> Option<&CheckReport> {
        self.checks.iter().find(|check| &*check.name == name).map(|check| &**check)
    }

    /// What a check counts for in this report: an Optional one at most Degraded, for instance.
    #[must_use]
    pub fn counted(&self, check: &CheckReport) -> Status {
        contribution(check, &self.subject, self.startup_passed)
    }

    /// The report with everything removed or zero that `visibility` does not show. What remains beyond it, as it has
    /// no empty value, are the lifecycle and each check's kind.
    #[must_use]
    pub fn limited_to(&self, visibility: Visibility) -> Self {
        let mut report = self.clone();
        if visibility < Visibility::Full {
            report.service = None;
            report.version = None;
            report.uptime = Duration::ZERO;
            for check in &mut report.checks {
                *check = Arc::new(check.public());
            }
        }
        if visibility < Visibility::Checks {
            report.checks.clear();
            report.root_causes.clear();
            report.reason = None;
            report.subject = match report.subject {
                subject @ (Subject::All | Subject::Probe(_)) => subject,
                _ => Subject::All,
            };
        }
        report
    }
}

/// One check's part of a report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// Its name.
    pub name: Arc<str>,
    /// Its own verdict. A check that has not run yet is Unhealthy with the reason `pending`.
    pub status: Status,
    /// The public category of a bad verdict.
    pub reason: Option<Reason>,
    /// How far its failure reaches.
    pub impact: Impact,
    /// When the last run finished; `None` while pending.
    pub checked_at: Option<SystemTime>,
    /// How long the last run took; `None` while pending.
    pub duration: Option<Duration>,
    /// When the status last changed; `None` while pending.
    pub since: Option<SystemTime>,
    /// The redacted text of the last bad outcome. Shown at full visibility only.
    pub message: Option<Arc<str>>,
    /// The same text at the length of a log line.
    pub(crate) log_message: Option<Arc<str>>,
    /// Numbers seen by the last run. Shown at full visibility only.
    pub observed: Arc<[Observed]>,
    /// Anything else the last run told. Shown at full visibility only.
    pub details: Arc<[(Cow<'static, str>, Value)]>,
    /// Who can cause a failure.
    pub kind: Kind,
    /// The owner's own groups.
    pub tags: Arc<[Arc<str>]>,
    /// The time between runs while healthy.
    pub interval: Duration,
    /// The deadline of one run.
    pub timeout: Duration,
    /// Failed runs in a row, ending with the last one.
    pub consecutive_failures: u32,
    /// Successful runs in a row, ending with the last one.
    pub consecutive_successes: u32,
    /// The checks at the root of a `dependency` verdict.
    pub caused_by: Vec<Arc<str>>,
    /// Until when an operator takes its failure for known: it is at most Degraded.
    pub muted: Option<Muted>,
    /// What happened before, within bounds.
    pub history: Arc<History>,
    /// Inserted while the service was Ready and without a result yet: shown, but counting for nothing.
    pub(crate) counts: bool,
    pub(crate) ever_succeeded: bool,
}

impl CheckReport {
    /// The numbers that the last run saw, without those that one before them has the name and the unit of.
    pub(crate) fn distinct_observed(&self) -> impl Iterator<Item = &Observed> {
        self.observed
            .iter()
            .enumerate()
            .filter(|(position, observed)| {
                let same = |other: &Observed| (&other.name, &other.unit) == (&observed.name, &observed.unit);
                !self.observed[..*position].iter().any(same)
            })
            .map(|(_, observed)| observed)
    }
}

/// A known fault, from [`Health::mute`](crate::Health::mute).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Muted {
    /// When the check counts in full again.
    pub until: SystemTime,
    /// The operator's redacted note. Shown at full visibility only.
    pub note: Option<Arc<str>>,
}

impl CheckReport {
    /// No run has finished yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.checked_at.is_none()
    }

    /// Whether the status is unknown: no run has finished, or the last result is stale.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.reason, Some(Reason::Pending | Reason::Stale))
    }

    /// The severity of the check by itself.
    pub(crate) fn severity(&self) -> u8 {
        severity(self.status, self.is_unknown())
    }

    /// The check with everything removed that only full visibility shows.
    fn public(&self) -> Self {
        Self {
            message: None,
            log_message: None,
            observed: Arc::from([]),
            details: Arc::from([]),
            tags: Arc::from([]),
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            consecutive_failures: 0,
            consecutive_successes: 0,
            caused_by: Vec::new(),
            muted: self.muted.as_ref().map(|muted| Muted { note: None, ..muted.clone() }),
            history: Arc::default(),
            ..self.clone()
        }
    }
}

/// What one check counts for in a report on `subject`.
pub(crate) fn contribution(check: &CheckReport, subject: &Subject, startup_passed: bool) -> Status {
    match subject {
        Subject::Check(_) => check.status,
        _ if !check.counts => Status::Healthy,
        Subject::Probe(Probe::Liveness) if check.is_pending() => Status::Healthy,
        Subject::Probe(Probe::Startup) if startup_passed || check.ever_succeeded => Status::Healthy,
        Subject::Probe(Probe::Startup) => match check.impact {
            Impact::Critical if check.muted.is_none() => Status::Unhealthy,
            _ => Status::Degraded,
        },
        _ => match check.impact {
            Impact::Critical => check.status,
            Impact::Optional => check.status.min(Status::Degraded),
        },
    }
}

/// The severity of a status for whoever is paged: 0 to 2 by status, and 3 where the status is unknown.
pub(crate) fn severity(status: Status, is_unknown: bool) -> u8 {
    match status {
        Status::Healthy => 0,
        _ if is_unknown => 3,
        Status::Degraded => 1,
        Status::Unhealthy => 2,
    }
}

/// The verdicts of the metrics. The lifecycle changes none of them, so that a deploy pages nobody.
#[derive(Debug)]
pub(crate) struct MetricsReport<'r> {
    /// Every check.
    pub(crate) report: &'r Report,
    /// The status of the full report.
    pub(crate) status: Status,
    /// The severity of the full report.
    pub(crate) severity: u8,
    pub(crate) probes: [(Probe, Status); 3],
}
