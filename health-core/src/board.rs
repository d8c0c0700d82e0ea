//! The one writer: takes finished runs and changes of lifecycle, asks `policy`, and publishes one immutable snapshot
//! by one atomic swap. Readers load it and wait for nothing.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Notify, broadcast, watch};

use crate::{
    bounds,
    check::outcome::Outcome,
    config::{error::MuteError, plan::Node},
    log,
    model::{
        change::{Change, Changes, CheckChange, LifecycleChange},
        report::{Muted, Report},
        status::{Lifecycle, Probe, Status},
    },
    policy::{self, Circumstances, Upstream},
    redact::Secrets,
    scheduler::Signals,
    slot::{Last, Mute, NewSlot, Next, Slot},
    snapshot::{About, Entry, Parts, Snapshot, Verdicts, View},
    time::{Clock, NEVER, Nanos, nanos},
};

/// A scheduler that has not beaten for so long is taken for dead: every view turns Unhealthy, liveness included.
pub(crate) const BEAT_STALE_AFTER: Duration = Duration::from_secs(30);

/// What is known of every check, and the snapshot made of it.
#[derive(Debug)]
pub(crate) struct Board {
    clock: Clock,
    about: Arc<About>,
    secrets: Secrets,
    published: ArcSwap<Snapshot>,
    /// When the scheduler last showed that it is alive.
    beat: AtomicU64,
    /// When the next mute is over.
    unmute_at: AtomicU64,
    writer: Mutex<Writer>,
    changes: broadcast::Sender<Change>,
    progress: watch::Sender<Progress>,
    /// What the log has been told.
    lines: Mutex<log::Lines>,
    /// Wakes the scheduler's coordinator, on behalf of a request.
    pub(crate) coordinator: Notify,
}

/// What those wait for who wait for the service, not for a check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) readiness: Status,
}

#[derive(Debug)]
struct Writer {
    slots: Vec<Slot>,
    positions: Arc<HashMap<Arc<str>, usize>>,
    circumstances: Circumstances,
    generation: u64,
}

/// A finished run, as it comes from the scheduler.
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) started: Nanos,
}

impl Board {
    pub(crate) fn new(clock: Clock, about: About, secrets: Secrets, slots: Vec<NewSlot>) -> Self {
        let mut writer = Writer {
            slots: slots.into_iter().map(|new| Slot::new(new, true)).collect(),
            positions: Arc::default(),
            circumstances: Circumstances {
                lifecycle: Lifecycle::Starting,
                startup_passed: false,
                scheduler_stale: false,
            },
            generation: 0,
        };
        writer.index();
        writer.settle(0, SystemTime::UNIX_EPOCH);
        let about = Arc::new(about);
        let snapshot = writer.snapshot(&about, Duration::ZERO);
        let progress = Progress::of(&snapshot);
        Self {
            // A frozen board has no scheduler that could die.
            beat: AtomicU64::new(if matches!(clock, Clock::Frozen { .. }) { NEVER } else { clock.now() }),
            unmute_at: AtomicU64::new(NEVER),
            clock,
            about,
            secrets,
            published: ArcSwap::from_pointee(snapshot),
            writer: Mutex::new(writer),
            changes: broadcast::Sender::new(crate::model::change::BACKLOG),
            progress: watch::Sender::new(progress),
            lines: Mutex::default(),
            coordinator: Notify::new(),
        }
    }

    // --- Readers -----------------------------------------------------------------------------------------------

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    #[cfg(feature = "webhook")]
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub(crate) fn load(&self) -> Guard<Arc<Snapshot>> {
        self.published.load()
    }

    /// Whether the scheduler must be taken for dead.
    pub(crate) fn scheduler_stale(&self, snapshot: &Snapshot, now: Nanos) -> bool {
        snapshot.circumstances.lifecycle != Lifecycle::Stopped
            && now.saturating_sub(self.beat.load(Ordering::Relaxed)) >= nanos(BEAT_STALE_AFTER)
    }

