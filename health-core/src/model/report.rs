//! The report: the statuses of checks at one point in time, as plain data. The formats are in `render`.

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
    /// One check, with its own status whatever its impact.
    Check(Arc<str>),
}

/// The statuses of all checks, of the checks of one probe or one tag, or of one check, at one point in time.
///
/// A report is immutable and cheap to share.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    pub(crate) subject: Subject,
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) root_causes: Vec<Arc<str>>,
    pub(crate) checks: Vec<Arc<CheckReport>>,
    /// The groups that the report shows in place of their members.
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

    /// Returns the status of the report: the worst status that one of its checks counts as, or Unhealthy if
    /// [`reason`](Self::reason) is set.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns the reason for which the report is Unhealthy whatever the status of its checks: `starting`, `draining`,
    /// `stopped`, or `stale` if the scheduler has stalled. Returns `None` if the checks determine the status.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Returns the names of the root causes of the Unhealthy checks in the report: the check itself, or for a check
    /// with the reason `dependency` the checks that caused it, which may be outside the report. A pending check is not
    /// a root cause.
    #[must_use]
    pub fn root_causes(&self) -> &[Arc<str>] {
        &self.root_causes
    }

    /// Returns the checks in registration order, including the members of groups.
    #[must_use]
    pub fn checks(&self) -> &[Arc<CheckReport>] {
        &self.checks
    }

    /// Iterates over the checks that documents list one by one: all checks except the members of
    /// [`groups`](Self::groups).
    pub fn listed(&self) -> impl Iterator<Item = &CheckReport> {
        self.checks.iter().map(|check| &**check).filter(|check| self.group_of(check).is_none())
    }

    /// Returns the groups that the report shows in place of their members, in the order of the calls to
    /// [`Builder::group`](crate::Builder::group). The report on the tag of a group lists the members themselves.
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

    /// Returns the time from the start of the checks to the last publication of a snapshot.
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

    /// Returns the status that a check counts as in this report. For instance, an Optional check counts as Degraded at
    /// most.
    #[must_use]
    pub fn counted(&self, check: &CheckReport) -> Status {
        contribution(check, &self.subject, self.startup_passed)
    }

    /// Returns the group that the report shows in place of a check; `None` if the report lists the check itself.
    pub(crate) fn group_of<'c>(&self, check: &'c CheckReport) -> Option<&'c Group> {
        check.group.as_ref().filter(|group| match &self.subject {
            Subject::All | Subject::Probe(_) => true,
            Subject::Tag(tag) => *tag != group.name,
            Subject::Check(_) => false,
        })
    }

    /// Returns a copy of the report in which everything that `visibility` hides is removed or set to zero. The
    /// lifecycle and the kind of each check remain even if they are hidden, because they have no empty value.
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
    /// The message of a Degraded or Unhealthy status, cut to the length limit of a log line.
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
    /// Whether the check counts for probes and the report. A check inserted after Starting is only shown until its
    /// first result.
    pub(crate) counts: bool,
    pub(crate) ever_succeeded: bool,
    /// Whether the check has series of its own in metrics.
    pub(crate) has_metrics: bool,
    pub(crate) group: Option<Group>,
}

