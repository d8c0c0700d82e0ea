//! The store: the only writer of results and of the lifecycle. It publishes each snapshot by one atomic swap, and
//! readers load the snapshot without waiting.

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

/// The age of the scheduler's last sign of life at which every view becomes Unhealthy, including liveness.
const SCHEDULER_STALE_AFTER: Duration = Duration::from_secs(30);

/// The longest time that a result waits to be published together with others. The granularity of the timer adds up to
/// 5 ms, so that a published snapshot is at most 20 ms behind.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(15);

/// The state of every check, and the published snapshot.
#[derive(Debug)]
pub(crate) struct Store {
    clock: Clock,
    about: Arc<About>,
    secrets: Secrets,
    /// Replaced only under the lock of `state`.
    presets: ArcSwap<Presets>,
    published: ArcSwap<Snapshot>,
    /// The time at which the next recorded result expires, published or not.
    expires_at: AtomicU64,
    /// The time of the scheduler's last sign of life.
    beat: AtomicU64,
    has_muted: AtomicBool,
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
    progress: watch::Sender<Progress>,
    log: Mutex<LogLimiter>,
    mounting: Mounting,
    /// Wakes the scheduler's coordinator.
    wake_requested: Notify,
    /// Whether a request has marked a large view, in which the coordinator must look for checks to wake.
    views_requested: AtomicBool,
    /// Notifies the scheduler's coordinator that a recorded result waits to be published.
    waiting: Notify,
}

/// The state of the service for callers that wait for a change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) readiness: Status,
}

/// A finished run.
pub(crate) struct CompletedRun {
    pub(crate) outcome: Outcome,
    pub(crate) started: Nanos,
    /// The number that [`Signals::reading`] returned before the check read the state of its subject.
    pub(crate) reading: u64,
}

/// One reading of the store. Readers of results use [`current`](Self::current). Requests that wake checks use
/// `published`, whose throttles all readers share.
pub(crate) struct Reading {
    pub(crate) published: Guard<Arc<Snapshot>>,
    /// The published snapshot with expired results marked stale; `None` if no result has expired.
    aged: Option<Arc<Snapshot>>,
    pub(crate) now: Nanos,
}

impl Reading {
    /// The snapshot as of now, with expired results marked stale.
    pub(crate) fn current(&self) -> &Snapshot {
        self.aged.as_deref().unwrap_or(&self.published)
    }

    /// Whether the current snapshot is the published one; `false` if a result has expired.
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
            // A store with a frozen clock has no scheduler that could die.
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

    /// The presets for checks that are inserted now.
    pub(crate) fn presets(&self) -> Arc<Presets> {
        self.presets.load_full()
    }

    /// The published snapshot, for readers that need only the lifecycle.
    pub(crate) fn published(&self) -> Guard<Arc<Snapshot>> {
        self.published.load()
    }

    /// Reads the clock and the snapshot once, and decides which results have expired.
    pub(crate) fn read(&self) -> Reading {
        let published = self.published.load();
        let now = self.clock.now();
        let scheduler_stale = published.lifecycle() != Lifecycle::Stopped && now >= self.beat_stale_at();
        // `expires_at` follows the recorded results, because a newer result may be recorded and not yet published.
        let has_expired = scheduler_stale || now >= self.expires_at.load(Ordering::Acquire);
        let aged = if has_expired { published.aged(now, scheduler_stale) } else { None };
        Reading { published, aged, now }
    }

    /// The full report, or the report of a probe, as of now.
    pub(crate) fn report(&self, probe: Option<Probe>) -> Arc<Report> {
        Arc::new(self.read().current().report(probe))
    }

    /// Requests runs of the members of a published page whose results are older than their `max_age`. Waking the
    /// coordinator is the only step of a request that takes a lock, which is inside Tokio.
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

    /// Records that an endpoint over this store has received a request.
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

    /// Returns the signals of every check whose run readers have requested since the last call.
    pub(super) fn take_requested(&self) -> Vec<Arc<Signals>> {
        if self.views_requested.swap(false, Ordering::Acquire) {
            self.published.load().wake_requested_views(self.clock.now());
        }
        self.lock().take_requested()
    }

    /// Whether a check must not run because one of its upstreams failed.
    pub(super) fn is_held_back(&self, signals: &Arc<Signals>) -> bool {
        self.lock().check_of(signals).is_some_and(|check| check.held_back)
    }