    /// The full report, or a probe's, as of now.
    pub(crate) fn report(&self, probe: Option<Probe>) -> Arc<Report> {
        let snapshot = self.load();
        let now = self.clock.now();
        let scheduler_stale = self.scheduler_stale(&snapshot, now);
        let select = |snapshot: &Snapshot| {
            let views = &snapshot.views;
            Arc::new(probe.map_or(&views.all, |probe| views.probe(probe)).report.clone())
        };
        if scheduler_stale || now >= snapshot.views.all.stale_at {
            select(&snapshot.aged(now, scheduler_stale))
        } else {
            select(&snapshot)
        }
    }

    /// Reads what metrics show, as of now.
    pub(crate) fn verdicts<R>(&self, read: impl FnOnce(&Verdicts<'_>) -> R) -> R {
        let snapshot = self.load();
        let now = self.clock.now();
        let scheduler_stale = self.scheduler_stale(&snapshot, now);
        if scheduler_stale || now >= snapshot.views.all.stale_at {
            read(&snapshot.aged(now, scheduler_stale).verdicts())
        } else {
            read(&snapshot.verdicts())
        }
    }

    /// Asks the scheduler, on behalf of a request, to run what the request found too old.
    pub(crate) fn wake_members(&self, snapshot: &Snapshot, view: &View, now: Nanos) {
        if view.alarm.goes_off(now) {
            for entry in view.members.iter().filter_map(|position| snapshot.entries.get(*position)) {
                if now >= entry.wake_at {
                    entry.wish.wanted.store(true, Ordering::Relaxed);
                }
            }
            self.coordinator.notify_one();
        }
    }

    /// The same for a request that asked for one check.
    pub(crate) fn wake_entry(&self, entry: &Entry, now: Nanos) {
        if entry.asked.goes_off(now) {
            entry.wish.wanted.store(true, Ordering::Relaxed);
            self.coordinator.notify_one();
        }
    }

    /// The same for an application whose own call has just failed.
    pub(crate) fn suspect(&self, name: &str) -> bool {
        let snapshot = self.load();
        let Some((_, entry)) = snapshot.entry(name) else { return false };
        if entry.wish.suspicion.goes_off(self.clock.now()) {
            entry.wish.wanted.store(true, Ordering::Relaxed);
            self.coordinator.notify_one();
        }
        true
    }

    pub(crate) fn subscribe(&self) -> Changes {
        let receiver = self.changes.subscribe();
        // Nothing comes after that.
        Changes::new(receiver, self.load().circumstances.lifecycle == Lifecycle::Stopped)
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    // --- The writer --------------------------------------------------------------------------------------------

    pub(crate) fn beat(&self) {
        let now = self.clock.now();
        self.beat.store(now, Ordering::Relaxed);
        let overdue = self.lines().overdue(now);
        overdue.iter().for_each(log::tell);
        // By either clock: the machine may have slept, and its time of day may have been set.
        let at = self.clock.wall();
        let is_over = |entry: &Arc<Entry>| entry.report.muted.as_ref().is_some_and(|muted| at >= muted.until);
        let over = self.load().entries.iter().any(is_over);
        if over || now >= self.unmute_at.load(Ordering::Relaxed) {
            self.publish(self.lock());
        }
    }

    /// Takes a check's failure for known until then, or no longer with `None`.
    pub(crate) fn mute(&self, name: &str, mute: Option<(SystemTime, &str)>) -> Result<(), MuteError> {
        let (now, at) = (self.clock.now(), self.clock.wall());
        let mut writer = self.lock();
        let Some(position) = writer.find(name) else {
            return Err(MuteError::Unknown(crate::config::error::UnknownCheck { name: name.to_owned() }));
        };
        if writer.circumstances.lifecycle == Lifecycle::Stopped {
            return Err(MuteError::Stopped);
        }
        let slot = &mut writer.slots[position];
        slot.mute = mute.map(|(until, note)| Mute {
            until: now.saturating_add(nanos(until.duration_since(at).unwrap_or_default())),
            shown: Muted { until, note: Some(bounds::note(note, &self.secrets)).filter(|note| !note.is_empty()) },
        });
        slot.changed = true;
        let name = Arc::clone(&slot.name);
        let muted = slot.mute.as_ref().map(|mute| mute.shown.clone());
        self.publish(writer);
        log::muted(&name, muted.as_ref());
        Ok(())
    }

    /// The signals of a check, for those who want it to run.
    pub(crate) fn signals(&self, name: &str) -> Option<Arc<Signals>> {
        let writer = self.lock();
        writer.find(name).map(|position| Arc::clone(&writer.slots[position].signals))
    }

    /// The signals of every check that a request has asked for since the last call.
    pub(crate) fn wanted(&self) -> Vec<Arc<Signals>> {
        let writer = self.lock();
        let wanted = |slot: &&Slot| slot.signals.wish.wanted.swap(false, Ordering::Relaxed);
        writer.slots.iter().filter(wanted).map(|slot| Arc::clone(&slot.signals)).collect()
    }

    /// Whether a check must not run now because one that it depends on failed.
    pub(crate) fn is_held_back(&self, signals: &Arc<Signals>) -> bool {
        self.lock().slots.iter().any(|slot| Arc::ptr_eq(&slot.signals, signals) && slot.held_back)
    }

    /// Takes a finished run. `None`: the check is gone or the board is stopped, and it is not to be run again.
    pub(crate) fn record(&self, signals: &Arc<Signals>, run: Finished) -> Option<Next> {
        let finished = self.clock.now();
        let at = self.clock.wall();
        let finding = bounds::bounded(run.outcome, &self.secrets);
        let duration = Duration::from_nanos(finished.saturating_sub(run.started));
        let mut writer = self.lock();
        if writer.circumstances.lifecycle == Lifecycle::Stopped {
            return None;
        }
        let slot = writer.slots.iter_mut().find(|slot| Arc::ptr_eq(&slot.signals, signals))?;
        let over_bounds = finding.over_bounds.filter(|_| !mem::replace(&mut slot.warned, true));
        let name = Arc::clone(&slot.name);
        let next = slot.ran(Last { finished, at, duration, finding });
        self.publish(writer);
        if let Some(what) = over_bounds {
            log::over_bounds(&name, what);
        }
        Some(next)
    }

    /// Tells the log of a panic, unless it has just been told of one of this check.
    pub(crate) fn panicked(&self, check: &Arc<str>, payload: &str) {
        let payload = self.secrets.redact(payload).into();
        let line = self.lines().panicked(check, payload, self.clock.now());
        line.iter().for_each(log::tell);
    }

    /// Tells the log that nothing has run for so long.
    pub(crate) fn stood_still(&self, gap: Duration) {
        let is_time = self.lines().stood_still(self.clock.now());
        if is_time {
            log::stood_still(gap);
        }
    }

    /// Puts a check on a running board.
    pub(crate) fn insert(&self, new: NewSlot) -> Result<(), crate::config::error::BuildError> {
        let mut writer = self.lock();
        if writer.circumstances.lifecycle == Lifecycle::Stopped {
            return Err(crate::config::error::BuildError::Stopped);
        }
        let mut nodes: Vec<Node<'_>> =
            writer.slots.iter().map(|slot| Node { name: &slot.name, options: &slot.options }).collect();
        nodes.push(Node { name: &new.name, options: &new.options });
        crate::config::plan::check_graph(&nodes)?;
        let counts = writer.circumstances.lifecycle == Lifecycle::Starting;
        writer.slots.push(Slot::new(new, counts));
        writer.index();
        self.publish(writer);
        Ok(())
    }

    /// Takes a check off the board and hands back its signals, so that its task can be ended.
    pub(crate) fn remove(&self, name: &str) -> Result<Arc<Signals>, crate::config::error::RemoveError> {
        let mut writer = self.lock();
        let Some(position) = writer.find(name) else {
            return Err(crate::config::error::RemoveError::Unknown(crate::config::error::UnknownCheck {
                name: name.to_owned(),
            }));
        };
        let dependants: Vec<String> = writer
            .slots
            .iter()
            .filter(|slot| slot.plan.depends_on.iter().any(|upstream| **upstream == *name))
            .map(|slot| slot.name.to_string())
            .collect();
        if !dependants.is_empty() {
            return Err(crate::config::error::RemoveError::HasDependants { name: name.to_owned(), dependants });
        }
        let slot = writer.slots.remove(position);
        writer.index();
        self.publish(writer);
        Ok(slot.signals)
    }

    /// Moves the lifecycle forward; a step back is ignored.
    pub(crate) fn advance(&self, to: Lifecycle) {
        let mut writer = self.lock();
        if to > writer.circumstances.lifecycle {
            writer.circumstances.lifecycle = to;
            self.publish(writer);
        }
    }

    /// Makes a new snapshot of what is known, swaps it in, and tells everyone what changed.
    fn publish(&self, mut writer: MutexGuard<'_, Writer>) {
        let (now, at) = (self.clock.now(), self.clock.wall());
        writer.settle(now, at);
        let mutes = writer.slots.iter().filter_map(|slot| slot.mute.as_ref());
        self.unmute_at.store(mutes.map(|mute| mute.until).min().unwrap_or(NEVER), Ordering::Relaxed);
        writer.generation += 1;
        let snapshot = Arc::new(writer.snapshot(&self.about, Duration::from_nanos(now)));
        let previous = self.published.swap(Arc::clone(&snapshot));
        let changes = changes(&previous, &snapshot, at);
        for change in &changes {
            // An error only says that nobody listens.
            let _ = self.changes.send(change.clone());
        }
        self.progress.send_if_modified(|progress| {
            let now = Progress::of(&snapshot);
            let modified = (progress.lifecycle, progress.readiness) != (now.lifecycle, now.readiness);
            *progress = now;
            modified
        });
        // In the order of the publications, but told without a lock: whoever keeps the log may ask us something.
        let told = self.lines().admitted(&changes, now);
        drop(writer);
        told.iter().for_each(log::tell);
    }

    fn lines(&self) -> MutexGuard<'_, log::Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        // Nothing under this lock can leave the data half written, so a panic of a log subscriber is no reason to stop.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "testing")]
impl Board {
    /// Makes a check look as if it had never run.
    pub(crate) fn forget(&self, signals: &Arc<Signals>) {
        let mut writer = self.lock();
        if let Some(slot) = writer.slots.iter_mut().find(|slot| Arc::ptr_eq(&slot.signals, signals)) {
            let new = NewSlot {
                name: Arc::clone(&slot.name),
                options: slot.options.clone(),
                plan: Arc::clone(&slot.plan),
                signals: Arc::clone(&slot.signals),
            };
            *slot = Slot::new(new, true);
        }
        self.publish(writer);
    }

    /// Sets the phase of life, in either direction, and forgets that startup was passed.
    pub(crate) fn set_lifecycle(&self, lifecycle: Lifecycle) {
        let mut writer = self.lock();
        writer.circumstances.lifecycle = lifecycle;
        writer.circumstances.startup_passed = false;
        self.publish(writer);
    }
}

impl Progress {
    fn of(snapshot: &Snapshot) -> Self {
        Self { lifecycle: snapshot.circumstances.lifecycle, readiness: snapshot.views.readiness.report.status }
    }
}

impl Writer {
    fn find(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    fn index(&mut self) {
        self.positions = Arc::new(
            self.slots.iter().enumerate().map(|(position, slot)| (Arc::clone(&slot.name), position)).collect(),
        );
    }

    /// Draws every conclusion from what has just been noted.
    fn settle(&mut self, now: Nanos, at: SystemTime) {
        self.hold_back(now);
        let is_over = |mute: &Mute| now >= mute.until || at >= mute.shown.until;
        for slot in self.slots.iter_mut().filter(|slot| slot.mute.as_ref().is_some_and(is_over)) {
            slot.mute = None;
            slot.changed = true;
        }
        self.show();
        for slot in self.slots.iter_mut().filter(|slot| slot.changed) {
            slot.renew(now, at);
        }
        self.move_on();
    }

    /// Decides which checks are held back, and lets go those that need not be any more.
    fn hold_back(&mut self, now: Nanos) {
        let mut held: Vec<bool> = vec![false; self.slots.len()];
        // Dependencies have no circles, so this settles after at most as many rounds as the longest chain.
        loop {
            let settled: Vec<bool> = self
                .slots
                .iter()
                .map(|slot| {
                    !slot.is_done()
                        && self.upstreams(slot).any(|position| self.slots[position].last_run_failed || held[position])
                })
                .collect();
            if settled == held {
                break;
            }
            held = settled;
        }
        for (slot, held) in self.slots.iter_mut().zip(held) {
            if slot.held_back == held {
                continue;
            }
            slot.held_back = held;
            slot.changed = true;
            if !held {
                slot.released = now;
                slot.signals.release();
            }
        }
    }

    fn upstreams<'a>(&'a self, slot: &'a Slot) -> impl Iterator<Item = usize> + 'a {
        slot.plan.depends_on.iter().filter_map(|name| self.find(name))
    }

    /// Works out what each check shows now.
    fn show(&mut self) {
        for _ in 0..=self.slots.len() {
            let mut settled = true;
            for position in 0..self.slots.len() {
                let slot = &self.slots[position];
                let upstreams: Vec<Upstream<'_>> = self
                    .upstreams(slot)
                    .map(|upstream| &self.slots[upstream])
                    .map(|up| Upstream {
                        name: &up.name,
                        holds_back: up.last_run_failed || up.held_back,
                        shown: &up.shown,
                    })
                    .collect();
                let shown = policy::shown(&slot.standing, slot.held_back, &upstreams, slot.mute.is_some());
                if shown != slot.shown {
                    settled = false;
                    self.slots[position].shown = shown;
                    self.slots[position].changed = true;
                }
            }
            if settled {
                break;
            }
        }
    }

    /// Starting becomes Ready, and startup is passed, by themselves.
    fn move_on(&mut self) {
        let mut readiness = self.slots.iter().filter(|slot| slot.plan.readiness);
        if self.circumstances.lifecycle == Lifecycle::Starting
            && readiness.all(|slot| slot.last.is_some() || (slot.held_back && !slot.signals.is_running()))
        {
            self.circumstances.lifecycle = Lifecycle::Ready;
        }
        let mut startup = self.slots.iter().filter(|slot| slot.plan.startup && slot.counts);
        if !self.circumstances.startup_passed && startup.all(|slot| slot.standing.ever_succeeded) {
            self.circumstances.startup_passed = true;
        }
    }

    fn snapshot(&self, about: &Arc<About>, uptime: Duration) -> Snapshot {
        let stopped = self.circumstances.lifecycle == Lifecycle::Stopped;
        Snapshot::new(Parts {
            generation: self.generation,
            circumstances: self.circumstances,
            about: Arc::clone(about),
            uptime,
            entries: self
                .slots
                .iter()
                .map(|slot| if stopped { Arc::new(slot.at_rest()) } else { Arc::clone(&slot.entry) })
                .collect(),
            positions: Arc::clone(&self.positions),
        })
    }
}

/// What differs between two snapshots, as subscribers hear it.
fn changes(before: &Snapshot, after: &Snapshot, at: SystemTime) -> Vec<Change> {
    let mut changes = Vec::new();
    let judged = |entry: &Entry| entry.report.since.is_some().then_some(entry.report.status);
    for entry in &after.entries {
        let report = &entry.report;
        let from = before.entry(&report.name).and_then(|(_, entry)| judged(entry));
        if let Some(to) = judged(entry).filter(|to| from != Some(*to)) {
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
    let (from, to) = (before.circumstances.lifecycle, after.circumstances.lifecycle);
    if from != to {
        changes.push(Change::Lifecycle(LifecycleChange { from, to, at }));
    }
    changes
}
