//! One check as the writer knows it: its runs so far, what it shows, and the entry that readers see.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    bounds::Finding,
    check::registration::Options,
    config::plan::Plan,
    model::{
        history::History,
        report::{CheckReport, Muted},
        status::{Reason, Status},
    },
    policy::{self, Shown, Standing, Thresholds},
    scheduler::Signals,
    snapshot::{Alarm, Entry, Prepared},
    time::{NEVER, Nanos, nanos},
};

/// All that the writer knows of one check.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: Arc<str>,
    pub(crate) options: Options,
    pub(crate) plan: Arc<Plan>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) standing: Standing,
    /// The last run failed, whatever thresholds make of it.
    pub(crate) last_run_failed: bool,
    /// Not run, because the last run of a check it depends on failed.
    pub(crate) held_back: bool,
    pub(crate) last: Option<Last>,
    /// Staleness counts from here if it is later than the last result: when the check was let go.
    pub(crate) released: Nanos,
    pub(crate) shown: Shown,
    /// Known to be bad, and until when.
    pub(crate) mute: Option<Mute>,
    /// The last status that was a verdict, and when it came.
    pub(crate) judged: Option<(Status, SystemTime)>,
    pub(crate) history: Arc<History>,
    /// Counts for its probes and the report: not from its insertion into a Ready service until its first result.
    pub(crate) counts: bool,
    /// What its entry says is out of date.
    pub(crate) changed: bool,
    /// Has been told that its results are over bounds.
    pub(crate) warned: bool,
    pub(crate) entry: Arc<Entry>,
}

/// An operator's word that a failure is known.
#[derive(Clone, Debug)]
pub(crate) struct Mute {
    pub(crate) until: Nanos,
    pub(crate) shown: Muted,
}

/// The last finished run.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) finished: Nanos,
    pub(crate) at: SystemTime,
    pub(crate) duration: Duration,
    pub(crate) finding: Finding,
}

/// A check to be put on the board.
pub(crate) struct NewSlot {
    pub(crate) name: Arc<str>,
    pub(crate) options: Options,
    pub(crate) plan: Arc<Plan>,
    pub(crate) signals: Arc<Signals>,
}

/// When the scheduler is to run the check again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// So long after the start of the run before.
    After(Duration),
    /// Never: it has succeeded and was to run until then.
    Never,
}

impl Slot {
    pub(crate) fn new(new: NewSlot, counts: bool) -> Self {
        let standing = Standing::default();
        let shown = policy::shown(&standing, false, &[], false);
        let history = Arc::new(History::of_another_check());
        let entry = Entry {
            report: Arc::new(CheckReport {
                name: Arc::clone(&new.name),
                status: shown.status,
                reason: shown.reason,
                impact: new.plan.impact,
                checked_at: None,
                duration: None,
                since: None,
                message: None,
                log_message: None,
                observed: Arc::from([]),
                details: Arc::from([]),
                kind: new.plan.kind,
                tags: Arc::clone(&new.plan.tags),
                interval: new.plan.interval,
                timeout: new.plan.timeout,
                consecutive_failures: 0,
                consecutive_successes: 0,
                caused_by: Vec::new(),
                muted: None,
                history: Arc::clone(&history),
                counts,
                ever_succeeded: false,
            }),
            liveness: new.plan.liveness,
            readiness: new.plan.readiness,
            startup: new.plan.startup,
            asks_a_service: new.plan.asks_a_service,
            stale_at: NEVER,
            wake_at: NEVER,
            max_age: nanos(new.plan.max_age),
            wish: Arc::clone(&new.signals.wish),
            asked: Alarm::new(NEVER, NEVER),
            prepared: Prepared::default(),
        };
        Self {
            name: new.name,
            options: new.options,
            plan: new.plan,
            signals: new.signals,
            standing,
            last_run_failed: false,
            held_back: false,
            last: None,
            released: 0,
            shown,
            mute: None,
            judged: None,
            history,
            counts,
            changed: false,
            warned: false,
            entry: Arc::new(entry),
        }
    }

