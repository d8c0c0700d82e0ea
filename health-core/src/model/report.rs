//! The report: the statuses of checks at one moment, as plain data. The formats are in `render`.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::{
    model::{
        group::{Group, GroupReport},
        history::{History, Span, UptimeShare},
        observed::Observed,
        status::{Impact, Kind, Lifecycle, Probe, Reason, Status, Visibility},
    },
    time::nanos,
};

/// The subject of a report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// Every check.
    All,
    /// The checks that count for a probe.
    Probe(Probe),
    /// The checks with a tag.
    Tag(Arc<str>),
    /// One check by its own status, whatever its impact.
    Check(Arc<str>),
}

/// The status of all checks, or of those of one probe, one tag or one check, at one moment.
///
/// Immutable and cheap to share.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    pub(crate) subject: Subject,
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) root_causes: Vec<Arc<str>>,
    pub(crate) checks: Vec<Arc<CheckReport>>,
    /// The groups that stand for checks of the report.
    pub(crate) groups: Vec<Arc<GroupReport>>,
    pub(crate) service: Option<Arc<str>>,
    pub(crate) version: Option<Arc<str>>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) uptime: Duration,
    pub(crate) startup_passed: bool,
}

impl Report {
    /// Returns the subject of the report.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Returns the worst status that a check counts for in this report. Unhealthy if [`reason`](Self::reason) is set.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns the reason why the report is Unhealthy whatever the status of its checks: `starting`, `draining`,
    /// `stopped` or `stale`.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Returns the root causes: the Unhealthy checks that no other check explains, and the checks outside the report
    /// that explain an Unhealthy check in it.
    #[must_use]
    pub fn root_causes(&self) -> &[Arc<str>] {
        &self.root_causes
    }

    /// Returns the checks, in registration order, the members of groups included.
    #[must_use]
    pub fn checks(&self) -> &[Arc<CheckReport>] {
        &self.checks
    }

    /// Returns the checks that documents list one by one: those for which no group stands.
    pub fn listed(&self) -> impl Iterator<Item = &CheckReport> {
        self.checks.iter().map(|check| &**check).filter(|check| self.group_of(check).is_none())
    }

    /// Returns the groups that stand for checks of the report, in the order in which the builder named them. The report
    /// on the tag of a group lists its members, so that none stands for them there.
    #[must_use]
    pub fn groups(&self) -> &[Arc<GroupReport>] {
        &self.groups
    }

    /// Returns the service's name; `None` if none was configured.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// Returns the service's version; `None` if none was configured.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Returns the service's lifecycle.
    #[must_use]
    pub fn lifecycle(&self) -> Lifecycle {
        self.lifecycle
    }

    /// Returns the time from the start of the checks to the last published change.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.uptime
    }
}

impl Report {
    /// Returns the check of this name; `None` if the report does not contain it.
    #[must_use]
    pub fn check(&self, name: &str) -> Option<&CheckReport> {
        self.checks.iter().find(|check| &*check.name == name).map(|check| &**check)
    }

    /// Returns the status that a check counts for in this report. An Optional check, for instance, counts as Degraded
    /// at most.
    #[must_use]
    pub fn counted(&self, check: &CheckReport) -> Status {
        contribution(check, &self.subject, self.startup_passed)
    }

    /// Returns the group that stands for a check of this report; `None` if the report lists the check.
    pub(crate) fn group_of<'c>(&self, check: &'c CheckReport) -> Option<&'c Group> {
        check.group.as_ref().filter(|group| match &self.subject {
            Subject::All | Subject::Probe(_) => true,
            Subject::Tag(tag) => *tag != group.name,
            Subject::Check(_) => false,
        })
    }

    /// Returns the report with everything that `visibility` hides removed or set to zero. The lifecycle and each
    /// check's kind remain even if hidden, because they have no empty value.
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
            report.groups.clear();
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

/// One check in a report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckReport {
    pub(crate) name: Arc<str>,
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) impact: Impact,
    pub(crate) checked_at: Option<SystemTime>,
    pub(crate) duration: Option<Duration>,
    pub(crate) since: Option<SystemTime>,
    pub(crate) message: Option<Arc<str>>,
    /// The message of a bad status at the length limit of a log line.
    pub(crate) log_message: Option<Arc<str>>,
    pub(crate) observed: Arc<[Observed]>,
    pub(crate) details: Arc<[(Cow<'static, str>, Value)]>,
    pub(crate) kind: Kind,
    pub(crate) traits: Arc<Traits>,
    pub(crate) consecutive_failures: u32,
    pub(crate) consecutive_successes: u32,
    pub(crate) caused_by: Vec<Arc<str>>,
    pub(crate) muted: Option<Arc<Muted>>,
    pub(crate) history: Arc<History>,
    /// Whether the check counts for probes and the report. One inserted after Starting is only shown until its first
    /// result.
    pub(crate) counts: bool,
    pub(crate) ever_succeeded: bool,
    /// Whether the check has series of its own in metrics.
    pub(crate) has_metrics: bool,
    pub(crate) group: Option<Group>,
}

/// What the options of a check have set. Checks with the same options share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) tags: Arc<[Arc<str>]>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) proves: &'static str,
}

impl CheckReport {
    /// Returns the name of the check.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the check's own status. A check that has not run yet is Unhealthy with the reason `pending`.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns the reason of a Degraded or Unhealthy status.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Returns the effect of the check's failure on the report.
    #[must_use]
    pub fn impact(&self) -> Impact {
        self.impact
    }

