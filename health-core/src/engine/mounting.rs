//! Whether an endpoint is mounted, and whether it has ever received a request. An application can be assembled so that
//! it answers the endpoint's paths itself. If the application answers every path with 200, the service always looks
//! healthy.

use std::sync::atomic::{AtomicU8, Ordering};

const NOT_MOUNTED: u8 = 0;
const MOUNTED: u8 = 1;
const ASKED: u8 = 2;

/// The state of the endpoints of one service: not mounted, mounted, or requested.
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

    /// Records a request to an endpoint. Writes only at the first request, so that later requests do not contend for a
    /// cache line.
    pub(super) fn asked(&self) {
        if self.0.load(Ordering::Relaxed) != ASKED {
            self.0.store(ASKED, Ordering::Relaxed);
        }
    }

    /// Whether an endpoint is mounted and no endpoint has received a request.
    pub(super) fn is_unasked(&self) -> bool {
        self.0.load(Ordering::Relaxed) == MOUNTED
    }
}
