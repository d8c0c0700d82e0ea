//! Checks whether a task still runs. Green proves that the task has not returned, panicked or been aborted. It does not
//! prove that the task makes progress. [`Heartbeat`](crate::Heartbeat) proves that.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::{AbortHandle, JoinError, JoinHandle};

use crate::{
    check::{Check, CheckResult, outcome::Outcome},
    model::status::{Kind, Reason},
};

/// Checks that a task still runs, for a task that must never end, such as a consumer, a refresher or a server on
/// another port.
///
/// Green proves that the task has not returned, panicked or been aborted. It does not prove that the task makes
/// progress. [`Heartbeat`](crate::Heartbeat) proves that.
///
/// The kind of the check is [`Kind::Local`]. Least privilege: none. The check reads nothing outside of the process.
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
    /// The way in which the task ended. Set by the task that awaits it, which exists only for a check created by
    /// [`TaskAlive::new`].
    end: Arc<Mutex<Option<End>>>,
}

/// The way in which a task ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Returned,
    Panicked,
    Aborted,
}

impl TaskAlive {
    /// Creates a check of this task. Its message says how the task ended. The output of the task is dropped: use
    /// [`of`](Self::of) for a task whose output is needed.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime, like [`tokio::spawn`].
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

    /// Creates a check of a task without its [`JoinHandle`]. Its message cannot say how the task ended.
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
        "The task has not returned, panicked or been aborted. It does not prove that the task makes progress."
    }
}
