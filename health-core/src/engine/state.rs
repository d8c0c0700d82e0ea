//! The state of the engine: every tracked check and the service, and what follows from a change. It waits for nothing and
//! does no I/O.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    engine::{
        entry::Entry,
        policy::{self, ServiceState, Upstream},
        signals::Signals,
        snapshot::{About, Parts, Snapshot},
        tracked_check::{Mute, NewCheck, TrackedCheck},
    },
    model::{
        change::{Change, CheckChange, LifecycleChange},
        status::Lifecycle,
    },
    time::{NEVER, Nanos},
};

/// The tracked checks and the service, behind the lock of the store.
#[derive(Debug)]
pub(super) struct State {
    pub(super) checks: Vec<TrackedCheck>,
    positions: Arc<HashMap<Arc<str>, usize>>,
    pub(super) service: ServiceState,
    generation: u64,
}

impl State {
    pub(super) fn new(checks: Vec<NewCheck>) -> Self {
        let mut state = Self {
            checks: checks.into_iter().map(|new| TrackedCheck::new(new, true)).collect(),
            positions: Arc::default(),
            service: ServiceState { lifecycle: Lifecycle::Starting, startup_passed: false, scheduler_stale: false },
            generation: 0,
        };
        state.index();
        state.settle(0, SystemTime::UNIX_EPOCH);
        state
    }

    pub(super) fn check(&self, name: &str) -> Option<&TrackedCheck> {
        self.checks.get(self.position(name)?)
    }

    pub(super) fn check_mut(&mut self, name: &str) -> Option<&mut TrackedCheck> {
        let position = self.position(name)?;
        self.checks.get_mut(position)
    }

    /// Returns the check with these signals. A check that was removed is not found by the name of its successor.
    pub(super) fn check_of(&mut self, signals: &Arc<Signals>) -> Option<&mut TrackedCheck> {
        self.checks.iter_mut().find(|check| Arc::ptr_eq(&check.signals, signals))
    }

