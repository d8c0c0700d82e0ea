//! The state of the engine: all tracked checks and the service, and the consequences of each change. The code never
//! waits and does no I/O. A change walks over the checks that it affects. A removal, the stop and the passing of
//! startup walk over all checks.

#[cfg(feature = "serde")]
mod replan;

use std::{
    collections::BTreeSet,
    mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    engine::{
        gaps::Gaps,
        policy::{self, ServiceState, Upstream},
        signals::Signals,
        snapshot::{
            Snapshot,
            contents::{About, Contents},
            entry::Entry,
        },
        store::{
            ranks,
            tracked_check::{LastRun, NewCheck, NextRun, TrackedCheck},
            waiting::Waiting,
        },
        wake::WakeSlots,
    },
    model::{
        change::{Change, CheckChange, LifecycleChange},
        history::History,
        report::CheckReport,
        status::{Lifecycle, Reason, Status},
    },
    time::{NEVER, Nanos},
};

/// The tracked checks and the state of the service, behind the lock of the store.
#[derive(Debug)]
pub(super) struct State {
    checks: Vec<TrackedCheck>,
    service: ServiceState,
    contents: Contents,
    /// The rank and the position of each check to settle, that is, each check with a change whose consequences are not
    /// applied yet. The order puts upstreams first.
    unsettled: BTreeSet<(usize, usize)>,
    /// The times at which results expire, with the positions of their checks.
    expiries: BTreeSet<(Nanos, usize)>,
    muted: BTreeSet<usize>,
    /// The time at which the next mute ends, by either clock; `None` if no check is muted.
    next_unmute: Option<(Nanos, SystemTime)>,
    /// The positions of readiness checks that may have no finished run. Read while Starting.
    without_run: Vec<usize>,
    /// The positions of startup checks that may have no success. Read until startup has passed.
    without_success: Vec<usize>,
    wake_slots: WakeSlots<Signals>,
    publication: Publication,
    gaps: Gaps,
    /// The snapshot before the published one.
    retired: Option<Arc<Snapshot>>,
}

/// The changes since the last publication.
#[derive(Debug, Default)]
struct Publication {
    /// The changes of checks, each with the position of its check.
    changes: Vec<(usize, CheckChange)>,
    /// The lifecycle in the last publication; `None` before the first one.
    lifecycle: Option<Lifecycle>,
    /// Whether a verdict differs from the published one, so that the publication must not wait.
    is_urgent: bool,
    waiting: Waiting,
    /// The time of the last publication.
    last: Option<Nanos>,
}

impl State {
    pub(super) fn new(about: Arc<About>, checks: Vec<NewCheck>, now: Nanos, at: SystemTime) -> Self {
        let service = ServiceState { lifecycle: Lifecycle::Starting, startup_passed: false, scheduler_stale: false };
        let mut state = Self {
            checks: Vec::with_capacity(checks.len()),
            service,
            contents: Contents::new(about, service),
            unsettled: BTreeSet::new(),
            expiries: BTreeSet::new(),
            muted: BTreeSet::new(),
            next_unmute: None,
            without_run: Vec::new(),
            without_success: Vec::new(),
            wake_slots: WakeSlots::default(),
            publication: Publication::default(),
            gaps: Gaps::default(),
            retired: None,
        };
        state.insert(checks, now, at);
        state.settle(now, at);
        state
    }

    pub(super) fn lifecycle(&self) -> Lifecycle {
        self.service.lifecycle
    }

    pub(super) fn checks(&self) -> &[TrackedCheck] {
        &self.checks
    }

    pub(super) fn check(&self, name: &str) -> Option<&TrackedCheck> {
        self.checks.get(self.contents.position(name)?)
    }

    /// Returns the check with these signals; `None` if it was removed, also if another check now has its name.
    pub(super) fn check_of(&self, signals: &Arc<Signals>) -> Option<&TrackedCheck> {
        self.checks.get(signals.position()).filter(|check| Arc::ptr_eq(&check.signals, signals))
    }

