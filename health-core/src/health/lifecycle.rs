//! The methods of [`Health`] that move the lifecycle or wait for it. The lifecycle only moves forward.

use std::time::Duration;

use tokio::{task::JoinHandle, time::Instant};

use crate::{
    engine::store::Progress,
    health::{
        Health,
        drain::{Drain, InFlight},
        pause::pause_until,
    },
    model::status::{Lifecycle, Status},
};

/// How long `stop` waits for cancelled tasks, and then for publishers. A task that blocks its thread delays it no
/// longer.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// The time between two looks whether publishers have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

impl Health {
    /// Begins to drain, at once and for good: readiness, the full report and tags turn 503 with the reason `draining`,
    /// liveness stays as it is, and checks go on.
    ///
    /// The future completes after `delay`, which should cover the time in which load balancers notice, and once no work
    /// is in progress ([`in_flight`](Self::in_flight)) or its [`limit`](Drain::limit) is reached. It returns which of
    /// the two it was. Then shut the server down.
    ///
    /// Dropping the future, or never awaiting it, does not undo the drain. Further calls change nothing: the delay of
    /// the first call holds for all.
    ///
    /// ```
    /// use std::time::Duration;
    /// use health_core::{Drained, Health};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), health_core::BuildError> {
    /// let health = Health::builder().start()?;
    /// let job = health.in_flight();
    /// tokio::spawn(async move {
    ///     // The last of the work, and then:
    ///     drop(job);
    /// });
    /// assert_eq!(health.drain(Duration::from_millis(10)).limit(Duration::from_secs(20)).await, Drained::Finished);
    /// # Ok(())
    /// # }
    /// ```
    pub fn drain(&self, delay: Duration) -> Drain {
        // The end of the delay is known before anyone sees that the drain has begun.
        let drain = self.inner().drain_state.begin(delay);
        self.inner().store.advance(Lifecycle::Draining);
        drain
    }

    /// Waits until the delay of the drain has passed, or the checks have stopped. From then on nothing should keep a
    /// client waiting, for instance a stream that lasts.
    pub async fn drained(&self) {
        let inner = self.inner();
        let mut progress = inner.store.progress();
        let at_least = |wanted: Lifecycle| move |now: &Progress| now.lifecycle >= wanted;
        // Fails only if the store is gone, and `self` holds it.
        let _ = progress.wait_for(at_least(Lifecycle::Draining)).await.map(|_| ());
        let delay_end = inner.drain_state.delay_end();
        tokio::select! {
            () = async { match delay_end {
                Some(delay_end) => pause_until(delay_end).await,
                None => std::future::pending().await,
            } } => {}
            _ = progress.wait_for(at_least(Lifecycle::Stopped)) => {}
        }
    }

    /// Marks work as in progress for as long as the value is kept: a drain does not complete before, unless its limit
    /// is reached. It is for work that no request waits for, such as a job taken off a queue. Servers wait for their
    /// own answers.
    pub fn in_flight(&self) -> InFlight {
        self.inner().drain_state.in_flight()
    }

    /// Stops every check for good. Answers keep the verdicts of the last results, which no longer become stale;
    /// readiness, the full report and tags are 503 with the reason `stopped`.
    ///
    /// Waits until the tasks have ended and publishers have sent their last messages, but at most a second for either.
    /// It needs no runtime to wait in.
    pub async fn stop(&self) {
        self.inner().store.advance(Lifecycle::Stopped);
        let tasks = self.inner().take_tasks();
        tasks.iter().for_each(JoinHandle::abort);
        let mut patience = pause_until(Instant::now() + STOP_PATIENCE).backed_by_a_thread();
        for task in tasks {
            tokio::select! {
                biased;
                // An error only says that the task was cancelled, as it was.
                _ = task => {}
                () = &mut patience => break,
            }
        }
        // Publishers have a second of their own, because checks may have used up theirs. They stay in their list, so
        // that one that hangs is aborted with the last handle, also if this future is dropped.
        let publishers_end = async {
            while !self.inner().publishers_have_ended() {
                pause_until(Instant::now() + POLL_INTERVAL).await;
            }
        };
        tokio::select! {
            biased;
            () = publishers_end => {}
            () = pause_until(Instant::now() + STOP_PATIENCE).backed_by_a_thread() => {}
        }
    }

    /// Waits until the readiness probe passes and returns `true`, or until the service begins to drain and returns
    /// `false`. Returns at once if either holds already.
    pub async fn ready(&self) -> bool {
        let mut progress = self.inner().store.progress();
        let passes = |now: &Progress| now.lifecycle == Lifecycle::Ready && now.readiness < Status::Unhealthy;
        let settled = progress.wait_for(|now| now.lifecycle >= Lifecycle::Draining || passes(now)).await;
        settled.is_ok_and(|now| passes(&now))
    }
}
