//! The handle with which a check requests an immediate run.

use std::{fmt, sync::Arc};

/// The place where a check runs.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// On the thread that calls the handle.
    Caller,
    /// On the check's task, as soon as possible.
    Task,
}

type RunNow = dyn Fn(Place) -> bool + Send + Sync;

/// Runs one registered check at once. A check receives the handle in [`Check::attach`](crate::Check::attach). Clones
/// run the same check.
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

    /// Returns whether this handle is a clone of another one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.run, &other.run)
    }

    /// Runs the check on the calling thread, and publishes the outcome before the call returns. The outcome of a run
    /// that started earlier is dropped. Returns `false` if the check was removed. Does nothing after
    /// [`Health::stop`](crate::Health::stop).
    ///
    /// If the future of the check is pending at its first poll, it is dropped, and the check runs on its own task
    /// instead, as soon as possible. The code up to the first pending await then runs twice, and may run at the same
    /// time as another run of the check. Use the handle for checks that only read state from memory. Do not use it for
    /// checks that need a runtime or start a thread, as `check_blocking` does.
    ///
    /// Do not call this method while holding a lock that the check itself acquires.
    pub fn run_now(&self) -> bool {
        (self.run)(self.place)
    }
}

impl fmt::Debug for CheckHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckHandle").finish_non_exhaustive()
    }
}