    /// Changes a check and marks it to be settled. Returns `None` if the check was removed.
    pub(super) fn change_of<R>(
        &mut self,
        signals: &Arc<Signals>,
        change: impl FnOnce(&mut TrackedCheck) -> R,
    ) -> Option<R> {
        let position = self.check_of(signals)?.signals.position();
        self.change_at(position, change)
    }

    /// Changes the check with this name and marks it to be settled. Returns `None` if there is no check of that name.
    pub(super) fn change<R>(&mut self, name: &str, change: impl FnOnce(&mut TrackedCheck) -> R) -> Option<R> {
        let position = self.contents.position(name)?;
        self.change_at(position, change)
    }

    fn change_at<R>(&mut self, position: usize, change: impl FnOnce(&mut TrackedCheck) -> R) -> Option<R> {
        let check = self.checks.get_mut(position)?;
        let ends = |check: &TrackedCheck| check.mute.as_ref().map(|mute| (mute.until, mute.muted.until));
        let before = ends(check);
        let result = change(check);
        check.changed = true;
        self.unsettled.insert((check.rank, position));
        if ends(check) != before {
            let is_muted = check.mute.is_some();
            if is_muted {
                self.muted.insert(position)
            } else {
                self.muted.remove(&position)
            };
            self.find_next_unmute();
        }
        Some(result)
    }

    /// Records a finished run of a check and returns the time of the next one.
    pub(super) fn record(&mut self, signals: &Arc<Signals>, run: LastRun) -> Option<NextRun> {
        self.publication.waiting.record();
        self.change_of(signals, |check| check.record(run))
    }

    pub(super) fn insert(&mut self, new: Vec<NewCheck>, now: Nanos, at: SystemTime) {
        // The new checks share this history until their first runs.
        let history = Arc::new(History::begun(now, at));
        let counts = self.service.lifecycle == Lifecycle::Starting;
        let first = self.checks.len();
        for new in new {
            let position = self.checks.len();
            let check = TrackedCheck::new(new, counts, Arc::clone(&history));
            check.signals.set_position(position);
            check.signals.track(&mut self.wake_slots);
            self.contents.push(Arc::new(check.entry(!check.plan.asks_a_service, false)));
            if counts {
                self.without_run.extend(check.plan.readiness.then_some(position));
            }
            if !self.service.startup_passed {
                self.without_success.extend(check.plan.startup.then_some(position));
            }
            self.checks.push(check);
        }
        let contents = &self.contents;
        ranks::link(&mut self.checks, first, |name| contents.position(name));
        self.unsettled
            .extend(self.checks.iter().enumerate().skip(first).map(|(position, check)| (check.rank, position)));
    }

    /// Removes a check on which no other check depends. Walks over all checks, because their positions change.
    pub(super) fn remove(&mut self, position: usize) -> TrackedCheck {
        let removed = self.checks.remove(position);
        removed.signals.untrack(&mut self.wake_slots);
        removed.signals.set_position(usize::MAX);
        let moved = |other: &mut usize| *other -= usize::from(*other > position);
        for (new, check) in self.checks.iter_mut().enumerate() {
            check.signals.set_position(new);
            if let Some(links) = &mut check.links {
                links.dependants.retain(|dependant| *dependant != position);
                links.upstreams.iter_mut().chain(&mut links.dependants).for_each(moved);
            }
        }
        let others = self.contents.entries().enumerate().filter(|(other, _)| *other != position);
        let others: Vec<Arc<Entry>> = others.map(|(_, entry)| Arc::clone(entry)).collect();
        self.contents = self.contents.with_entries(self.service, others);
        self.publication.changes.retain(|(other, _)| *other != position);
        self.publication.changes.iter_mut().for_each(|(other, _)| moved(other));
        self.rebuild_lists();
        removed
    }

    /// Sets the lifecycle. Entering or leaving Stopped renews all entries, because entries of a stopped service are
    /// final.
    pub(super) fn set_lifecycle(&mut self, lifecycle: Lifecycle, now: Nanos, at: SystemTime) {
        let turns_final = (self.service.lifecycle == Lifecycle::Stopped) != (lifecycle == Lifecycle::Stopped);
        self.service.lifecycle = lifecycle;
        if turns_final {
            self.settle(now, at);
            let is_final = lifecycle == Lifecycle::Stopped;
            let entry = |check: &TrackedCheck| Arc::new(check.entry(self.is_local(check), is_final));
            let entries: Vec<Arc<Entry>> = self.checks.iter().map(entry).collect();
            self.contents = self.contents.with_entries(self.service, entries);
            self.rebuild_lists();
        }
    }