    /// Returns the time at which the last run finished; `None` while pending.
    #[must_use]
    pub fn checked_at(&self) -> Option<SystemTime> {
        self.checked_at
    }

    /// Returns the duration of the last run; `None` while pending.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// Returns the time of the last change of the status; `None` while pending.
    #[must_use]
    pub fn since(&self) -> Option<SystemTime> {
        self.since
    }

    /// Returns the redacted message of the last outcome, or of the reason `dependency` or `stale`. Shown at full
    /// visibility only.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the numbers that the last run observed. Shown at full visibility only.
    #[must_use]
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// Returns the details that the last run returned. Shown at full visibility only.
    pub fn details(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.details.iter().map(|(key, value)| (&**key, value))
    }

    /// Returns the value of a detail of the last run; `None` if the run returned no detail of this key.
    #[must_use]
    pub fn detail(&self, key: &str) -> Option<&Value> {
        self.details().find(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// Returns the scope of what can cause the check's failure.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the tags: the application's own groups of checks.
    #[must_use]
    pub fn tags(&self) -> &[Arc<str>] {
        &self.traits.tags
    }

    /// Returns the name of the group that the check is a member of.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.group.as_ref().map(|group| &*group.name)
    }

    /// Returns the time between runs while healthy.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.traits.interval
    }

    /// Returns the deadline of one run.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.traits.timeout
    }

    /// Returns the number of failed runs in a row, up to the last run.
    #[must_use]
    pub fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures
    }

    /// Returns the number of successful runs in a row, up to the last run.
    #[must_use]
    pub fn consecutive_successes(&self) -> u32 {
        self.consecutive_successes
    }

    /// Returns the root causes of a status with the reason `dependency`.
    #[must_use]
    pub fn caused_by(&self) -> &[Arc<str>] {
        &self.caused_by
    }

    /// Returns the mute that an operator set. Until it ends, the check is Degraded at most.
    #[must_use]
    pub fn muted(&self) -> Option<&Muted> {
        self.muted.as_deref()
    }

    /// Returns what a healthy result proves and what it does not; an empty text if the check does not say. Shown at
    /// full visibility only.
    #[must_use]
    pub fn proves(&self) -> &'static str {
        self.traits.proves
    }

    /// Returns the last results and transitions.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }
}

impl CheckReport {
    /// Returns the uptime as of a moment after the start of the service; `None` before the first verdict. What has
    /// passed since the last record is known unless the last result is stale.
    pub(crate) fn uptime_at(&self, moment: Duration) -> Option<UptimeShare> {
        let passed = nanos(moment).saturating_sub(self.history.last());
        let is_stale = self.reason == Some(Reason::Stale);
        let span = if is_stale { Span { known: 0, unknown: passed } } else { Span { known: passed, unknown: 0 } };
        self.history.uptime_with(span)
    }

    /// Returns the numbers of the last run, without those that repeat the name and the unit of an earlier one.
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

/// The mute of a check, from [`Health::mute`](crate::Health::mute).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Muted {
    pub(crate) until: SystemTime,
    pub(crate) note: Option<Arc<str>>,
}

impl Muted {
    /// Returns the time from which on the check counts in full again.
    #[must_use]
    pub fn until(&self) -> SystemTime {
        self.until
    }

    /// Returns the operator's redacted note. Shown at full visibility only.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

impl CheckReport {
    /// Returns whether the check is pending: no run has finished yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.checked_at.is_none()
    }

    /// Whether the status is unknown: no run has finished, or the last result is stale.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.reason, Some(Reason::Pending | Reason::Stale))
    }

    /// Returns the severity of the check by itself.
    pub(crate) fn severity(&self) -> u8 {
        severity(self.status, self.is_unknown())
    }

    /// Returns the check without everything that only full visibility shows.
    fn public(&self) -> Self {
        Self {
            message: None,
            log_message: None,
            observed: Arc::default(),
            details: Arc::default(),
            traits: Arc::default(),
            consecutive_failures: 0,
            consecutive_successes: 0,
            caused_by: Vec::new(),
            muted: self.muted.as_ref().map(|muted| Arc::new(Muted { note: None, ..(**muted).clone() })),
            history: Arc::default(),
            ..self.clone()
        }
    }
}

/// Returns the status that one check counts for in a report on `subject`.
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

/// Returns the severity of a status, for alerts: 0 Healthy, 1 Degraded, 2 Unhealthy, and 3 if the status is unknown and
/// not Healthy.
pub(crate) fn severity(status: Status, is_unknown: bool) -> u8 {
    match status {
        Status::Healthy => 0,
        _ if is_unknown => 3,
        Status::Degraded => 1,
        Status::Unhealthy => 2,
    }
}

/// The statuses that the metrics show. The lifecycle changes none of them, so that a deployment triggers no alert.
#[derive(Debug)]
pub(crate) struct MetricsReport {
    /// The full report.
    pub(crate) report: Report,
    /// The status of the full report without the lifecycle.
    pub(crate) status: Status,
    /// The severity of the full report without the lifecycle.
    pub(crate) severity: u8,
    pub(crate) probes: [(Probe, Status); 3],
    /// Every group of the service, also one without a member.
    pub(crate) groups: Vec<Arc<GroupReport>>,
}

impl Report {
    /// The checks with series of their own in metrics.
    pub(crate) fn checks_with_metrics(&self) -> impl Iterator<Item = &CheckReport> {
        self.checks.iter().map(|check| &**check).filter(|check| check.has_metrics)
    }
}
