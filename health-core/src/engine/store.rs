//! The store: the one writer of results and lifecycle. It publishes each snapshot by one atomic swap, and readers load
//! it without waiting.

#[cfg(feature = "serde")]
mod apply;
mod ranks;
mod state;
pub(crate) mod tracked_check;
mod waiting;

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Notify, broadcast, watch};

use crate::{
    check::outcome::Outcome,
    config::{
        error::{BuildError, MuteError, RemoveError, UnknownCheck},
        mistakes::Mistakes,
        plan::{Graph, Node},
        presets::Presets,
    },
    engine::{
        log::{self, LogLimiter},
        mounting::Mounting,
        sanitize,
        signals::Signals,
        snapshot::{
            Snapshot,
            contents::About,
            page::{Page, Woken},
        },
        store::{
            state::State,
            tracked_check::{LastRun, Mute, NewCheck, NextRun, TrackedCheck},
        },
    },
    model::{
        change::{self, Change, Changes},
        report::{Muted, Report},
        status::{Lifecycle, Probe, Status},
    },
    redact::Secrets,
    time::{Clock, NEVER, Nanos, nanos},
};

/// The age of the scheduler's last sign of life from which on every view is Unhealthy, liveness included.
const SCHEDULER_STALE_AFTER: Duration = Duration::from_secs(30);

/// The longest time that a result waits to be published with others. With the granularity of the timer, no reader is
/// further behind than 20 ms.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(15);

/// The state of every check, and the snapshot published from it.
#[derive(Debug)]
pub(crate) struct Store {
    clock: Clock,
    about: Arc<About>,
    secrets: Secrets,
    /// Replaced under the lock of the state alone.
    presets: ArcSwap<Presets>,
    published: ArcSwap<Snapshot>,
    /// The moment at which the next recorded result expires, published or not.
    expires_at: AtomicU64,
    /// The scheduler's last sign of life.
    beat: AtomicU64,
    has_muted: AtomicBool,
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
    progress: watch::Sender<Progress>,
    log: Mutex<LogLimiter>,
    mounting: Mounting,
    /// Wakes the scheduler's coordinator.
    wake_requested: Notify,
    /// Whether a request asks for a large view.
    views_requested: AtomicBool,
    /// Tells the scheduler's coordinator that a recorded result waits to be published.
    waiting: Notify,
}

/// The state of the service for callers that wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) readiness: Status,
}

/// A finished run.
pub(crate) struct CompletedRun {
    pub(crate) outcome: Outcome,
    pub(crate) started: Nanos,
    /// The number that [`Signals::reading`] gave before the check looked.
    pub(crate) reading: u64,
}

/// One reading of the store. Readers of results use [`current`](Self::current); requests that wake checks use
/// `published`, whose throttles are shared by all readers.
pub(crate) struct Reading {
    pub(crate) published: Guard<Arc<Snapshot>>,
    /// The published snapshot with expired results marked stale; `None` if no result has expired.
    aged: Option<Arc<Snapshot>>,
    pub(crate) now: Nanos,
}

impl Reading {
    /// The snapshot as of now, expired results marked stale.
    pub(crate) fn current(&self) -> &Snapshot {
        self.aged.as_deref().unwrap_or(&self.published)
    }

    /// Whether the current snapshot is the published one, because no result has expired.
    pub(crate) fn is_published(&self) -> bool {
        self.aged.is_none()
    }
}

