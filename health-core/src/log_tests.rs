//! What a check that flaps leaves in the log.

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

/// Keeps every event as one line of `name=value`.
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

fn told(lines: &mut Lines, to: Status, now: Nanos) {
    lines.admitted(&[changed(to)], now).iter().for_each(tell);
}

fn catch_up(lines: &mut Lines, now: Nanos) {
    lines.overdue(now).iter().for_each(tell);
}

fn changed(to: Status) -> Change {
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
fn a_check_is_told_of_at_most_once_in_ten_seconds_and_its_last_word_is_not_lost() {
    let kept = Kept::default();
    let second = 1_000_000_000;
    tracing::subscriber::with_default(kept.clone(), || {
        let mut lines = Lines::default();
        told(&mut lines, Status::Unhealthy, 0);
        for at in 1..=8 {
            told(&mut lines, if at % 2 == 0 { Status::Unhealthy } else { Status::Healthy }, at * second);
            catch_up(&mut lines, at * second);
        }
        assert_eq!(kept.0.lock().unwrap().len(), 1);
        catch_up(&mut lines, 10 * second);
        catch_up(&mut lines, 11 * second);
        catch_up(&mut lines, 25 * second);
        // Long afterwards it is told at once again.
        told(&mut lines, Status::Healthy, 60 * second);
        catch_up(&mut lines, 90 * second);
        assert!(lines.changes.is_empty(), "nothing is kept of a check that is quiet");
    });
    let lines = kept.0.lock().unwrap();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("ERROR ") && lines[0].contains("reason=\"unreachable\" error=\"connection refused\""));
    assert!(!lines[0].contains("suppressed"), "{}", lines[0]);
    assert!(lines[1].starts_with("ERROR ") && lines[1].contains("suppressed=7"), "{}", lines[1]);
    assert!(lines[2].starts_with("INFO ") && !lines[2].contains("suppressed"), "{}", lines[2]);
}

#[test]
fn nothing_is_kept_back_for_good() {
    let kept = Kept::default();
    let second = 1_000_000_000;
    tracing::subscriber::with_default(kept.clone(), || {
        let mut lines = Lines::default();
        told(&mut lines, Status::Unhealthy, 0);
        told(&mut lines, Status::Healthy, second);
        // Later than the pause, and before anybody looked.
        told(&mut lines, Status::Unhealthy, 11 * second);
        told(&mut lines, Status::Healthy, 12 * second);
        let stopped = LifecycleChange { from: Lifecycle::Ready, to: Lifecycle::Stopped, at: SystemTime::UNIX_EPOCH };
        lines.admitted(&[Change::Lifecycle(stopped)], 13 * second).iter().for_each(tell);
    });
    let lines = kept.0.lock().unwrap();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[1].starts_with("ERROR ") && lines[1].contains("suppressed=1"), "{}", lines[1]);
    assert!(lines[2].starts_with("INFO ") && lines[2].contains("check is healthy"), "{}", lines[2]);
    assert!(lines[3].contains("service moved on"), "{}", lines[3]);
}

#[test]
fn a_panic_that_was_kept_back_is_told_in_the_end() {
    let kept = Kept::default();
    let second = 1_000_000_000;
    let check = Arc::from("broken");
    tracing::subscriber::with_default(kept.clone(), || {
        let mut lines = Lines::default();
        let panicked = |lines: &mut Lines, what: &str, now| {
            lines.panicked(&check, what.into(), now).iter().for_each(tell);
        };
        panicked(&mut lines, "A", 0);
        panicked(&mut lines, "A", second);
        panicked(&mut lines, "B", 2 * second);
        catch_up(&mut lines, 9 * second);
        assert_eq!(kept.0.lock().unwrap().len(), 1);
        catch_up(&mut lines, 10 * second);
        panicked(&mut lines, "C", 11 * second);
        // With the end of the checks.
        let stopped = LifecycleChange { from: Lifecycle::Ready, to: Lifecycle::Stopped, at: SystemTime::UNIX_EPOCH };
        lines.admitted(&[Change::Lifecycle(stopped)], 12 * second).iter().for_each(tell);
        let mut quiet = Lines::default();
        panicked(&mut quiet, "D", 0);
        catch_up(&mut quiet, 10 * second);
        assert!(quiet.panics.is_empty(), "nothing is kept of a check that is quiet");
    });
    let lines = kept.0.lock().unwrap();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(lines[0].contains("payload=\"A\"") && !lines[0].contains("suppressed"), "{}", lines[0]);
    assert!(lines[1].contains("payload=\"B\"") && lines[1].contains("suppressed=1"), "{}", lines[1]);
    assert!(lines[2].contains("payload=\"C\"") && !lines[2].contains("suppressed"), "{}", lines[2]);
}
