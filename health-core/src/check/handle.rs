//! The handle by which a check asks to be run at once.

use std::{fmt, sync::Arc};

type RunNow = dyn Fn() -> bool + Send + Sync;

/// Runs one registered check at once: see [`Check::attach`](crate::Check::attach). Clones run the same check.
#[derive(Clone)]
pub struct CheckHandle(Arc<RunNow>);

impl CheckHandle {
    pub(crate) fn new(run_now: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(run_now))
    }

    /// Whether this is a clone of another handle.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Runs the check on the calling thread, and publishes its outcome before it returns. A check that waits for
    /// something runs on its task instead, as soon as possible. An outcome of a run that began earlier is dropped.
    ///
    /// Must not be called while the check's own lock is held. Returns `false` if the check was removed.
    pub fn run_now(&self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for CheckHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckHandle").finish_non_exhaustive()
    }
}
