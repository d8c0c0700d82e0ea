//! The handle by which a check asks to be run at once.

use std::{fmt, sync::Arc};

/// Where a check is run.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// On the thread that calls the handle.
    Caller,
    /// On the check's task, as soon as possible.
    Task,
}

type RunNow = dyn Fn(Place) -> bool + Send + Sync;

/// Runs one registered check at once: see [`Check::attach`](crate::Check::attach). Clones run the same check.
#[derive(Clone)]
pub struct CheckHandle {
    run: Arc<RunNow>,
    place: Place,
}

impl CheckHandle {
    pub(crate) fn new(run: impl Fn(Place) -> bool + Send + Sync + 'static) -> Self {
        Self { run: Arc::new(run), place: Place::Caller }
    }

    /// Returns a handle of the same check that requests a run on the check's task, for a check that cannot be polled
    /// anywhere else.
    pub(crate) fn on_its_task(&self) -> Self {
        Self { run: Arc::clone(&self.run), place: Place::Task }
    }

    /// Whether this is a clone of another handle.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.run, &other.run)
    }

    /// Runs the check on the calling thread, and publishes its outcome before it returns. An outcome of a run that began
    /// earlier is dropped.
    ///
    /// A check that waits for something is dropped at its first wait, and runs on its task instead, as soon as possible.
    /// Its first part runs twice then, and beside a run under way. Use the handle for checks that only look at a state,
    /// not for those that start a thread, as `check_blocking` does, or need a runtime.
    ///
    /// Must not be called while the check's own lock is held. Returns `false` if the check was removed. Does nothing after
    /// [`Health::stop`](crate::Health::stop).
    pub fn run_now(&self) -> bool {
        (self.run)(self.place)
    }
}

impl fmt::Debug for CheckHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckHandle").finish_non_exhaustive()
    }
}
