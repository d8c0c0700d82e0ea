//! What waits to be published, under the lock of the store.

use std::mem;

/// Whether recorded results wait to be published, and whether the coordinator has been told. A publication begins with a
/// new value.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    has_result: bool,
    is_announced: bool,
}

impl Waiting {
    /// Notes that a result was recorded.
    pub(super) fn record(&mut self) {
        self.has_result = true;
    }

    /// Whether a recorded result is not published yet.
    pub(super) fn has_result(&self) -> bool {
        self.has_result
    }

    /// Leaves what was recorded to wait. Returns whether the coordinator is to be told, because it is the first result since
    /// the last publication.
    pub(super) fn begins_to_wait(&mut self) -> bool {
        !mem::replace(&mut self.is_announced, true)
    }
}