    pub(super) fn insert(&mut self, new: NewCheck) {
        let counts = self.service.lifecycle == Lifecycle::Starting;
        Arc::make_mut(&mut self.positions).insert(Arc::clone(&new.name), self.checks.len());
        self.checks.push(TrackedCheck::new(new, counts));
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<TrackedCheck> {
        let removed = self.checks.remove(self.position(name)?);
        self.index();
        Some(removed)
    }

    /// The moment at which the next mute ends.
    pub(super) fn next_unmute(&self) -> Nanos {
        self.checks.iter().filter_map(|check| Some(check.mute.as_ref()?.until)).min().unwrap_or(NEVER)
    }

    /// Applies everything that follows from a change: hold-backs, ends of mutes, effective statuses, entries, and the
    /// lifecycle.
    pub(super) fn settle(&mut self, now: Nanos, at: SystemTime) {
        self.settle_hold_backs(now);
        let is_over = |mute: &Mute| now >= mute.until || at >= mute.muted.until;
        for check in self.checks.iter_mut().filter(|check| check.mute.as_ref().is_some_and(is_over)) {
            check.mute = None;
            check.changed = true;
        }
        self.settle_statuses();
        for check in self.checks.iter_mut().filter(|check| check.changed) {
            check.renew_entry(now, at);
        }
        self.settle_lifecycle();
    }

    /// Makes the next snapshot.
    pub(super) fn next_snapshot(&mut self, about: &Arc<About>, uptime: Duration) -> Snapshot {
        self.generation += 1;
        let stopped = self.service.lifecycle == Lifecycle::Stopped;
        let entry = |check: &TrackedCheck| {
            if stopped { Arc::new(check.final_entry()) } else { Arc::clone(&check.entry) }
        };
        Snapshot::new(Parts {
            generation: self.generation,
            state: self.service,
            about: Arc::clone(about),
            uptime,
            entries: self.checks.iter().map(entry).collect(),
            positions: Arc::clone(&self.positions),
        })
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    fn index(&mut self) {
        let names = self.checks.iter().enumerate().map(|(position, check)| (Arc::clone(&check.name), position));
        self.positions = Arc::new(names.collect());
    }

    fn upstreams<'a>(&'a self, check: &'a TrackedCheck) -> impl Iterator<Item = &'a TrackedCheck> + 'a {
        check.plan.depends_on.iter().filter_map(|name| self.check(name))
    }

    /// Decides which checks are held back, and releases those that are no longer.
    fn settle_hold_backs(&mut self, now: Nanos) {
        let mut held: Vec<bool> = vec![false; self.checks.len()];
        // Dependencies have no circles, so the longest chain bounds the number of rounds.
        loop {
            let is_held = |name: &Arc<str>| self.position(name).is_some_and(|position| held[position]);
            let holds_back = |upstream: &TrackedCheck| upstream.last_run_failed || is_held(&upstream.name);
            let settled: Vec<bool> =
                self.checks.iter().map(|check| !check.is_done() && self.upstreams(check).any(holds_back)).collect();
            if settled == held {
                break;
            }
            held = settled;
        }
        for (check, held) in self.checks.iter_mut().zip(held) {
            if check.held_back == held {
                continue;
            }
            check.held_back = held;
            check.changed = true;
            if !held {
                check.released = now;
                check.signals.release();
            }
        }
    }

    /// Decides the effective status of every check.
    fn settle_statuses(&mut self) {
        for _ in 0..=self.checks.len() {
            let mut settled = true;
            for position in 0..self.checks.len() {
                let check = &self.checks[position];
                let upstreams: Vec<Upstream<'_>> = self
                    .upstreams(check)
                    .map(|upstream| Upstream {
                        name: &upstream.name,
                        holds_back: upstream.last_run_failed || upstream.held_back,
                        effective: &upstream.effective,
                    })
                    .collect();
                let effective =
                    policy::effective_status(&check.state, check.held_back, &upstreams, check.mute.is_some());
                if effective != check.effective {
                    settled = false;
                    self.checks[position].effective = effective;
                    self.checks[position].changed = true;
                }
            }
            if settled {
                break;
            }
        }
    }

    /// Turns Starting into Ready once every readiness check has finished a run or is held back, and passes startup once
    /// every startup check has succeeded.
    fn settle_lifecycle(&mut self) {
        let mut readiness = self.checks.iter().filter(|check| check.plan.readiness);
        if self.service.lifecycle == Lifecycle::Starting
            && readiness.all(|check| check.last_run.is_some() || (check.held_back && !check.signals.is_running()))
        {
            self.service.lifecycle = Lifecycle::Ready;
        }
        let mut startup = self.checks.iter().filter(|check| check.plan.startup && check.counts);
        if !self.service.startup_passed && startup.all(|check| check.state.ever_succeeded) {
            self.service.startup_passed = true;
        }
    }
}

/// Returns the changes from one snapshot to the next, as subscribers receive them.
pub(super) fn changes(before: &Snapshot, after: &Snapshot, at: SystemTime) -> Vec<Change> {
    let mut changes = Vec::new();
    let reported = |entry: &Entry| entry.report.since.is_some().then_some(entry.report.status);
    for entry in after.entries() {
        let report = &entry.report;
        let from = before.entry(&report.name).and_then(|entry| reported(entry));
        if let Some(to) = reported(entry).filter(|to| from != Some(*to)) {
            changes.push(Change::Check(CheckChange {
                check: Arc::clone(&report.name),
                from,
                to,
                reason: report.reason,
                message: report.message.clone(),
                log_message: report.log_message.clone(),
                caused_by: report.caused_by.clone(),
                at,
            }));
        }
    }
    let (from, to) = (before.lifecycle(), after.lifecycle());
    if from != to {
        changes.push(Change::Lifecycle(LifecycleChange { from, to, at }));
    }
    changes
}
