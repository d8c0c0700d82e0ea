//! The recorded results that wait to be published. Accessed under the lock of the store.

use std::mem;

/// Whether recorded results wait to be published, and whether the coordinator is notified of them. Each publication
/// replaces it with a new value.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    has_result: bool,
    is_announced: bool,
}

impl Waiting {
    /// Records that there is a result to publish.
    pub(super) fn record(&mut self) {
        self.has_result = true;
    }

    /// Whether a recorded result is not published yet.
    pub(super) fn has_result(&self) -> bool {
        self.has_result
    }

    /// Lets the recorded results wait. Returns whether the caller must notify the coordinator, because this is the
    /// first call since the last publication.
    pub(super) fn begins_to_wait(&mut self) -> bool {
        !mem::replace(&mut self.is_announced, true)
    }
}