    /// Resets startup to not passed.
    #[cfg(feature = "testing")]
    pub(super) fn restart_startup(&mut self) {
        self.service.startup_passed = false;
        self.rebuild_lists();
    }

    /// Makes a check pending again, as if it had never run.
    #[cfg(feature = "testing")]
    pub(super) fn forget(&mut self, signals: &Arc<Signals>, now: Nanos, at: SystemTime) {
        self.change_of(signals, |check| check.forget(now, at));
        self.rebuild_lists();
    }

    /// Returns the signals of every check that readers have requested since the last call.
    pub(super) fn take_requested(&self) -> Vec<Arc<Signals>> {
        self.wake_slots.take_requested()
    }

    /// The time at which the next recorded result expires.
    pub(super) fn expires_at(&self) -> Nanos {
        match self.expiries.first() {
            Some((expires_at, _)) if self.service.lifecycle != Lifecycle::Stopped => *expires_at,
            _ => NEVER,
        }
    }

    /// Whether a check is muted.
    pub(super) fn has_muted(&self) -> bool {
        self.next_unmute.is_some()
    }

    // --- Consequences of a change ------------------------------------------------------------------------------

    /// Applies the consequences of all changes: ends of mutes, hold-backs, effective statuses, entries, and the
    /// lifecycle.
    pub(super) fn settle(&mut self, now: Nanos, at: SystemTime) {
        self.end_mutes(now, at);
        // The order puts upstreams first, so that each check is settled once.
        while let Some((_, position)) = self.unsettled.pop_first() {
            self.settle_check(position, now, at);
        }
        self.settle_lifecycle();
        if self.contents.service() != self.service {
            self.publication.is_urgent = true;
            self.contents.set_service(self.service);
        }
    }

    /// Records a stall of the runtime, which lasts from `beat_stale_at` to `now`, and a suspension of the machine.
    /// Called before every record of a status. `beat_stale_at` is the time at which the scheduler's last sign of life
    /// became or becomes stale. Returns whether there was a stall.
    pub(super) fn record_gaps(&mut self, now: Nanos, at: SystemTime, beat_stale_at: Nanos) -> bool {
        let is_stalled = now > beat_stale_at;
        if is_stalled {
            self.gaps.record_stall(beat_stale_at, now);
        }
        if self.gaps.compare(now, at) {
            self.record_all();
        }
        is_stalled
    }

    /// Marks every check to be settled, which records its status again, because a gap affects the history of each
    /// check.
    pub(super) fn record_all(&mut self) {
        for position in 0..self.checks.len() {
            self.change_at(position, |_| ());
        }
    }

    /// Whether a mute is over by the monotonic clock or by the wall clock. Both are checked, because the machine may
    /// have been suspended and its wall clock may have been set.
    pub(super) fn has_unmuted(&self, now: Nanos, at: SystemTime) -> bool {
        self.next_unmute.is_some_and(|(until, time)| now >= until || at >= time)
    }

    fn end_mutes(&mut self, now: Nanos, at: SystemTime) {
        if !self.has_unmuted(now, at) {
            return;
        }
        let is_over = |position: &usize| {
            let mute = self.checks.get(*position).and_then(|check| check.mute.as_ref());
            mute.is_none_or(|mute| now >= mute.until || at >= mute.muted.until)
        };
        let over: Vec<usize> = self.muted.iter().copied().filter(is_over).collect();
        for position in over {
            self.change_at(position, |check| check.mute = None);
        }
    }

    fn find_next_unmute(&mut self) {
        let mutes = || self.muted.iter().filter_map(|position| self.checks.get(*position)?.mute.as_ref());
        let times = mutes().map(|mute| mute.muted.until).min();
        self.next_unmute = mutes().map(|mute| mute.until).min().zip(times);
    }