    /// Takes one finished run and says when the next is due.
    pub(crate) fn ran(&mut self, last: Last) -> Next {
        let status = match (last.finding.status, self.plan.slow_above) {
            (Status::Healthy, Some(slow)) if last.duration > slow => Status::Degraded,
            (status, _) => status,
        };
        let reason = if status == last.finding.status { last.finding.reason } else { Some(Reason::Slow) };
        let thresholds = Thresholds { failures: self.plan.failures, successes: self.plan.successes };
        self.standing = policy::fold(&self.standing, status, reason, thresholds);
        self.last_run_failed = status == Status::Unhealthy;
        self.counts = true;
        Arc::make_mut(&mut self.history).ran(last.at, status, reason, last.duration);
        self.last = Some(last);
        self.changed = true;
        if self.is_done() { Next::Never } else { Next::After(policy::spacing(&self.plan, &self.standing)) }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.plan.once && self.standing.ever_succeeded
    }

    /// Gives the slot an entry that says what it shows now.
    pub(crate) fn renew(&mut self, now: Nanos, at: SystemTime) {
        if self.last.is_some() || self.shown.reason == Some(Reason::Dependency) {
            if self.judged.is_none_or(|(status, _)| status != self.shown.status) {
                self.judged = Some((self.shown.status, at));
            }
            Arc::make_mut(&mut self.history).judged(now, at, self.shown.status, self.shown.reason);
        }
        self.entry = Arc::new(self.current());
        self.changed = false;
    }

    /// What readers are to see of this check now.
    fn current(&self) -> Entry {
        let resting = self.held_back || self.is_done();
        let after = |last: &Last, age: Duration| {
            if resting { NEVER } else { last.finished.max(self.released).saturating_add(nanos(age)) }
        };
        let last = self.last.as_ref();
        let wake_at = last.map_or(NEVER, |last| after(last, self.plan.max_age));
        let max_age = nanos(self.plan.max_age);
        Entry {
            report: Arc::new(self.report()),
            liveness: self.plan.liveness,
            readiness: self.plan.readiness,
            startup: self.plan.startup,
            asks_a_service: self.plan.asks_a_service,
            stale_at: last.map_or(NEVER, |last| after(last, self.plan.stale_after)),
            wake_at,
            max_age,
            wish: Arc::clone(&self.signals.wish),
            asked: Alarm::new(wake_at, max_age),
            prepared: Prepared::default(),
        }
    }

    /// The last verdict, kept for good: nothing runs any more.
    pub(crate) fn at_rest(&self) -> Entry {
        Entry { stale_at: NEVER, wake_at: NEVER, asked: Alarm::new(NEVER, NEVER), ..self.current() }
    }

    fn report(&self) -> CheckReport {
        let finding = self.last.as_ref().map(|last| &last.finding);
        let message = match self.shown.reason {
            Some(Reason::Dependency) => Some(Arc::from(format!("waiting for {}", self.shown.caused_by.join(", ")))),
            Some(_) => finding.and_then(|finding| finding.message.clone()),
            // A healthy answer may have something to say; below `successes` a healthy run shows no word of its own.
            None => finding.filter(|finding| finding.status == Status::Healthy).and_then(|it| it.message.clone()),
        };
        let log_message = match self.shown.reason {
            Some(Reason::Dependency) => message.clone(),
            Some(_) => finding.and_then(|finding| finding.log_message.clone()),
            None => None,
        };
        CheckReport {
            name: Arc::clone(&self.name),
            status: self.shown.status,
            reason: self.shown.reason,
            impact: self.plan.impact,
            checked_at: self.last.as_ref().map(|last| last.at),
            duration: self.last.as_ref().map(|last| last.duration),
            since: self.judged.filter(|_| self.shown.reason != Some(Reason::Pending)).map(|(_, at)| at),
            message,
            log_message,
            observed: finding.map_or_else(|| Arc::from([]), |finding| Arc::clone(&finding.observed)),
            details: finding.map_or_else(|| Arc::from([]), |finding| Arc::clone(&finding.details)),
            kind: self.plan.kind,
            tags: Arc::clone(&self.plan.tags),
            interval: self.plan.interval,
            timeout: self.plan.timeout,
            consecutive_failures: self.standing.failures,
            consecutive_successes: self.standing.successes,
            caused_by: self.shown.caused_by.clone(),
            muted: self.mute.as_ref().map(|mute| mute.shown.clone()),
            history: Arc::clone(&self.history),
            counts: self.counts,
            ever_succeeded: self.standing.ever_succeeded,
        }
    }
}