impl Store {
    pub(crate) fn new(clock: Clock, about: About, secrets: Secrets, presets: Presets, checks: Vec<NewCheck>) -> Self {
        let about = Arc::new(about);
        let mut state = State::new(Arc::clone(&about), checks, clock.now(), clock.wall());
        let (snapshot, _) = state.publish(0, clock.wall());
        Self {
            // A frozen store has no scheduler that could die.
            beat: AtomicU64::new(if clock.is_frozen() { NEVER } else { clock.now() }),
            expires_at: AtomicU64::new(NEVER),
            has_muted: AtomicBool::new(false),
            progress: watch::Sender::new(Progress::of(&snapshot)),
            clock,
            about,
            secrets,
            presets: ArcSwap::from_pointee(presets),
            published: ArcSwap::from_pointee(snapshot),
            state: Mutex::new(state),
            changes: broadcast::Sender::new(change::BACKLOG),
            log: Mutex::default(),
            mounting: Mounting::default(),
            wake_requested: Notify::new(),
            views_requested: AtomicBool::new(false),
            waiting: Notify::new(),
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

    /// What holds for checks that are inserted now.
    pub(crate) fn presets(&self) -> Arc<Presets> {
        self.presets.load_full()
    }

    /// The snapshot as published, for readers of the lifecycle alone.
    pub(crate) fn published(&self) -> Guard<Arc<Snapshot>> {
        self.published.load()
    }

    /// Reads the clock and the snapshot once, and decides which results have expired.
    pub(crate) fn read(&self) -> Reading {
        let published = self.published.load();
        let now = self.clock.now();
        let scheduler_stale = published.lifecycle() != Lifecycle::Stopped && now >= self.beat_stale_at();
        // By what is recorded: a published result may have been renewed since.
        let has_expired = scheduler_stale || now >= self.expires_at.load(Ordering::Acquire);
        let aged = if has_expired { published.aged(now, scheduler_stale) } else { None };
        Reading { published, aged, now }
    }

    /// The full report, or the report of a probe, as of now.
    pub(crate) fn report(&self, probe: Option<Probe>) -> Arc<Report> {
        Arc::new(self.read().current().report(probe))
    }

    /// Requests runs of the members of a published page whose results are older than their `max_age`. Waking the
    /// coordinator for them is the one thing in a request that goes through locks of Tokio.
    pub(crate) fn wake(&self, page: Page<'_>, now: Nanos) {
        let woken = page.wake(now);
        if woken == Woken::View {
            self.views_requested.store(true, Ordering::Release);
        }
        if woken != Woken::Nothing {
            self.wake_requested.notify_one();
        }
    }

    /// Requests a run of a check that the application suspects. Returns `false` if there is no check of that name.
    pub(crate) fn suspect(&self, name: &str) -> bool {
        let snapshot = self.published.load();
        let Some(entry) = snapshot.entry(name) else { return false };
        if entry.signals.suspect(self.clock.now()) {
            self.wake_requested.notify_one();
        }
        true
    }

    /// Records that an endpoint over this store is mounted.
    pub(crate) fn mounted(&self) {
        self.mounting.mounted();
    }

    /// Records that an endpoint over this store is asked.
    pub(crate) fn asked(&self) {
        self.mounting.asked();
    }

    pub(crate) fn subscribe(&self) -> Changes {
        let receiver = self.changes.subscribe();
        Changes::new(receiver, self.published.load().lifecycle() == Lifecycle::Stopped)
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// The signals of a check; `None` if there is no check of that name.
    pub(crate) fn signals(&self, name: &str) -> Option<Arc<Signals>> {
        self.lock().check(name).map(|check| Arc::clone(&check.signals))
    }

    // --- The scheduler -----------------------------------------------------------------------------------------

    /// Waits until a reader requests a run.
    pub(super) async fn wake_requested(&self) {
        self.wake_requested.notified().await;
    }

    /// Returns the signals of every check that readers have requested since the last call.
    pub(super) fn take_requested(&self) -> Vec<Arc<Signals>> {
        if self.views_requested.swap(false, Ordering::Acquire) {
            self.published.load().wake_requested_views(self.clock.now());
        }
        self.lock().take_requested()
    }

    /// Whether a check is not to run because one of its upstreams failed.
    pub(super) fn is_held_back(&self, signals: &Arc<Signals>) -> bool {
        self.lock().check_of(signals).is_some_and(|check| check.held_back)
    }

    /// Waits until a recorded result waits to be published. It is published by [`flush`](Self::flush).
    pub(super) async fn waiting(&self) {
        self.waiting.notified().await;
    }

    /// Publishes what was recorded and waits.
    pub(crate) fn flush(&self) {
        let state = self.lock();
        if state.has_waiting() {
            self.publish(state);
        }
    }

    /// The moment from which on the scheduler counts as dead, unless it gives another sign of life.
    pub(crate) fn beat_stale_at(&self) -> Nanos {
        self.beat.load(Ordering::Relaxed).saturating_add(nanos(SCHEDULER_STALE_AFTER))
    }

    /// Notes a sign of life of the scheduler, ends mutes whose time is over, and writes log lines that were held back.
    pub(super) fn beat(&self) {
        let mut state = self.lock();
        // Read under the lock, so that no gap is recorded twice.
        let (now, at) = (self.clock.now(), self.clock.wall());
        let was_stalled = state.record_gaps(now, at, self.beat_stale_at());
        self.beat.store(now, Ordering::Relaxed);
        if was_stalled {
            state.record_all();
            self.publish(state);
        } else {
            drop(state);
        }
        let overdue = self.log().overdue(now);
        overdue.iter().for_each(log::write);
        if self.has_muted.load(Ordering::Relaxed) {
            let state = self.lock();
            if state.has_unmuted(now, at) {
                self.publish(state);
            }
        }
    }

    /// Logs a panic of a check, at most once in a while per check.
    pub(super) fn log_panic(&self, check: &Arc<str>, payload: &str) {
        let payload = sanitize::log_text(payload, &self.secrets).into();
        let line = self.log().admit_panic(check, payload, self.clock.now());
        line.iter().for_each(log::write);
    }

    /// Whether an endpoint is mounted in a service that is ready, and none was ever asked.
    pub(super) fn is_unasked(&self) -> bool {
        self.mounting.is_unasked() && self.published.load().lifecycle() == Lifecycle::Ready
    }

    /// Logs that no task has run for this long, at most once in a while.
    pub(super) fn log_stall(&self, gap: Duration) {
        let is_admitted = self.log().admit_stall(self.clock.now());
        if is_admitted {
            log::stall(gap);
        }
    }

    // --- Writing -----------------------------------------------------------------------------------------------

    /// Records a finished run and returns the time of the next one; `None` if the check was removed or the service has
    /// stopped, so that the check runs no more. Drops an outcome that a later reading of the check has overtaken.
    ///
    /// A result that changes no verdict may wait for others, so that publications do not come faster than readers can use
    /// them.
    pub(crate) fn record(&self, signals: &Arc<Signals>, run: CompletedRun) -> Option<NextRun> {
        let finished = self.clock.now();
        let at = self.clock.wall();
        let outcome = sanitize::sanitized(run.outcome, &self.secrets);
        let duration = Duration::from_nanos(finished.saturating_sub(run.started));
        let mut state = self.lock();
        if state.lifecycle() == Lifecycle::Stopped {
            return None;
        }
        let check = state.check_of(signals)?;
        if run.reading < check.reading {
            return Some(check.next_run());
        }
        let exceeded = outcome.exceeded.filter(|_| !check.limits_logged).map(|limit| (Arc::clone(&check.name), limit));
        let run = LastRun { finished, at, duration, reading: run.reading, outcome };
        let next = state.record(signals, run);
        // Read under the lock, so that no change is dated before an earlier one.
        let (now, at) = (self.clock.now(), self.clock.wall());
        state.record_gaps(now, at, self.beat_stale_at());
        state.settle(now, at);
        if self.clock.is_frozen() || state.must_publish(now, nanos(LONGEST_WAIT)) {
            self.publish(state);
        } else {
            self.expires_at.store(state.expires_at(), Ordering::Release);
            let is_first = state.begins_to_wait();
            drop(state);
            if is_first {
                self.waiting.notify_one();
            }
        }
        if let Some((name, limit)) = exceeded {
            log::limit_exceeded(&name, limit);
        }
        next
    }

    /// The time of the next run by the last result; `None` if the check runs no more.
    pub(super) fn next_run(&self, signals: &Arc<Signals>) -> Option<NextRun> {
        self.lock().check_of(signals).map(TrackedCheck::next_run)
    }

    /// Mutes a check until a moment, with a note, or unmutes it.
    pub(crate) fn mute(&self, name: &str, mute: Option<(SystemTime, &str)>) -> Result<(), MuteError> {
        let (now, at) = (self.clock.now(), self.clock.wall());
        let mut state = self.lock();
        if state.check(name).is_none() {
            return Err(MuteError::Unknown(UnknownCheck { name: name.to_owned() }));
        }
        if state.lifecycle() == Lifecycle::Stopped {
            return Err(MuteError::Stopped);
        }
        let mute = mute.map(|(until, note)| Mute {
            until: now.saturating_add(nanos(until.duration_since(at).unwrap_or_default())),
            muted: Arc::new(Muted {
                until,
                note: Some(sanitize::note(note, &self.secrets)).filter(|note| !note.is_empty()),
            }),
        });
        let muted = mute.as_ref().map(|mute| Arc::clone(&mute.muted));
        let before = state.change(name, |check| (Arc::clone(&check.name), mem::replace(&mut check.mute, mute)));
        self.publish(state);
        if let Some((name, before)) = before
            && (before.is_some() || muted.is_some())
        {
            log::muted(&name, muted.as_deref());
        }
        Ok(())
    }

    /// Adds checks to a running service, all or none, with one publication. Returns `false`, and adds none, if other presets
    /// hold than those by which the checks were planned.
    pub(crate) fn insert(
        &self,
        new: Vec<NewCheck>,
        named: &[Node<'_>],
        presets: &Arc<Presets>,
        mut mistakes: Mistakes,
    ) -> Result<bool, BuildError> {
        let mut state = self.lock();
        if state.lifecycle() == Lifecycle::Stopped {
            return Err(BuildError::Stopped);
        }
        if !Arc::ptr_eq(presets, &*self.presets.load()) {
            return Ok(false);
        }
        let graph = Graph::new(named, |name| state.check(name).map(|check| (&*check.name, &*check.plan)));
        graph.check(&mut mistakes);
        graph.check_grpc_services(&self.about.grpc_services, &mut mistakes);
        mistakes.result()?;
        state.insert(new, self.clock.now(), self.clock.wall());
        self.publish_members(state);
        Ok(true)
    }

    /// Removes a check and returns its signals, so that its task can be ended.
    pub(crate) fn remove(&self, name: &str) -> Result<Arc<Signals>, RemoveError> {
        let mut state = self.lock();
        let Some(check) = state.check(name) else {
            return Err(RemoveError::Unknown(UnknownCheck { name: name.to_owned() }));
        };
        let name_of = |position: &usize| state.checks().get(*position).map(|check| check.name.to_string());
        let dependants: Vec<String> = check.dependants().iter().filter_map(name_of).collect();
        if !dependants.is_empty() {
            return Err(RemoveError::HasDependants { name: name.to_owned(), dependants });
        }
        let position = check.signals.position();
        let removed = state.remove(position);
        self.publish_members(state);
        Ok(removed.signals)
    }

    /// Moves the lifecycle forward. A step back is ignored.
    pub(crate) fn advance(&self, to: Lifecycle) {
        let mut state = self.lock();
        if to > state.lifecycle() {
            state.set_lifecycle(to, self.clock.now(), self.clock.wall());
            self.publish(state);
        }
    }

    /// Publishes a snapshot whose views have other members, and takes the requests that were set for the views before.
    fn publish_members(&self, state: MutexGuard<'_, State>) {
        let before = self.published.load_full();
        self.publish(state);
        before.wake_requested_views(self.clock.now());
        self.wake_requested.notify_one();
    }

    /// Publishes a new snapshot, and tells subscribers and the log what has changed. The only place that publishes.
    fn publish(&self, mut state: MutexGuard<'_, State>) {
        let (now, at) = (self.clock.now(), self.clock.wall());
        state.record_gaps(now, at, self.beat_stale_at());
        state.settle(now, at);
        let (snapshot, changes) = state.publish(now, at);
        let progress = Progress::of(&snapshot);
        // Before the snapshot, so that no reader takes a result of this snapshot for an expired one.
        self.expires_at.store(state.expires_at(), Ordering::Release);
        self.has_muted.store(state.has_muted(), Ordering::Relaxed);
        let previous = self.published.swap(Arc::new(snapshot));
        for change in &changes {
            // Fails if nobody listens.
            let _ = self.changes.send(change.clone());
        }
        self.progress.send_if_modified(|known| mem::replace(known, progress) != progress);
        // Admitted under the lock, in the order of publication, and written without it, because a log subscriber may
        // call back into the service.
        let admitted = if changes.is_empty() { Vec::new() } else { self.log().admit_changes(&changes, now) };
        // Freed by the writer if possible, not by a reader, and one publication later, when hardly a reader still has it.
        let outdated = state.retire(previous);
        drop(state);
        drop(outdated);
        admitted.iter().for_each(log::write);
    }

    fn log(&self) -> MutexGuard<'_, LogLimiter> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No operation leaves the data half written, so the state is whole even after a panic of a log subscriber.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "testing")]
impl Store {
    /// Makes a check pending again, as if it had never run.
    pub(crate) fn forget(&self, signals: &Arc<Signals>) {
        let mut state = self.lock();
        state.forget(signals, self.clock.now(), self.clock.wall());
        self.publish(state);
    }

    /// Sets the lifecycle, in either direction, and startup to not passed.
    pub(crate) fn set_lifecycle(&self, lifecycle: Lifecycle) {
        let mut state = self.lock();
        state.restart_startup();
        state.set_lifecycle(lifecycle, self.clock.now(), self.clock.wall());
        self.publish(state);
    }
}

impl Progress {
    fn of(snapshot: &Snapshot) -> Self {
        Self { lifecycle: snapshot.lifecycle(), readiness: snapshot.probe(Probe::Readiness, false).status() }
    }
}
