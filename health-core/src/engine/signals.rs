//! The signals of one check, which its task, the store and readers share: wakes, requests for runs, and the age of the
//! last recorded result.

use std::{
    pin::pin,
    sync::{Arc, OnceLock},
};

use crate::{
    engine::{
        sync::{AtomicBool, AtomicU64, AtomicUsize, Notify, Ordering},
        wake::{Throttle, WakeSlot, WakeSlots},
    },
    time::{NEVER, Nanos},
};

/// The shortest time between two runs that `suspect` requests.
const SUSPICION_PAUSE: Nanos = 1_000_000_000;

/// The signals to the task of one check, and the ages of its last recorded result, which readers need before the result
/// is published.
#[derive(Debug)]
pub(crate) struct Signals {
    changed: Notify,
    wake: AtomicBool,
    refresh: AtomicBool,
    released: AtomicBool,
    readings: AtomicU64,
    started: AtomicU64,
    finished: AtomicU64,
    run_finished: Notify,
    ended: AtomicBool,
    /// The position of the check in the store. Written and read under the lock of the store.
    position: AtomicUsize,
    slot: OnceLock<WakeSlot>,
    /// The age of a result at which a request wakes the check.
    max_age: AtomicU64,
    /// The time from the start of the next run to its deadline.
    timeout: AtomicU64,
    /// The time from which the last recorded result counts as stale.
    stale_at: AtomicU64,
    /// The time from which a request wakes the check.
    wake_at: AtomicU64,
    /// Admits one call of `suspect` per second, because an application may call `suspect` after each of thousands of
    /// failures.
    suspicion: Throttle,
    page_throttle: Throttle,
}

impl Signals {
    /// Creates the signals of a check. A request renews results older than `max_age`, and a run has the deadline
    /// `timeout`.
    pub(crate) fn new(max_age: Nanos, timeout: Nanos) -> Self {
        Self {
            changed: Notify::new(),
            wake: AtomicBool::new(false),
            refresh: AtomicBool::new(false),
            released: AtomicBool::new(false),
            readings: AtomicU64::new(0),
            started: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            run_finished: Notify::new(),
            ended: AtomicBool::new(false),
            position: AtomicUsize::new(usize::MAX),
            slot: OnceLock::new(),
            max_age: AtomicU64::new(max_age),
            timeout: AtomicU64::new(timeout),
            stale_at: AtomicU64::new(NEVER),
            wake_at: AtomicU64::new(NEVER),
            suspicion: Throttle::new(0),
            page_throttle: Throttle::new(0),
        }
    }

    // --- Runs --------------------------------------------------------------------------------------------------

    /// Requests a run that starts after this call, also while the check is held back, and waits until it has finished.
    /// Returns `false` if the check no longer runs.
    pub(crate) async fn refreshed(&self) -> bool {
        // A read-modify-write orders the caller's earlier writes before a run that starts later.
        let target = self.started.fetch_add(0, Ordering::AcqRel) + 1;
        self.request_run();
        loop {
            // Enabled before the check of `finished`, so that the end of a run between the two is not missed.
            let mut run_finished = pin!(self.run_finished.notified());
            run_finished.as_mut().enable();
            if self.finished.load(Ordering::Acquire) >= target {
                return true;
            }
            if self.ended.load(Ordering::Acquire) {
                return false;
            }
            run_finished.await;
        }
    }

