//! Leaving: drain, then stop. Both only ever move forward.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{Health, Lifecycle};

/// How long `stop` waits for tasks that it has cancelled; one that blocks its thread holds up nothing longer.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// As good as for ever.
const LONGEST_DRAIN: Duration = Duration::from_secs(366 * 24 * 3600);

/// When the drain that was begun first is over.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    over: Mutex<Option<Instant>>,
}

impl Drain {
    /// The end of the drain: the first to ask sets it.
    fn over(&self, delay: Duration) -> Instant {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        *over.get_or_insert_with(|| Instant::now() + delay.min(LONGEST_DRAIN))
    }
}

impl Health {
    /// Begins to drain, at once and for good: readiness, the full report and tags turn 503 with the reason
    /// `draining`, liveness stays as it is, checks go on. The future is over after `delay`, which should cover the
    /// time in which load balancers notice; then shut the server down.
    ///
    /// Dropping the future, or never awaiting it, does not undo the drain. Calling again changes nothing: both
    /// futures are over when the first one's delay is.
    pub fn drain(&self, delay: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.inner().board.advance(Lifecycle::Draining);
        let over = self.inner().drain.over(delay);
        // Begun when it is awaited: a timer needs a runtime, turning readiness red does not.
        async move { sleep_until(over).await }
    }

    /// Stops every check for good. Answers keep the last verdicts; readiness, the full report and tags are 503 with
    /// the reason `stopped`.
    ///
    /// Waits until the tasks are gone, but no longer than a second for one that blocks its thread.
    pub async fn stop(&self) {
        self.inner().board.advance(Lifecycle::Stopped);
        let patience = Instant::now() + STOP_PATIENCE;
        let tasks = self.inner().take_tasks();
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        for task in tasks {
            // Its result says nothing: it was just cancelled.
            let _ = timeout_at(patience, task).await;
        }
    }

    /// Waits until the readiness probe passes for the first time: `true`. If the service begins to drain before
    /// that: `false`.
    pub async fn ready(&self) -> bool {
        let mut progress = self.inner().board.progress();
        let passes = |lifecycle, readiness| lifecycle == Lifecycle::Ready && readiness < crate::Status::Unhealthy;
        progress
            .wait_for(|now| now.lifecycle >= Lifecycle::Draining || passes(now.lifecycle, now.readiness))
            .await
            .is_ok_and(|now| passes(now.lifecycle, now.readiness))
    }
}
