//! Whether a task still runs. Green proves that the task has neither ended nor panicked nor been aborted; it does not
//! prove that it gets anything done: [`Heartbeat`](crate::Heartbeat) does.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::{AbortHandle, JoinError, JoinHandle};

use crate::{
    check::{Check, CheckResult, outcome::Outcome},
    model::status::{Kind, Reason},
};

/// Watches a task that must never end: a consumer, a refresher, a server on another port.
///
/// Least privilege: none; it looks at nothing outside of the process.
///
/// ```
/// use health_core::{CheckExt, Health, TaskAlive};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let consumer = tokio::spawn(std::future::pending::<()>());
/// let health = Health::builder().check("consumer", TaskAlive::new(consumer).liveness()).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct TaskAlive {
    handle: AbortHandle,
    /// Told by the task's watcher; nobody watches a task that is known by its abort handle alone.
    end: Arc<Mutex<Option<End>>>,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Returned,
    Panicked,
    Aborted,
}

impl TaskAlive {
    /// Watches a task and can tell how it ended. Its output is dropped; a task whose output you want is watched with
    /// [`of`](Self::of). Must be called in a Tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime, as [`tokio::spawn`] does.
    pub fn new<T: Send + 'static>(task: JoinHandle<T>) -> Self {
        let handle = task.abort_handle();
        let end = Arc::new(Mutex::new(None));
        let told = Arc::clone(&end);
        tokio::spawn(async move {
            let how = task.await.map_or_else(|error| End::of(&error), |_| End::Returned);
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
        });
        Self { handle, end }
    }

    /// Watches a task without taking its handle. How it ended cannot be told.
    pub fn of(task: AbortHandle) -> Self {
        Self { handle: task, end: Arc::default() }
    }
}

impl End {
    fn of(error: &JoinError) -> Self {
        if error.is_panic() { Self::Panicked } else { Self::Aborted }
    }
}

#[async_trait]
impl Check for TaskAlive {
    async fn check(&self) -> CheckResult {
        if !self.handle.is_finished() {
            return Ok(Outcome::healthy());
        }
        let end = *self.end.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match end {
            Some(End::Returned) => Outcome::unhealthy("the task has ended: it returned"),
            Some(End::Panicked) => Outcome::unhealthy("the task has ended: it panicked").reason(Reason::Panicked),
            Some(End::Aborted) => Outcome::unhealthy("the task has ended: it was aborted"),
            None => Outcome::unhealthy("the task has ended"),
        })
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn proves(&self) -> &'static str {
        "The task has neither ended nor panicked nor been aborted. It does not prove that the task gets anything done."
    }
}
