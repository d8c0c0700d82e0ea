//! The drain: its state, its future, and the work in progress that delays its end.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::{engine::log, health::pause::pause_until, model::change::Drained, time::LONGEST};

/// The default time that work in progress may delay the end of a drain. With a delay of 10 s, and 5 s for the last
/// responses of a server, it fits into the default grace period of Kubernetes, 30 s.
const DEFAULT_LIMIT: Duration = Duration::from_secs(15);

/// The state of the drain of one service.
#[derive(Debug)]
pub(super) struct DrainState {
    /// The end of the delay, once the drain has begun.
    delay_end: Mutex<Option<Instant>>,
    in_flight: Arc<watch::Sender<usize>>,
}

impl Default for DrainState {
    fn default() -> Self {
        Self { delay_end: Mutex::default(), in_flight: Arc::new(watch::Sender::new(0)) }
    }
}

impl DrainState {
    /// Returns the end of the delay; `None` until the drain has begun.
    pub(super) fn delay_end(&self) -> Option<Instant> {
        *self.delay_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the drain and returns its future. The delay of the first call applies to all calls.
    pub(super) fn begin(&self, delay: Duration) -> Drain {
        let mut known = self.delay_end.lock().unwrap_or_else(PoisonError::into_inner);
        let delay_end = *known.get_or_insert_with(|| Instant::now() + delay.min(LONGEST));
        Drain { delay_end, limit: DEFAULT_LIMIT, in_flight: Arc::clone(&self.in_flight), waiting: None }
    }

    /// Returns a value that counts as work in progress.
    pub(super) fn in_flight(&self) -> InFlight {
        InFlight::new(&self.in_flight)
    }
}

/// Work in progress, which delays the end of a drain until the value is dropped: see
/// [`Health::in_flight`](crate::Health::in_flight). Every clone counts as work in progress.
#[derive(Debug)]
#[must_use = "work in progress delays the end of a drain only while this value exists"]
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

/// A drain that has begun, from [`Health::drain`](crate::Health::drain). The future completes when the server should
/// shut down.
#[must_use = "the drain has begun: await the future to know when to shut down"]
pub struct Drain {
    delay_end: Instant,
    limit: Duration,
    in_flight: Arc<watch::Sender<usize>>,
    waiting: Option<Pin<Box<dyn Future<Output = Drained> + Send>>>,
}

impl Drain {
    /// Sets how long work in progress ([`Health::in_flight`](crate::Health::in_flight)) may extend the drain after its
    /// delay. Default 15 s.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

impl Future for Drain {
    type Output = Drained;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Drained> {
        let (delay_end, end) = (self.delay_end, self.delay_end + self.limit.min(LONGEST));
        let count = Arc::clone(&self.in_flight);
        // Created at the first poll, so that the timer belongs to the runtime that polls, if there is one.
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(wait(delay_end, end, count)));
        waiting.as_mut().poll(context)
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("limit", &self.limit).field("in_flight", &self.in_flight.borrow()).finish()
    }
}

async fn wait(delay_end: Instant, end: Instant, count: Arc<watch::Sender<usize>>) -> Drained {
    pause_until(delay_end).await;
    let mut changes = count.subscribe();
    let drained = tokio::select! {
        biased;
        _ = changes.wait_for(|count| *count == 0) => Drained::Finished,
        () = pause_until(end) => Drained::LimitReached { in_flight: *count.borrow() },
    };
    log::drained(drained);
    drained
}
