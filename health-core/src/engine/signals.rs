//! What wakes a check: signals to its task, wake requests from readers, and the throttles of those requests.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::{Notify, watch};

use crate::time::Nanos;

/// The shortest time between two runs that suspicions cause.
const SUSPICION_PAUSE: Nanos = 1_000_000_000;

/// Signals to the task of one check.
#[derive(Debug)]
pub(crate) struct Signals {
    pub(super) wake_request: Arc<WakeRequest>,
    changed: Notify,
    wake: AtomicBool,
    refresh: AtomicBool,
    released: AtomicBool,
    readings: AtomicU64,
    started: AtomicU64,
    finished: watch::Sender<u64>,
    ended: AtomicBool,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self {
            wake_request: Arc::default(),
            changed: Notify::new(),
            wake: AtomicBool::new(false),
            refresh: AtomicBool::new(false),
            released: AtomicBool::new(false),
            readings: AtomicU64::new(0),
            started: AtomicU64::new(0),
            finished: watch::Sender::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// Requests a run that starts from now on, also while the check is held back, and waits until it has finished.
    /// Returns `false` if the check runs no more.
    pub(crate) async fn refreshed(&self) -> bool {
        let mut finished = self.finished.subscribe();
        let target = self.started.load(Ordering::Acquire) + 1;
        self.request_run();
        let over = |number: &u64| *number >= target || self.ended.load(Ordering::Acquire);
        finished.wait_for(over).await.is_ok_and(|number| *number >= target)
    }

    /// Releases everyone who waits for a run, because the check runs no more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.finished.send_modify(|_| {});
    }

    /// Numbers a reading of the check, before the check looks at anything. Of two readings, the one with the greater
    /// number sees whatever the other could see.
    pub(crate) fn reading(&self) -> u64 {
        self.readings.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Tells the task of the check that the time of the next run may have changed.
    pub(super) fn repace(&self) {
        self.changed.notify_one();
    }

    /// Whether a run is under way.
    pub(super) fn is_running(&self) -> bool {
        self.started.load(Ordering::Acquire) > *self.finished.borrow()
    }

    /// Requests a run that starts from now on, after a run under way, also while the check is held back.
    pub(super) fn request_run(&self) {
        self.refresh.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Requests an early run. Has no effect while a run is under way.
    pub(super) fn wake(&self) {
        self.wake.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Ends a hold-back: the check runs at once.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Waits for the next signal.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether a refresh is requested, which also runs a check that is held back.
    pub(super) fn refresh_requested(&self) -> bool {
        self.refresh.load(Ordering::Acquire)
    }

    /// Whether any signal requests a run before the next one is due.
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

    /// Marks a run as finished, and drops the wakes that came during the run.
    pub(super) fn run_finished(&self, number: u64) {
        self.wake.store(false, Ordering::Release);
        self.finished.send_replace(number);
    }
}

/// A request from readers to run one check early. Readers set it; the scheduler's coordinator takes it.
#[derive(Debug)]
pub(super) struct WakeRequest {
    requested: AtomicBool,
    /// Admits one suspicion a second, because an application's failed calls come by the thousand.
    pub(super) suspicion: Throttle,
}

impl Default for WakeRequest {
    fn default() -> Self {
        Self { requested: AtomicBool::new(false), suspicion: Throttle::new(0, SUSPICION_PAUSE) }
    }
}

impl WakeRequest {
    pub(super) fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether the check was requested since the last call.
    pub(super) fn take(&self) -> bool {
        self.requested.swap(false, Ordering::Relaxed)
    }
}

/// Admits one of any number of callers, from a moment on and then once per pause.
#[derive(Debug)]
pub(super) struct Throttle {
    due: AtomicU64,
    pause: Nanos,
}

impl Throttle {
    pub(super) fn new(due: Nanos, pause: Nanos) -> Self {
        Self { due: AtomicU64::new(due), pause }
    }

    /// Whether this caller is the one admitted now.
    pub(super) fn try_acquire(&self, now: Nanos) -> bool {
        let due = self.due.load(Ordering::Relaxed);
        now >= due
            && self
                .due
                .compare_exchange(due, now.saturating_add(self.pause), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}
