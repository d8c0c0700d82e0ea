//! Leaving: drain, then stop. Both only ever move forward.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use crate::{
    health::Health,
    log,
    model::{
        change::Drained,
        status::{Lifecycle, Status},
    },
};

/// How long `stop` waits for tasks that it has cancelled; one that blocks its thread holds up nothing longer.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// How often it looks whether publishers have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// As good as for ever.
const LONGEST_DRAIN: Duration = Duration::from_secs(366 * 24 * 3600);

/// How long work in progress may hold a drain after its delay: with a delay of 10 s, and 5 s for a server's last answers, what fits into the
/// 30 s that Kubernetes grants.
const WORK_LIMIT: Duration = Duration::from_secs(15);

/// When the drain that was begun first is over, and what is still in progress.
#[derive(Debug)]
pub(crate) struct Leaving {
    over: Mutex<Option<Instant>>,
    in_flight: Arc<watch::Sender<usize>>,
}

impl Default for Leaving {
    fn default() -> Self {
        Self { over: Mutex::default(), in_flight: Arc::new(watch::Sender::new(0)) }
    }
}

impl Leaving {
    /// The end of the drain, once that has begun.
    fn known_over(&self) -> Option<Instant> {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of the drain: the first to ask sets it.
    fn over(&self, delay: Duration) -> Instant {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        *over.get_or_insert_with(|| Instant::now() + delay.min(LONGEST_DRAIN))
    }
}

/// Work in progress that holds the drain: see [`Health::in_flight`]. Every clone counts.
#[derive(Debug)]
#[must_use = "dropped at once it holds nothing"]
pub struct InFlight(Arc<watch::Sender<usize>>);

impl InFlight {
    fn new(count: &Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(Arc::clone(count))
    }
}

impl Clone for InFlight {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// A drain that has begun; the future is over when the server should shut down. See [`Health::drain`].
#[must_use = "the drain has begun, but only the future tells when to shut down"]
pub struct Drain {
    over: Instant,
    limit: Duration,
    in_flight: Arc<watch::Sender<usize>>,
    waiting: Option<Pin<Box<dyn Future<Output = Drained> + Send>>>,
}

impl Drain {
    /// How long work in progress ([`Health::in_flight`]) may hold the drain after its delay; default 15 s.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

impl Future for Drain {
    type Output = Drained;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Drained> {
        let (over, end) = (self.over, self.over + self.limit.min(LONGEST_DRAIN));
        let count = Arc::clone(&self.in_flight);
        // Made when it is awaited: a timer needs a runtime, turning readiness red does not.
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(wait(over, end, count)));
        waiting.as_mut().poll(context)
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("limit", &self.limit).field("in_flight", &self.in_flight.borrow()).finish()
    }
}

async fn wait(over: Instant, end: Instant, count: Arc<watch::Sender<usize>>) -> Drained {
    sleep_until(over).await;
    let mut changes = count.subscribe();
    let drained = match timeout_at(end, changes.wait_for(|count| *count == 0)).await {
        Ok(_) => Drained::Finished,
        Err(_) => Drained::LimitReached { in_flight: *count.borrow() },
    };
    log::drained(drained);
    drained
}

impl Health {
    /// Begins to drain, at once and for good: readiness, the full report and tags turn 503 with the reason
    /// `draining`, liveness stays as it is, checks go on. The future is over after `delay`, which should cover the
    /// time in which load balancers notice, and once no work is in progress ([`in_flight`](Self::in_flight)) or its
    /// [`limit`](Drain::limit) is reached; it says which it was. Then shut the server down.
    ///
    /// Dropping the future, or never awaiting it, does not undo the drain. Calling again changes nothing: the first
    /// call's delay holds for all.
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
        let leaving = &self.inner().leaving;
        // Known before anybody sees that the drain has begun.
        let over = leaving.over(delay);
        self.inner().board.advance(Lifecycle::Draining);
        Drain { over, limit: WORK_LIMIT, in_flight: Arc::clone(&leaving.in_flight), waiting: None }
    }

    /// Waits until the drain's delay has passed, or the checks have stopped: from then on nobody should be kept waiting, for
    /// instance by a stream that lasts.
    pub async fn drained(&self) {
        let inner = self.inner();
        let mut progress = inner.board.progress();
        let at_least = |wanted: Lifecycle| move |now: &crate::board::Progress| now.lifecycle >= wanted;
        // An error would say that the board is gone, which we hold.
        let _ = progress.wait_for(at_least(Lifecycle::Draining)).await.map(|_| ());
        let over = inner.leaving.known_over();
        tokio::select! {
            () = async { match over {
                Some(over) => sleep_until(over).await,
                None => std::future::pending().await,
            } } => {}
            _ = progress.wait_for(at_least(Lifecycle::Stopped)) => {}
        }
    }

    /// Says that work is in progress for as long as the value is kept: a drain does not end before, unless its limit
    /// is reached. For what no request waits for, such as a job taken off a queue; servers wait for their own answers.
    pub fn in_flight(&self) -> InFlight {
        InFlight::new(&self.inner().leaving.in_flight)
    }

    /// Stops every check for good. Answers keep the last verdicts; readiness, the full report and tags are 503 with
    /// the reason `stopped`.
    ///
    /// Waits until the tasks are gone and publishers have said their last words, but for neither of them longer than a second
    /// if they block a thread or hang.
    pub async fn stop(&self) {
        self.inner().board.advance(Lifecycle::Stopped);
        let patience = Instant::now() + STOP_PATIENCE;
        let tasks = self.inner().take_tasks();
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        for task in tasks {
            // Its result says nothing: it was just cancelled.
            let _ = timeout_at(patience, task).await;
        }
        // With a time of their own, as checks may have taken theirs.
        let patience = Instant::now() + STOP_PATIENCE;
        // They stay where they are, so that one that hangs is aborted with the last handle, also if this future is dropped.
        while !self.inner().publishers_have_ended() && Instant::now() < patience {
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until the readiness probe passes for the first time: `true`. If the service begins to drain before
    /// that: `false`.
    pub async fn ready(&self) -> bool {
        let mut progress = self.inner().board.progress();
        let passes = |lifecycle, readiness| lifecycle == Lifecycle::Ready && readiness < Status::Unhealthy;
        progress
            .wait_for(|now| now.lifecycle >= Lifecycle::Draining || passes(now.lifecycle, now.readiness))
            .await
            .is_ok_and(|now| passes(now.lifecycle, now.readiness))
    }
}