    /// Marks the check as no longer running and wakes all callers that wait for a run.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.run_finished.notify_waiters();
    }

    /// Returns the number of a new reading of the check. Called before the check reads the state of its subject. Of two
    /// readings, the one with the greater number sees every change that the other could see.
    pub(crate) fn reading(&self) -> u64 {
        self.readings.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Notifies the task of the check that the time of the next run may have changed.
    pub(super) fn repace(&self) {
        self.changed.notify_one();
    }

    /// Whether a run is in progress.
    pub(super) fn is_running(&self) -> bool {
        self.started.load(Ordering::Acquire) > self.finished.load(Ordering::Acquire)
    }

    /// Requests a run that starts after this call, also while the check is held back. A run that is in progress
    /// finishes first.
    pub(super) fn request_run(&self) {
        self.refresh.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Requests an early run. Has no effect while a run is in progress.
    pub(super) fn wake(&self) {
        self.wake.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Ends the hold-back of the check, which then runs at once.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Waits for the next signal.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether a refresh is requested. A refresh also runs a check that is held back.
    pub(super) fn refresh_requested(&self) -> bool {
        self.refresh.load(Ordering::Acquire)
    }

    /// Whether a signal requests a run before the next scheduled one.
    pub(super) fn run_requested(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Acquire);
        is_set(&self.wake) || is_set(&self.refresh) || is_set(&self.released)
    }

    /// Marks a run as started and returns its number.
    pub(super) fn run_started(&self) -> u64 {
        self.refresh.store(false, Ordering::Release);
        self.released.store(false, Ordering::Release);
        self.started.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Marks a run as finished, and discards the wakes that arrived during the run.
    pub(super) fn run_finished(&self, number: u64) {
        self.wake.store(false, Ordering::Release);
        self.finished.store(number, Ordering::Release);
        self.run_finished.notify_waiters();
    }

    // --- Ages and wake requests --------------------------------------------------------------------------------

    /// Sets the time from which the last result is stale, and the time from which a request wakes the check.
    pub(super) fn set_ages(&self, stale_at: Nanos, wake_at: Nanos) {
        self.stale_at.store(stale_at, Ordering::Release);
        self.wake_at.store(wake_at, Ordering::Release);
    }

    /// The time from which the last recorded result counts as stale.
    pub(super) fn stale_at(&self) -> Nanos {
        self.stale_at.load(Ordering::Acquire)
    }

    /// Requests an early run if the last recorded result is older than `max_age`. Returns whether a run was requested,
    /// and the earliest time at which the next request can be due, whatever results are recorded meanwhile.
    pub(super) fn wake_if_old(&self, now: Nanos) -> (bool, Nanos) {
        match self.wake_at.load(Ordering::Acquire) {
            wake_at if now >= wake_at => {
                self.request_wake();
                (true, now.saturating_add(self.max_age()))
            }
            // The check is held back, done or pending, so its next result is recorded later than `now`.
            NEVER => (false, now.saturating_add(self.max_age())),
            wake_at => (false, wake_at),
        }
    }

    /// Requests an early run for a call of `suspect`, at most once a second. Returns whether a run was requested.
    pub(super) fn suspect(&self, now: Nanos) -> bool {
        let is_admitted = self.suspicion.try_acquire(now, SUSPICION_PAUSE);
        if is_admitted {
            self.request_wake();
        }
        is_admitted
    }

    /// Changes the age at which a request wakes the check, and the deadline of runs that start after this call.
    #[cfg(feature = "serde")]
    pub(super) fn set_pace(&self, max_age: Nanos, timeout: Nanos) {
        self.max_age.store(max_age, Ordering::Release);
        self.timeout.store(timeout, Ordering::Release);
        // The throttle may be closed until a time that depends on the previous `max_age`.
        self.page_throttle.set(0);
    }

    /// The time from the start of a run that starts now to its deadline.
    pub(super) fn timeout(&self) -> Nanos {
        self.timeout.load(Ordering::Acquire)
    }

    fn max_age(&self) -> Nanos {
        self.max_age.load(Ordering::Acquire)
    }

    /// The throttle of requests for the page of the check.
    pub(super) fn page_throttle(&self) -> &Throttle {
        &self.page_throttle
    }

    fn request_wake(&self) {
        if let Some(slot) = self.slot.get() {
            slot.request();
        }
    }

    // --- Tracking ----------------------------------------------------------------------------------------------

    /// Gives the check a slot for wake requests.
    pub(super) fn track(self: &Arc<Self>, slots: &mut WakeSlots<Self>) {
        if self.slot.get().is_none() {
            let _ = self.slot.set(slots.take_slot(Arc::clone(self)));
        }
    }

    /// Frees the slot of the check.
    pub(super) fn untrack(&self, slots: &mut WakeSlots<Self>) {
        if let Some(slot) = self.slot.get() {
            slots.free_slot(slot);
        }
    }

    pub(super) fn position(&self) -> usize {
        self.position.load(Ordering::Relaxed)
    }

    pub(super) fn set_position(&self, position: usize) {
        self.position.store(position, Ordering::Relaxed);
    }
}
