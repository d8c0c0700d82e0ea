//! Tests of the log: the lines about a check that flaps, and about a check that panics in every run.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::*;
use crate::model::{change::LifecycleChange, status::Reason};

/// A subscriber that keeps every event as one line: its level and its fields as `name=value`.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Subscriber for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(format!("{} ", event.metadata().level()));
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn change(limiter: &mut LogLimiter, to: Status, now: Nanos) {
    limiter.admit_changes(&[change_of_status(to)], now).iter().for_each(write);
}

fn write_overdue(limiter: &mut LogLimiter, now: Nanos) {
    limiter.overdue(now).iter().for_each(write);
}

fn change_of_status(to: Status) -> Change {
    Change::Check(CheckChange {
        check: Arc::from("database"),
        from: Some(Status::Healthy),
        to,
        reason: (to == Status::Unhealthy).then_some(Reason::Unreachable),
        message: None,
        log_message: (to == Status::Unhealthy).then(|| Arc::from("connection refused")),
        caused_by: Vec::new(),
        at: SystemTime::UNIX_EPOCH,
    })
}

#[test]
fn a_check_has_one_line_in_ten_seconds_and_its_last_change_is_not_lost() {
    let kept = Kept::default();
    let second = 1_000_000_000;
    tracing::subscriber::with_default(kept.clone(), || {
        let mut limiter = LogLimiter::default();
        change(&mut limiter, Status::Unhealthy, 0);
        for at in 1..=8 {
            change(&mut limiter, if at % 2 == 0 { Status::Unhealthy } else { Status::Healthy }, at * second);
            write_overdue(&mut limiter, at * second);
        }
        assert_eq!(kept.0.lock().unwrap().len(), 1);
        write_overdue(&mut limiter, 10 * second);
        write_overdue(&mut limiter, 11 * second);
        write_overdue(&mut limiter, 25 * second);
        // A change long after the last line is written at once.
        change(&mut limiter, Status::Healthy, 60 * second);
        write_overdue(&mut limiter, 90 * second);
        assert!(limiter.changes.is_empty(), "the limiter keeps state of a check without recent lines");
    });
    let lines = kept.0.lock().unwrap();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("ERROR ") && lines[0].contains("reason=\"unreachable\" error=\"connection refused\""));
    assert!(!lines[0].contains("suppressed"), "{}", lines[0]);
    assert!(lines[1].starts_with("ERROR ") && lines[1].contains("suppressed=7"), "{}", lines[1]);
    assert!(lines[2].starts_with("INFO ") && !lines[2].contains("suppressed"), "{}", lines[2]);
}

#[test]
fn a_failure_is_written_at_once_after_another_change() {
    let kept = Kept::default();
    let second = 1_000_000_000;
    tracing::subscriber::with_default(kept.clone(), || {
        let mut limiter = LogLimiter::default();
        change(&mut limiter, Status::Healthy, 0);
        change(&mut limiter, Status::Unhealthy, 2 * second);
        change(&mut limiter, Status::Healthy, 3 * second);
        change(&mut limiter, Status::Unhealthy, 4 * second);
        change(&mut limiter, Status::Healthy, 5 * second);
        write_overdue(&mut limiter, 12 * second);
        write_overdue(&mut limiter, 30 * second);
        assert!(limiter.changes.is_empty(), "the limiter keeps state of a check without recent lines");
    });
    let lines = kept.0.lock().unwrap();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[1].starts_with("ERROR ") && lines[1].contains("connection refused"), "{}", lines[1]);
    assert!(lines[2].starts_with("INFO ") && lines[2].contains("suppressed=2"), "{}", lines[2]);
}

#[test]
fn stopping_writes_every_line_held_back() {
    let kept = Kept::default();
    let second = 1_000_000_000;
    tracing::subscriber::with_default(kept.clone(), || {
        let mut limiter = LogLimiter::default();
        change(&mut limiter, Status::Unhealthy, 0);
        change(&mut limiter, Status::Healthy, second);
        // After the pause, but before `overdue` has returned the line that is held back.
        change(&mut limiter, Status::Unhealthy, 11 * second);
        change(&mut limiter, Status::Healthy, 12 * second);
        let stopped = LifecycleChange { from: Lifecycle::Ready, to: Lifecycle::Stopped, at: SystemTime::UNIX_EPOCH };
        limiter.admit_changes(&[Change::Lifecycle(stopped)], 13 * second).iter().for_each(write);
    });
    let lines = kept.0.lock().unwrap();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[1].starts_with("ERROR ") && lines[1].contains("suppressed=1"), "{}", lines[1]);
    assert!(lines[2].starts_with("INFO ") && lines[2].contains("check is healthy"), "{}", lines[2]);
    assert!(lines[3].contains("lifecycle changed"), "{}", lines[3]);
}

#[test]
fn the_last_panic_held_back_is_written() {
    let kept = Kept::default();
    let second = 1_000_000_000;
    let check = Arc::from("broken");
    tracing::subscriber::with_default(kept.clone(), || {
        let mut limiter = LogLimiter::default();
        let panicked = |limiter: &mut LogLimiter, what: &str, now| {
            limiter.admit_panic(&check, what.into(), now).iter().for_each(write);
        };
        panicked(&mut limiter, "A", 0);
        panicked(&mut limiter, "A", second);
        panicked(&mut limiter, "B", 2 * second);
        write_overdue(&mut limiter, 9 * second);
        assert_eq!(kept.0.lock().unwrap().len(), 1);
        write_overdue(&mut limiter, 10 * second);
        panicked(&mut limiter, "C", 11 * second);
        // The change to Stopped writes the line that is held back.
        let stopped = LifecycleChange { from: Lifecycle::Ready, to: Lifecycle::Stopped, at: SystemTime::UNIX_EPOCH };
        limiter.admit_changes(&[Change::Lifecycle(stopped)], 12 * second).iter().for_each(write);
        let mut quiet = LogLimiter::default();
        panicked(&mut quiet, "D", 0);
        write_overdue(&mut quiet, 10 * second);
        assert!(quiet.panics.is_empty(), "the limiter keeps state of a check without recent lines");
    });
    let lines = kept.0.lock().unwrap();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(lines[0].contains("payload=\"A\"") && !lines[0].contains("suppressed"), "{}", lines[0]);
    assert!(lines[1].contains("payload=\"B\"") && lines[1].contains("suppressed=1"), "{}", lines[1]);
    assert!(lines[2].contains("payload=\"C\"") && !lines[2].contains("suppressed"), "{}", lines[2]);
}