/// The options of a check that its report shows. Checks with the same options share one value.
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

    /// Returns the check's own status. A check that has not finished a run yet is Unhealthy with the reason `pending`.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns the reason of a Degraded or Unhealthy status; `None` for a Healthy one.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Returns the effect of a failure of the check on the report.
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

    /// Returns the redacted message of the last outcome, or of the reason `dependency` or `stale`; `None` if there is
    /// none. Shown at full visibility only.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the numbers that the last run observed. Shown at full visibility only.
    #[must_use]
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// Iterates over the details that the last run returned: keys and JSON values. Shown at full visibility only.
    pub fn details(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.details.iter().map(|(key, value)| (&**key, value))
    }

    /// Returns the value of a detail of the last run; `None` if the run returned no detail with this key.
    #[must_use]
    pub fn detail(&self, key: &str) -> Option<&Value> {
        self.details().find(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// Returns whether the cause of a failure is local or shared with other instances.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the tags of the check.
    #[must_use]
    pub fn tags(&self) -> &[Arc<str>] {
        &self.traits.tags
    }

    /// Returns the name of the check's group; `None` if the check is in no group.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.group.as_ref().map(|group| &*group.name)
    }

    /// Returns the time between runs while the check is Healthy.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.traits.interval
    }

    /// Returns the deadline of one run.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.traits.timeout
    }

    /// Returns the number of failed runs in a row up to and including the last run; 0 if the last run succeeded.
    #[must_use]
    pub fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures
    }

    /// Returns the number of successful runs in a row up to and including the last run; 0 if the last run failed.
    #[must_use]
    pub fn consecutive_successes(&self) -> u32 {
        self.consecutive_successes
    }

    /// Returns the names of the checks that caused a status with the reason `dependency`; otherwise empty.
    #[must_use]
    pub fn caused_by(&self) -> &[Arc<str>] {
        &self.caused_by
    }

    /// Returns the mute that an operator set; `None` if the check is not muted. A muted check is Degraded at most.
    #[must_use]
    pub fn muted(&self) -> Option<&Muted> {
        self.muted.as_deref()
    }

    /// Returns what a Healthy result proves and what it does not prove; an empty text if the check does not declare it.
    /// Shown at full visibility only.
    #[must_use]
    pub fn proves(&self) -> &'static str {
        self.traits.proves
    }

    /// Returns the history of the check: its last results and transitions, its counts and its uptime.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }
}

impl CheckReport {
    /// Returns the uptime at a time after the start of the service; `None` before the first verdict. The time since the
    /// last record counts as known, unless the last result is stale.
    pub(crate) fn uptime_at(&self, moment: Duration) -> Option<UptimeShare> {
        let passed = nanos(moment).saturating_sub(self.history.last());
        let is_stale = self.reason == Some(Reason::Stale);
        let span = if is_stale { Span { known: 0, unknown: passed } } else { Span { known: passed, unknown: 0 } };
        self.history.uptime_with(span)
    }

    /// Iterates over the numbers of the last run, without those that repeat the name and the unit of an earlier number.
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
    /// Returns the time at which the mute ends and the check counts in full again.
    #[must_use]
    pub fn until(&self) -> SystemTime {
        self.until
    }

    /// Returns the operator's redacted note; `None` if there is none. Shown at full visibility only.
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

    /// Returns whether the status is unknown: no run has finished yet, or the last result is stale.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.reason, Some(Reason::Pending | Reason::Stale))
    }

    /// Returns the severity of the check's own status.
    pub(crate) fn severity(&self) -> u8 {
        severity(self.status, self.is_unknown())
    }

    /// Returns a copy of the check without the parts that only full visibility shows.
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

/// Returns the status that one check counts as in a report on `subject`.
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

/// Returns the severity of a status, for alerts: 0 for Healthy, 1 for Degraded, 2 for Unhealthy, and 3 for a status
/// that is unknown and not Healthy.
pub(crate) fn severity(status: Status, is_unknown: bool) -> u8 {
    match status {
        Status::Healthy => 0,
        _ if is_unknown => 3,
        Status::Degraded => 1,
        Status::Unhealthy => 2,
    }
}

/// The statuses that the metrics show. They do not depend on the lifecycle, so that a deployment triggers no alert.
#[derive(Debug)]
pub(crate) struct MetricsReport {
    /// The full report.
    pub(crate) report: Report,
    /// The status of the full report without the lifecycle.
    pub(crate) status: Status,
    /// The severity of the full report without the lifecycle.
    pub(crate) severity: u8,
    pub(crate) probes: [(Probe, Status); 3],
    /// Every group of the service, including groups without members.
    pub(crate) groups: Vec<Arc<GroupReport>>,
}

impl Report {
    /// Iterates over the checks that have their own series in metrics.
    pub(crate) fn checks_with_metrics(&self) -> impl Iterator<Item = &CheckReport> {
        self.checks.iter().map(|check| &**check).filter(|check| check.has_metrics)
    }
}
