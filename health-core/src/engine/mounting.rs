//! Whether an endpoint is mounted, and whether it was ever asked. An application can be put together so that it answers in
//! the place of the endpoint, and a page with 200 for every path looks like a healthy service.

use std::sync::atomic::{AtomicU8, Ordering};

const NOT_MOUNTED: u8 = 0;
const MOUNTED: u8 = 1;
const ASKED: u8 = 2;

/// What is known of the endpoints of one service.
#[derive(Debug)]
pub(super) struct Mounting(AtomicU8);

impl Default for Mounting {
    fn default() -> Self {
        Self(AtomicU8::new(NOT_MOUNTED))
    }
}

impl Mounting {
    /// Records that an endpoint is mounted.
    pub(super) fn mounted(&self) {
        self.0.fetch_max(MOUNTED, Ordering::Relaxed);
    }

    /// Records that an endpoint is asked. Writes only the first time, so that requests share no line of a cache.
    pub(super) fn asked(&self) {
        if self.0.load(Ordering::Relaxed) != ASKED {
            self.0.store(ASKED, Ordering::Relaxed);
        }
    }

    /// Whether an endpoint is mounted and none was ever asked.
    pub(super) fn is_unasked(&self) -> bool {
        self.0.load(Ordering::Relaxed) == MOUNTED
    }
}