    /// Waits until there is a recorded result to publish, which [`flush`](Self::flush) does.
    pub(super) async fn waiting(&self) {
        self.waiting.notified().await;
    }

    /// Publishes the recorded results that wait to be published.
    pub(crate) fn flush(&self) {
        let state = self.lock();
        if state.has_waiting() {
            self.publish(state);
        }
    }

    /// The time from which the scheduler counts as dead unless it gives another sign of life.
    pub(crate) fn beat_stale_at(&self) -> Nanos {
        self.beat.load(Ordering::Relaxed).saturating_add(nanos(SCHEDULER_STALE_AFTER))
    }

    /// Records a sign of life of the scheduler, ends mutes that have expired, and writes log lines that were held back.
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

    /// Logs a panic of a check, at most once in ten seconds per check.
    pub(super) fn log_panic(&self, check: &Arc<str>, payload: &str) {
        let payload = sanitize::log_text(payload, &self.secrets).into();
        let line = self.log().admit_panic(check, payload, self.clock.now());
        line.iter().for_each(log::write);
    }

    /// Whether the service is Ready and has a mounted endpoint, and no endpoint has received a request.
    pub(super) fn is_unasked(&self) -> bool {
        self.mounting.is_unasked() && self.published.load().lifecycle() == Lifecycle::Ready
    }

    /// Logs that no task has run for `gap`, at most once in ten seconds.
    pub(super) fn log_stall(&self, gap: Duration) {
        let is_admitted = self.log().admit_stall(self.clock.now());
        if is_admitted {
            log::stall(gap);
        }
    }

    // --- Writing -----------------------------------------------------------------------------------------------

    /// Records a finished run and returns the time of the next one; `None` if the check no longer runs, because it was
    /// removed or the service has stopped. Discards the outcome if the result of a later reading of the check is
    /// already recorded.
    ///
    /// A result that changes no verdict may wait to be published with others, which limits the rate of publications.
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
        // Read under the lock, so that no change has an earlier time than the change before it.
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

    /// The time of the next run after the last result; `None` if the check no longer runs.
    pub(super) fn next_run(&self, signals: &Arc<Signals>) -> Option<NextRun> {
        self.lock().check_of(signals).map(TrackedCheck::next_run)
    }

    /// Mutes a check until the given time, with a note. `None` unmutes it.
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

    /// Adds all checks to a running service with one publication, or none of them. Returns `false`, and adds none, if
    /// the presets have changed since the checks were planned.
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

    /// Removes a check and returns its signals, with which the caller ends its task.
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

    /// Publishes a snapshot whose views have other members, and handles the wake requests that were set in the previous
    /// views.
    fn publish_members(&self, state: MutexGuard<'_, State>) {
        let before = self.published.load_full();
        self.publish(state);
        before.wake_requested_views(self.clock.now());
        self.wake_requested.notify_one();
    }

    /// Publishes a new snapshot, and reports the changes to subscribers and the log. No other function publishes.
    fn publish(&self, mut state: MutexGuard<'_, State>) {
        let (now, at) = (self.clock.now(), self.clock.wall());
        state.record_gaps(now, at, self.beat_stale_at());
        state.settle(now, at);
        let (snapshot, changes) = state.publish(now, at);
        let progress = Progress::of(&snapshot);
        // Stored before the snapshot, so that no reader takes a result of the new snapshot for expired.
        self.expires_at.store(state.expires_at(), Ordering::Release);
        self.has_muted.store(state.has_muted(), Ordering::Relaxed);
        let previous = self.published.swap(Arc::new(snapshot));
        for change in &changes {
            // Fails if there is no subscriber.
            let _ = self.changes.send(change.clone());
        }
        self.progress.send_if_modified(|known| mem::replace(known, progress) != progress);
        // Admitted under the lock, in the order of publication, and written without it, because a log subscriber may
        // call back into the service.
        let admitted = if changes.is_empty() { Vec::new() } else { self.log().admit_changes(&changes, now) };
        // The writer keeps the previous snapshot for one more publication and then frees it. By then readers have
        // usually released it, so that no reader pays for freeing it.
        let outdated = state.retire(previous);
        drop(state);
        drop(outdated);
        admitted.iter().for_each(log::write);
    }

    fn log(&self) -> MutexGuard<'_, LogLimiter> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No operation leaves the state half written, so it is consistent even after a panic of a log subscriber.
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

    /// Sets the lifecycle, forward or back, and resets startup to not passed.
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
