//! Wake requests: a reader requests an early run of a check, at a limited rate.

use std::sync::Arc;

use crate::{
    engine::sync::{AtomicBool, AtomicU64, Ordering},
    time::{NEVER, Nanos},
};

/// The number of checks whose requests share one atomic word.
const BITS: usize = 64;

/// The bit that requests an early run of one check. A reader sets one bit, and the scheduler's coordinator reads 64
/// bits at a time, so that the cost of a request does not depend on the number of checks.
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

/// The slots of all checks, each with the signals that it wakes.
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
    /// Returns a free slot, which wakes `woken`.
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

    /// Frees the slot of a check that was removed. A late request for that check can wake the next owner of the slot,
    /// which then runs early once.
    pub(super) fn free_slot(&mut self, slot: &WakeSlot) {
        self.woken[slot.number] = None;
        self.free.push(slot.number);
    }

    /// Returns the signals of all slots that were requested since the last call.
    pub(super) fn take_requested(&self) -> Vec<Arc<W>> {
        let mut requested = Vec::new();
        for (word, woken) in self.words.iter().zip(self.woken.chunks(BITS)) {
            // Most words are empty. A load, unlike a swap, leaves the cache line shared with the readers.
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

/// The wake request of a large view: whether the scheduler must look for members whose results are too old.
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
    /// Sets the request if the throttle admits this caller, and returns whether it did. The throttle admits no further
    /// caller until the scheduler has looked at the view.
    pub(super) fn request(&self, now: Nanos) -> bool {
        let is_admitted = self.throttle.claim(now, NEVER);
        if is_admitted {
            self.is_requested.store(true, Ordering::Relaxed);
        }
        is_admitted
    }

    /// Clears the request. Returns whether it was set.
    pub(super) fn take(&self) -> bool {
        self.is_requested.load(Ordering::Relaxed) && self.is_requested.swap(false, Ordering::Relaxed)
    }
}

/// A throttle, which admits one caller and then none until a given time.
#[derive(Debug)]
pub(super) struct Throttle(AtomicU64);

impl Throttle {
    /// Creates a throttle that admits its first caller from the time `due`.
    pub(super) fn new(due: Nanos) -> Self {
        Self(AtomicU64::new(due))
    }

    /// Returns whether this caller is admitted. The next caller is admitted after `pause`.
    pub(super) fn try_acquire(&self, now: Nanos, pause: Nanos) -> bool {
        self.claim(now, now.saturating_add(pause))
    }

    /// Calls `decide` if this caller is admitted. `decide` returns the time from which the next caller is admitted.
    pub(super) fn acquire(&self, now: Nanos, decide: impl FnOnce() -> Nanos) {
        if self.claim(now, NEVER) {
            self.set(decide());
        }
    }

    /// Admits the next caller from the time `due`.
    pub(super) fn set(&self, due: Nanos) {
        self.0.store(due, Ordering::Relaxed);
    }

    fn claim(&self, now: Nanos, until: Nanos) -> bool {
        let due = self.0.load(Ordering::Relaxed);
        now >= due && self.0.compare_exchange(due, until, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
