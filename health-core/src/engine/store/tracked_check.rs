//! One check as the store tracks it: its runs, its state, and the entry that readers see.

#[cfg(feature = "testing")]
use std::mem;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

#[cfg(feature = "serde")]
use crate::config::registered::Registered;
use crate::{
    config::plan::Plan,
    engine::{
        gaps::Gaps,
        policy::{self, CheckState, EffectiveStatus, Thresholds},
        sanitize::SanitizedOutcome,
        signals::Signals,
        snapshot::{entry::Entry, prepared_bodies::PreparedBodies},
    },
    model::{
        history::{History, Verdict},
        report::{CheckReport, Muted, Subject},
        status::{Reason, Status},
    },
    time::{NEVER, Nanos, nanos},
};

/// A check as the store tracks it.
#[derive(Debug)]
pub(super) struct TrackedCheck {
    pub(super) name: Arc<str>,
    pub(super) plan: Arc<Plan>,
    #[cfg(feature = "serde")]
    pub(super) registered: Arc<Registered>,
    pub(super) signals: Arc<Signals>,
    pub(super) state: CheckState,
    /// Whether the last run failed, before thresholds.
    pub(super) last_run_failed: bool,
    /// Whether the check does not run because the last run of one of its upstreams failed.
    pub(super) held_back: bool,
    /// Whether this check held back its dependants when it was last settled.
    pub(super) held_others_back: bool,
    pub(super) last_run: Option<LastRun>,
    /// The end of the last hold-back, or the last change of settings that shortened `stale_after`. The age of the
    /// result counts from this time at the earliest.
    pub(super) released: Nanos,
    pub(super) effective: EffectiveStatus,
    /// The rank of the check in the order of dependencies: greater than the rank of every check that it depends on.
    pub(super) rank: usize,
    /// `None` if the check has neither upstreams nor dependants.
    pub(super) links: Option<Box<Links>>,
    pub(super) mute: Option<Mute>,
    /// The last status that was reported, and the time since which it holds.
    reported: Option<(Status, SystemTime)>,
    history: Arc<History>,
    /// Whether the check counts for probes and the report. A check that is inserted into a Ready service counts from
    /// its first result on.
    pub(super) counts: bool,
    /// The number of the reading behind the last result. The result of an earlier reading does not replace it.
    pub(super) reading: u64,
    /// Whether the entry is out of date.
    pub(super) changed: bool,
    /// Whether the log has a warning that a result of the check exceeds a limit.
    pub(super) limits_logged: bool,
}

/// The positions of the upstreams of a check, on which it depends, and of its dependants, which depend on it.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub(super) upstreams: Vec<usize>,
    pub(super) dependants: Vec<usize>,
}

/// A mute of a check, which an operator sets for a known failure.
#[derive(Clone, Debug)]
pub(super) struct Mute {
    pub(super) until: Nanos,
    pub(super) muted: Arc<Muted>,
}

/// The last finished run.
#[derive(Debug)]
pub(super) struct LastRun {
    pub(super) finished: Nanos,
    pub(super) at: SystemTime,
    pub(super) duration: Duration,
    /// The number of the reading behind the result.
    pub(super) reading: u64,
    pub(super) outcome: SanitizedOutcome,
}

/// A check to track.
pub(crate) struct NewCheck {
    pub(crate) name: Arc<str>,
    pub(crate) plan: Arc<Plan>,
    #[cfg(feature = "serde")]
    pub(crate) registered: Arc<Registered>,
    pub(crate) signals: Arc<Signals>,
}

/// The time of the next run of a check.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NextRun {
    /// After this time, counted from the start of the last run.
    After(Duration),
    /// Never, because a check with `once` has succeeded.
    Never,
}

impl TrackedCheck {
    /// Creates a check that has not run. Several new checks can share one empty history.
    pub(super) fn new(new: NewCheck, counts: bool, history: Arc<History>) -> Self {
        let state = CheckState::default();
        Self {
            effective: policy::effective_status(&state, false, &[], false),
            name: new.name,
            plan: new.plan,
            #[cfg(feature = "serde")]
            registered: new.registered,
            signals: new.signals,
            state,
            last_run_failed: false,
            held_back: false,
            held_others_back: false,
            last_run: None,
            released: 0,
            rank: 0,
            links: None,
            mute: None,
            reported: None,
            history,
            counts,
            reading: 0,
            changed: false,
            limits_logged: false,
        }
    }

    /// Makes the check pending again, as if it had never run.
    #[cfg(feature = "testing")]
    pub(super) fn forget(&mut self, now: Nanos, at: SystemTime) {
        let new = NewCheck {
            name: Arc::clone(&self.name),
            plan: Arc::clone(&self.plan),
            #[cfg(feature = "serde")]
            registered: Arc::clone(&self.registered),
            signals: Arc::clone(&self.signals),
        };
        let fresh = Self::new(new, true, Arc::new(History::begun(now, at)));
        let before = mem::replace(self, fresh);
        (self.rank, self.links) = (before.rank, before.links);
        // Its dependants were settled with these values.
        (self.held_others_back, self.effective) = (before.held_others_back, before.effective);
    }

    /// Replaces the plan. The state, the history and a run in progress stay as they are.
    #[cfg(feature = "serde")]
    pub(super) fn replan(&mut self, plan: Arc<Plan>, now: Nanos) {
        // A shorter `stale_after` counts from now on, so that no result expires before the check could run at its new
        // interval.
        if plan.stale_after < self.plan.stale_after && now < self.signals.stale_at() {
            // A run in progress keeps its former deadline, which may be longer.
            let longer = self.plan.traits.timeout.saturating_sub(plan.traits.timeout);
            let under_way = if self.signals.is_running() { nanos(longer) } else { 0 };
            self.released = now.saturating_add(under_way);
        }
        self.signals.set_pace(nanos(plan.max_age), nanos(plan.traits.timeout));
        self.plan = plan;
        self.changed = true;
    }

