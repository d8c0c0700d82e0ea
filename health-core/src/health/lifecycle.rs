//! The methods of [`Health`] that advance the lifecycle or wait for it. The lifecycle only moves forward.

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

/// How long `stop` waits for cancelled tasks, and then again for publishers. A task that blocks its thread cannot delay
/// `stop` any longer.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// The interval at which `stop` polls whether publishers have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

impl Health {
    /// Begins to drain at once. Readiness, the full report and tags turn 503 with the reason `draining`. Liveness stays
    /// as it is, and checks continue to run.
    ///
    /// `delay` should cover the time until load balancers notice. The future completes when `delay` has passed and no
    /// work is in progress ([`in_flight`](Self::in_flight)), or when work in progress reaches its
    /// [`limit`](Drain::limit), by default 15 s after the delay. The output of the future, [`Drained`](crate::Drained),
    /// distinguishes the two cases. Shut the server down after it completes.
    ///
    /// A drain cannot be undone, not even by dropping the future. The delay of the first call applies to all calls.
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
    ///     // Finish the work, then:
    ///     drop(job);
    /// });
    /// assert_eq!(health.drain(Duration::from_millis(10)).limit(Duration::from_secs(20)).await, Drained::Finished);
    /// # Ok(())
    /// # }
    /// ```
    pub fn drain(&self, delay: Duration) -> Drain {
        // Sets the end of the delay before the drain becomes visible.
        let drain = self.inner().drain_state.begin(delay);
        self.inner().store.advance(Lifecycle::Draining);
        drain
    }

    /// Waits until the delay of the drain has passed, or the checks have stopped. Long-lived responses such as streams
    /// should then end.
    pub async fn drained(&self) {
        let inner = self.inner();
        let mut progress = inner.store.progress();
        let at_least = |wanted: Lifecycle| move |now: &Progress| now.lifecycle >= wanted;
        // Fails only if the store is dropped, and `self` owns it.
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

    /// Marks work as in progress until the returned value is dropped. A drain does not complete before that, unless its
    /// limit is reached. Use it for work outside of requests, such as a job from a queue. Servers wait for their own
    /// responses.
    pub fn in_flight(&self) -> InFlight {
        self.inner().drain_state.in_flight()
    }

    /// Stops every check permanently. Reports keep the last results, which no longer become stale. Readiness, the full
    /// report and tags are 503 with the reason `stopped`.
    ///
    /// Waits until the tasks have ended, at most 1 s, and then until publishers have sent their last messages, at most
    /// 1 s. The future can be awaited outside a Tokio runtime.
    pub async fn stop(&self) {
        self.inner().store.advance(Lifecycle::Stopped);
        let tasks = self.inner().take_tasks();
        tasks.iter().for_each(JoinHandle::abort);
        let mut patience = pause_until(Instant::now() + STOP_PATIENCE).backed_by_a_thread();
        for task in tasks {
            tokio::select! {
                biased;
                // An error only means that the task was cancelled.
                _ = task => {}
                () = &mut patience => break,
            }
        }
        // Publishers have a time limit of their own, because the checks may have used up theirs. They stay in their
        // list, so that a hanging publisher is aborted with the last handle, also if this future is dropped.
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

    /// Waits until the readiness probe passes, and returns `true`. Returns `false` once the service drains or stops.
    /// Returns at once if either is already the case.
    pub async fn ready(&self) -> bool {
        let mut progress = self.inner().store.progress();
        let passes = |now: &Progress| now.lifecycle == Lifecycle::Ready && now.readiness < Status::Unhealthy;
        let settled = progress.wait_for(|now| now.lifecycle >= Lifecycle::Draining || passes(now)).await;
        settled.is_ok_and(|now| passes(&now))
    }
}
