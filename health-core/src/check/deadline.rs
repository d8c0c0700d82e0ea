//! The current run, and the time left until its deadline.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

tokio::task_local! {
    static RUN: Run;
}

/// The run in progress.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) check: Arc<str>,
    pub(crate) deadline: Instant,
    /// The names of the checks whose runs contain this run: a check such as `Quorum` runs its members inside its own
    /// run.
    pub(crate) outer: Vec<Arc<str>>,
}

impl Run {
    /// Polls a future with this run as the current one.
    pub(crate) async fn scope<F: Future>(self, future: F) -> F::Output {
        RUN.scope(self, future).await
    }

    /// Runs work on the calling thread with this run as the current one.
    pub(crate) fn sync_scope<T>(self, work: impl FnOnce() -> T) -> T {
        RUN.sync_scope(self, work)
    }

    /// Creates the run of a member of the check that is running now.
    pub(crate) fn of_member(check: &Arc<str>, deadline: Instant) -> Self {
        let outer = Self::current().map_or_else(Vec::new, |run| [run.outer, vec![run.check]].concat());
        Self { check: Arc::clone(check), deadline, outer }
    }

    /// Returns whether this run belongs to the named check, or is part of a run of that check. Names are compared by
    /// address, because another service may have a check of the same name.
    pub(crate) fn is_of(&self, check: &Arc<str>) -> bool {
        self.outer.iter().chain([&self.check]).any(|name| Arc::ptr_eq(name, check))
    }

    /// Returns the current run; `None` outside a run.
    pub(crate) fn current() -> Option<Self> {
        RUN.try_with(Clone::clone).ok()
    }
}

/// Returns the time until the deadline of the current run, so that a check can set shorter timeouts for the parts of
/// its work. Returns `None` outside a run of the scheduler.
///
/// ```
/// # async fn query(_: std::time::Duration) -> Result<(), std::io::Error> { Ok(()) }
/// use health_core::{check_fn, time_left};
///
/// let check = check_fn(|| async {
///     let timeout = time_left().unwrap_or_default() / 2;
///     query(timeout).await?;
///     Ok(())
/// });
/// ```
#[must_use]
pub fn time_left() -> Option<Duration> {
    RUN.try_with(|run| run.deadline.saturating_duration_since(Instant::now())).ok()
}