    /// Records a finished run and returns the time of the next one.
    pub(super) fn record(&mut self, run: LastRun) -> NextRun {
        let status = match (run.outcome.status, self.plan.slow_above) {
            (Status::Healthy, Some(slow)) if run.duration > slow => Status::Degraded,
            (status, _) => status,
        };
        let reason = if status == run.outcome.status { run.outcome.reason } else { Some(Reason::Slow) };
        let thresholds = Thresholds { failures: self.plan.failures, successes: self.plan.successes };
        self.state = policy::fold(&self.state, status, reason, thresholds);
        self.last_run_failed = status == Status::Unhealthy;
        self.counts = true;
        Arc::make_mut(&mut self.history).record_run(run.at, status, reason, run.duration);
        self.reading = run.reading;
        self.limits_logged |= run.outcome.exceeded.is_some();
        self.last_run = Some(run);
        self.next_run()
    }

    /// Returns the time of the next run.
    pub(super) fn next_run(&self) -> NextRun {
        if self.is_done() { NextRun::Never } else { NextRun::After(policy::spacing(&self.plan, &self.state)) }
    }

    /// Whether the check runs only until its first success, and has succeeded.
    pub(super) fn is_done(&self) -> bool {
        self.plan.once && self.state.ever_succeeded
    }

    /// The positions of the checks that this check depends on.
    pub(super) fn upstreams(&self) -> &[usize] {
        self.links.as_ref().map_or(&[], |links| &links.upstreams)
    }

    /// The positions of the checks that depend on this check.
    pub(super) fn dependants(&self) -> &[usize] {
        self.links.as_ref().map_or(&[], |links| &links.dependants)
    }

    /// Whether this check holds back its dependants.
    pub(super) fn holds_back(&self) -> bool {
        self.last_run_failed || self.held_back
    }

    /// Records the current status in the history. Called before the status is shown.
    pub(super) fn record_status(&mut self, now: Nanos, at: SystemTime, gaps: &Gaps) {
        self.changed = false;
        if self.last_run.is_some() || self.effective.reason == Some(Reason::Dependency) {
            if self.reported.is_none_or(|(status, _)| status != self.effective.status) {
                self.reported = Some((self.effective.status, at));
            }
            let span = gaps.split(self.history.last(), now, self.signals.stale_at());
            let verdict = Verdict {
                status: self.effective.status,
                reason: self.effective.reason,
                is_failing: self.effective.failing,
            };
            Arc::make_mut(&mut self.history).record_status(now, at, span, verdict);
        }
    }

    /// Sets the time from which the last result is stale, and the time from which a request wakes the check.
    pub(super) fn set_ages(&self) {
        let rests = self.held_back || self.is_done();
        let after = |age: Duration| match &self.last_run {
            Some(run) if !rests => run.finished.max(self.released).saturating_add(nanos(age)),
            _ => NEVER,
        };
        self.signals.set_ages(after(self.plan.stale_after), after(self.plan.max_age));
    }

    /// Returns the entry for the current state. A final entry never expires, and a request for it wakes nothing.
    pub(super) fn entry(&self, is_local: bool, is_final: bool) -> Entry {
        let report = self.report();
        Entry {
            subject: Subject::Check(Arc::clone(&report.name)),
            report: Arc::new(report),
            liveness: self.plan.liveness,
            readiness: self.plan.readiness,
            startup: self.plan.startup,
            asks_a_service: self.plan.asks_a_service,
            is_local,
            is_final,
            signals: Arc::clone(&self.signals),
            bodies: PreparedBodies::default(),
        }
    }

    fn report(&self) -> CheckReport {
        let outcome = self.last_run.as_ref().map(|run| &run.outcome);
        let message = match self.effective.reason {
            Some(Reason::Dependency) => Some(Arc::from(format!("waiting for {}", self.effective.caused_by.join(", ")))),
            Some(_) => outcome.and_then(|outcome| outcome.message.clone()),
            // A Healthy outcome can have a message, too.
            None => outcome.filter(|outcome| outcome.status == Status::Healthy).and_then(|it| it.message.clone()),
        };
        let log_message = match self.effective.reason {
            Some(Reason::Dependency) => message.clone(),
            Some(_) => outcome.and_then(|outcome| outcome.log_message.clone()),
            None => None,
        };
        CheckReport {
            name: Arc::clone(&self.name),
            status: self.effective.status,
            reason: self.effective.reason,
            impact: self.plan.impact,
            checked_at: self.last_run.as_ref().map(|run| run.at),
            duration: self.last_run.as_ref().map(|run| run.duration),
            since: self.reported.filter(|_| self.effective.reason != Some(Reason::Pending)).map(|(_, at)| at),
            message,
            log_message,
            observed: outcome.map(|outcome| Arc::clone(&outcome.observed)).unwrap_or_default(),
            details: outcome.map(|outcome| Arc::clone(&outcome.details)).unwrap_or_default(),
            kind: self.plan.kind,
            traits: Arc::clone(&self.plan.traits),
            consecutive_failures: self.state.failures,
            consecutive_successes: self.state.successes,
            caused_by: self.effective.caused_by.clone(),
            muted: self.mute.as_ref().map(|mute| Arc::clone(&mute.muted)),
            history: Arc::clone(&self.history),
            counts: self.counts,
            ever_succeeded: self.state.ever_succeeded,
            has_metrics: !self.plan.no_metrics && self.plan.group.is_none(),
            group: self.plan.group.clone(),
        }
    }
}
