//! Sample reports for the tests of the renderers.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::model::{
    history::History,
    observed::{Limits, Number, Observed},
    report::{CheckReport, Report, Subject, Traits},
    status::{Impact, Kind, Lifecycle, Reason, Status},
};

fn at(text: &str) -> SystemTime {
    humantime::parse_rfc3339(text).unwrap()
}

fn traits(tags: &[&str]) -> Arc<Traits> {
    let tags = tags.iter().map(|tag| Arc::from(*tag)).collect();
    Arc::new(Traits { tags, interval: Duration::from_secs(5), timeout: Duration::from_secs(2), proves: "" })
}

fn check(name: &str, impact: Impact) -> CheckReport {
    CheckReport {
        name: name.into(),
        status: Status::Unhealthy,
        reason: Some(Reason::Pending),
        impact,
        checked_at: None,
        duration: None,
        since: None,
        message: None,
        log_message: None,
        observed: Arc::default(),
        details: Arc::default(),
        kind: Kind::Dependency,
        traits: traits(&[]),
        consecutive_failures: 0,
        consecutive_successes: 0,
        caused_by: Vec::new(),
        muted: None,
        history: Arc::default(),
        counts: true,
        has_metrics: true,
        group: None,
        ever_succeeded: false,
    }
}

fn database() -> CheckReport {
    let mut history = History::default();
    history.record_run(
        at("2026-01-05T08:00:00.123Z"),
        Status::Unhealthy,
        Some(Reason::Unreachable),
        Duration::from_micros(1420),
    );
    CheckReport {
        reason: Some(Reason::Unreachable),
        checked_at: Some(at("2026-01-05T08:00:00.123Z")),
        duration: Some(Duration::from_micros(1420)),
        since: Some(at("2026-01-05T07:59:58.001Z")),
        message: Some("connection refused".into()),
        traits: traits(&["sql"]),
        consecutive_failures: 3,
        history: Arc::new(history),
        ..check("database", Impact::Critical)
    }
}

fn jobs() -> CheckReport {
    let observed = |name, value, unit| Observed { name, value, unit, limits: Limits::new() };
    CheckReport {
        status: Status::Healthy,
        reason: None,
        checked_at: Some(at("2026-01-05T08:00:00.123Z")),
        duration: Some(Duration::from_micros(310)),
        since: Some(at("2026-01-05T07:59:58.001Z")),
        observed: Arc::from([
            observed("length".into(), Number::from(42_u32), "messages".into()),
            observed("ratio".into(), Number::from(0.5), "".into()),
        ]),
        details: Arc::from([("key".into(), "jobs".into())]),
        kind: Kind::Local,
        consecutive_successes: 7,
        has_metrics: true,
        ever_succeeded: true,
        ..check("jobs", Impact::Optional)
    }
}

fn of(subject: Subject, status: Status, checks: Vec<CheckReport>) -> Report {
    Report {
        subject,
        status,
        reason: None,
        root_causes: Vec::new(),
        checks: checks.into_iter().map(Arc::new).collect(),
        groups: Vec::new(),
        service: Some("orders".into()),
        version: Some("1.4.2".into()),
        lifecycle: Lifecycle::Ready,
        uptime: Duration::from_millis(61_900),
        startup_passed: true,
    }
}

/// A report with three checks: one fails, one is Healthy, and one is pending.
pub(crate) fn report() -> Report {
    let checks = vec![database(), jobs(), check("later", Impact::Optional)];
    Report { root_causes: vec!["database".into()], ..of(Subject::All, Status::Unhealthy, checks) }
}

/// A Healthy report.
pub(crate) fn healthy() -> Report {
    of(Subject::All, Status::Healthy, vec![jobs()])
}

/// The page of one check.
pub(crate) fn one_check() -> Report {
    of(Subject::Check("database".into()), Status::Unhealthy, vec![database()])
}