    /// Decides whether a check is held back, determines its effective status, and renews its entry. Marks its
    /// dependants to be settled if the result affects them.
    fn settle_check(&mut self, position: usize, now: Nanos, at: SystemTime) {
        let Some(check) = self.checks.get(position) else { return };
        let upstreams: Vec<Upstream<'_>> = check
            .upstreams()
            .iter()
            .filter_map(|upstream| self.checks.get(*upstream))
            .map(|upstream| Upstream {
                name: &upstream.name,
                holds_back: upstream.holds_back(),
                effective: &upstream.effective,
            })
            .collect();
        let held_back = !check.is_done() && upstreams.iter().any(|upstream| upstream.holds_back);
        let effective = policy::effective_status(&check.state, held_back, &upstreams, check.mute.is_some());
        let Some(check) = self.checks.get_mut(position) else { return };
        let is_released = check.held_back && !held_back;
        check.changed |= check.held_back != held_back || check.effective != effective;
        check.held_back = held_back;
        let holds_back = check.holds_back();
        let affects_dependants =
            mem::replace(&mut check.held_others_back, holds_back) != holds_back || check.effective != effective;
        check.effective = effective;
        if is_released {
            check.released = now;
        }
        if check.changed {
            self.renew_entry(position, now, at);
        }
        let Some(check) = self.checks.get(position) else { return };
        if is_released {
            check.signals.release();
        }
        if affects_dependants {
            let ranked = |dependant: &usize| self.checks.get(*dependant).map(|check| (check.rank, *dependant));
            self.unsettled.extend(check.dependants().iter().filter_map(ranked));
        }
    }

    /// Renews the entry of a check, and records the change that subscribers receive.
    fn renew_entry(&mut self, position: usize, now: Nanos, at: SystemTime) {
        let is_final = self.service.lifecycle == Lifecycle::Stopped;
        let Some(check) = self.checks.get_mut(position) else { return };
        let expired_at = check.signals.stale_at();
        check.record_status(now, at, &self.gaps);
        check.set_ages();
        let expires_at = check.signals.stale_at();
        if expired_at != expires_at {
            self.expiries.remove(&(expired_at, position));
            if expires_at != NEVER {
                self.expiries.insert((expires_at, position));
            }
        }
        let Some(check) = self.checks.get(position) else { return };
        let entry = Arc::new(check.entry(self.is_local(check), is_final));
        let Some(before) = self.contents.replace(position, Arc::clone(&entry)) else { return };
        // A reader may already have seen the previous result as stale.
        self.publication.is_urgent |= now >= expired_at || is_judged_differently(&before.report, &entry.report);
        if let Some(change) = change(&before.report, &entry.report, at) {
            self.publication.changes.push((position, change));
        }
    }

    /// Whether the check is in answers to requests with `Health-Local: 1`, which other services send.
    fn is_local(&self, check: &TrackedCheck) -> bool {
        let asks_a_service = |name: &Arc<str>| self.check(name).is_some_and(|cause| cause.plan.asks_a_service);
        let waits_for_a_service =
            check.effective.reason == Some(Reason::Dependency) && check.effective.caused_by.iter().all(asks_a_service);
        !check.plan.asks_a_service && !waits_for_a_service
    }

    /// Changes the lifecycle from Starting to Ready once every readiness check has finished a run or is held back, and
    /// passes startup once every startup check has succeeded.
    fn settle_lifecycle(&mut self) {
        let checks = &self.checks;
        if self.service.lifecycle == Lifecycle::Starting {
            while self.without_run.pop_if(|position| checks[*position].last_run.is_some()).is_some() {}
            let has_begun =
                |check: &TrackedCheck| check.last_run.is_some() || (check.held_back && !check.signals.is_running());
            match self.without_run.iter().rposition(|position| !has_begun(&checks[*position])) {
                None => {
                    self.service.lifecycle = Lifecycle::Ready;
                    self.without_run = Vec::new();
                }
                // Moved to the end of the list, where the next search starts and finds it at once.
                Some(waited_for) => {
                    let last = self.without_run.len() - 1;
                    self.without_run.swap(waited_for, last);
                }
            }
        }
        if !self.service.startup_passed {
            while self.without_success.pop_if(|position| checks[*position].state.ever_succeeded).is_some() {}
            let has_succeeded = |check: &TrackedCheck| check.state.ever_succeeded || !check.counts;
            if self.without_success.iter().rev().all(|position| has_succeeded(&checks[*position])) {
                self.service.startup_passed = true;
            }
        }
    }

