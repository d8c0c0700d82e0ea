//! Wake requests: how a reader asks for an early run of a check, and how often it may.

use std::sync::Arc;

use crate::{
    engine::sync::{AtomicBool, AtomicU64, Ordering},
    time::{NEVER, Nanos},
};

/// The number of checks whose requests share a word.
const BITS: usize = 64;

/// Where the requests for one check are set. Readers set a bit, and the scheduler's coordinator takes whole words, so that
/// neither depends on the number of checks.
#[derive(Clone, Debug)]
pub(super) struct WakeSlot {
    word: Arc<AtomicU64>,
    bit: u64,
    number: usize,
}

impl WakeSlot {
    /// Requests an early run of the check.
    pub(super) fn request(&self) {
        self.word.fetch_or(self.bit, Ordering::Relaxed);
    }
}

/// The slots of all checks, each with what it wakes.
#[derive(Debug)]
pub(super) struct WakeSlots<W> {
    words: Vec<Arc<AtomicU64>>,
    woken: Vec<Option<Arc<W>>>,
    free: Vec<usize>,
}

impl<W> Default for WakeSlots<W> {
    fn default() -> Self {
        Self { words: Vec::new(), woken: Vec::new(), free: Vec::new() }
    }
}

impl<W> WakeSlots<W> {
    /// Returns a free slot for something to wake.
    pub(super) fn take_slot(&mut self, woken: Arc<W>) -> WakeSlot {
        let number = self.free.pop().unwrap_or(self.woken.len());
        if number == self.woken.len() {
            self.woken.push(None);
            if number.is_multiple_of(BITS) {
                self.words.push(Arc::new(AtomicU64::new(0)));
            }
        }
        self.woken[number] = Some(woken);
        WakeSlot { word: Arc::clone(&self.words[number / BITS]), bit: 1 << (number % BITS), number }
    }

    /// Frees the slot of a check that was removed. A late request may wake the next check with this slot, which runs early
    /// once.
    pub(super) fn free_slot(&mut self, slot: &WakeSlot) {
        self.woken[slot.number] = None;
        self.free.push(slot.number);
    }

    /// Returns everything that was requested since the last call.
    pub(super) fn take_requested(&self) -> Vec<Arc<W>> {
        let mut requested = Vec::new();
        for (word, woken) in self.words.iter().zip(self.woken.chunks(BITS)) {
            // Most words are empty, and a load shares their line of the cache with the readers.
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let bits = word.swap(0, Ordering::Relaxed);
            let is_set = |position: usize| bits & (1 << position) != 0;
            requested
                .extend(woken.iter().enumerate().filter(|(at, _)| is_set(*at)).filter_map(|(_, woken)| woken.clone()));
        }
        requested
    }
}

/// The request for a view: whether the scheduler is to look for members whose results are too old.
#[derive(Debug)]
pub(super) struct ViewRequest {
    is_requested: AtomicBool,
    pub(super) throttle: Throttle,
}

impl Default for ViewRequest {
    fn default() -> Self {
        Self { is_requested: AtomicBool::new(false), throttle: Throttle::new(0) }
    }
}

impl ViewRequest {
    /// Sets the request if the throttle admits this caller. Admits no further one until the scheduler has looked.
    pub(super) fn request(&self, now: Nanos) -> bool {
        let is_admitted = self.throttle.claim(now, NEVER);
        if is_admitted {
            self.is_requested.store(true, Ordering::Relaxed);
        }
        is_admitted
    }

    /// Whether the request was set since the last call.
    pub(super) fn take(&self) -> bool {
        self.is_requested.load(Ordering::Relaxed) && self.is_requested.swap(false, Ordering::Relaxed)
    }
}

/// Admits one of any number of callers, from a moment on.
#[derive(Debug)]
pub(super) struct Throttle(AtomicU64);

impl Throttle {
    pub(super) fn new(due: Nanos) -> Self {
        Self(AtomicU64::new(due))
    }

    /// Whether this caller is the one admitted now. The next one is admitted after a pause.
    pub(super) fn try_acquire(&self, now: Nanos, pause: Nanos) -> bool {
        self.claim(now, now.saturating_add(pause))
    }

    /// Calls `decide` if this caller is the one admitted now, and admits the next one from the moment on that it returns.
    pub(super) fn acquire(&self, now: Nanos, decide: impl FnOnce() -> Nanos) {
        if self.claim(now, NEVER) {
            self.set(decide());
        }
    }

    /// Admits the next caller from this moment on.
    pub(super) fn set(&self, due: Nanos) {
        self.0.store(due, Ordering::Relaxed);
    }

    fn claim(&self, now: Nanos, until: Nanos) -> bool {
        let due = self.0.load(Ordering::Relaxed);
        now >= due && self.0.compare_exchange(due, until, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