    /// Rebuilds every list of positions.
    fn rebuild_lists(&mut self) {
        let positions = || self.checks.iter().enumerate();
        let of = |is_listed: fn(&TrackedCheck) -> bool| {
            positions().filter(move |(_, check)| is_listed(check)).map(|(position, _)| position)
        };
        self.without_run = of(|check| check.plan.readiness && check.last_run.is_none()).collect();
        self.without_success = of(|check| check.plan.startup && !check.state.ever_succeeded).collect();
        self.muted = of(|check| check.mute.is_some()).collect();
        self.unsettled = positions().filter(|(_, check)| check.changed).map(|(at, check)| (check.rank, at)).collect();
        let expiries = positions().map(|(position, check)| (check.signals.stale_at(), position));
        self.expiries = expiries.filter(|(expires_at, _)| *expires_at != NEVER).collect();
        self.find_next_unmute();
    }

    // --- Publication -------------------------------------------------------------------------------------------

    /// Whether the recorded results must be published now, because a verdict changes or because the last publication is
    /// at least `longest_wait` ago.
    pub(super) fn must_publish(&self, now: Nanos, longest_wait: Nanos) -> bool {
        let is_due = |last: Nanos| now.saturating_sub(last) >= longest_wait;
        self.publication.is_urgent || self.publication.last.is_none_or(is_due)
    }

    /// Whether a recorded result is not published yet.
    pub(super) fn has_waiting(&self) -> bool {
        self.publication.waiting.has_result()
    }

    /// Lets the recorded results wait. Returns whether this is the first call since the last publication.
    pub(super) fn begins_to_wait(&mut self) -> bool {
        self.publication.waiting.begins_to_wait()
    }

    /// Keeps `previous`, the snapshot before the published one, and returns the snapshot that was kept before.
    pub(super) fn retire(&mut self, previous: Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        self.retired.replace(previous)
    }

    /// Returns the next snapshot, and the changes since the last one as subscribers receive them.
    pub(super) fn publish(&mut self, now: Nanos, at: SystemTime) -> (Snapshot, Vec<Change>) {
        let lifecycle = self.service.lifecycle;
        let next = Publication { lifecycle: Some(lifecycle), last: Some(now), ..Publication::default() };
        let mut publication = mem::replace(&mut self.publication, next);
        publication.changes.sort_by_key(|(position, _)| *position);
        let mut changes: Vec<Change> =
            publication.changes.into_iter().map(|(_, change)| Change::Check(change)).collect();
        if let Some(from) = publication.lifecycle.filter(|from| *from != lifecycle) {
            changes.push(Change::Lifecycle(LifecycleChange { from, to: lifecycle, at }));
        }
        self.contents.generation += 1;
        self.contents.uptime = Duration::from_nanos(now);
        (Snapshot::new(self.contents.clone()), changes)
    }
}

/// Whether two reports of a check can lead to different verdicts.
fn is_judged_differently(before: &CheckReport, after: &CheckReport) -> bool {
    let verdict = |report: &CheckReport| (report.status, report.reason, report.counts, report.ever_succeeded);
    verdict(before) != verdict(after)
        || before.is_pending() != after.is_pending()
        || before.caused_by != after.caused_by
        || before.muted != after.muted
}

/// Returns the change of a check as subscribers receive it; `None` if its reported status is the same.
fn change(before: &CheckReport, after: &CheckReport, at: SystemTime) -> Option<CheckChange> {
    let reported = |report: &CheckReport| -> Option<Status> { report.since.is_some().then_some(report.status) };
    let (from, to) = (reported(before), reported(after)?);
    (from != Some(to)).then(|| CheckChange {
        check: Arc::clone(&after.name),
        from,
        to,
        reason: after.reason,
        message: after.message.clone(),
        log_message: after.log_message.clone(),
        caused_by: after.caused_by.clone(),
        at,
    })
}
