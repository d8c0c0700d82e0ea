//! The place of a pool's checks in the queue of the pool. One task waits there, across runs, and hands its connection
//! to every waiting run. The runs use the connection at the same time, and the last one returns it to the pool.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    beside::{Beside, patience},
    lease::Lease,
    serving::Serving,
    source::{Source, Taken},
    task::Task,
};
use crate::checks::failure::Failure;

/// The place of a pool's checks in the queue of the pool.
pub(super) struct Queue<S: Source> {
    source: S,
    serving: Arc<Serving>,
    beside: Arc<Beside<S>>,
    state: Mutex<State<S>>,
}

struct State<S: Source> {
    turn: Option<Turn<S>>,
    /// The number of the last turn.
    last: u64,
}

/// The task that takes a connection of the pool, and the runs that wait for it.
struct Turn<S: Source> {
    number: u64,
    place: Place,
    /// The time at which the turn reached this place.
    since: Instant,
    /// The time for which the turn has waited in the queue.
    waited: Duration,
    /// The longest deadline of the runs that wait.
    limit: Duration,
    waiting: Vec<oneshot::Sender<Served<S>>>,
    task: Task,
}

/// The progress of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Waiting in the pool's queue, because every connection of the pool is in use.
    Queued,
    /// The pool tests an idle connection before it gives the connection.
    Recycling,
    /// The pool opens a connection.
    Connecting,
}

/// The pool's answer to a run that needs a connection.
pub(super) enum Served<S: Source> {
    /// A connection, and the time in the queue before it.
    Lease(Arc<Lease<S>>, Duration),
    /// The round trip must use a connection beside the pool.
    Beside,
    Failed(Failure),
}

impl<S: Source> Clone for Served<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Lease(lease, waited) => Self::Lease(Arc::clone(lease), *waited),
            Self::Beside => Self::Beside,
            Self::Failed(failure) => Self::Failed(failure.clone()),
        }
    }
}

impl<S: Source> Queue<S> {
    pub(super) fn new(source: S, serving: Arc<Serving>, beside: Arc<Beside<S>>) -> Self {
        Self { source, serving, beside, state: Mutex::new(State { turn: None, last: 0 }) }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection of the pool, which is shared with every other run that waits for one.
    pub(super) async fn take(self: &Arc<Self>, limit: Duration) -> Served<S> {
        loop {
            if let Ok(served) = self.join(limit).await {
                return served;
            }
            // The turn was given up, or its runtime has ended.
            tokio::task::yield_now().await;
        }
    }

    /// Joins the turn in progress, or starts one.
    fn join(self: &Arc<Self>, limit: Duration) -> oneshot::Receiver<Served<S>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        if let Some(turn) = &mut state.turn {
            turn.limit = turn.limit.max(limit);
            turn.waiting.push(sender);
            return receiver;
        }
        state.last += 1;
        let number = state.last;
        let place = if self.source.has_idle() { Place::Recycling } else { Place::Connecting };
        let (since, waited, waiting) = (Instant::now(), Duration::ZERO, vec![sender]);
        state.turn = Some(Turn { number, place, since, waited, limit, waiting, task: Task::none() });
        // Unlocks the state first: a runtime that shuts down drops the spawned task at once, and this drop locks the
        // state.
        drop(state);
        let ticket = Ticket { queue: Arc::downgrade(self), number };
        let queue = Arc::downgrade(self);
        let left = move || queue.upgrade().and_then(|queue| queue.left(number));
        let task = Task::spawn(take_turn(self.source.clone(), ticket)).watched(left);
        // A turn that is missing has ended in the meantime, or was given up.
        if let Some(turn) = self.state().turn.as_mut().filter(|turn| turn.number == number) {
            turn.task = task;
        }
        receiver
    }

    /// Returns the place of the turn in progress.
    pub(super) fn place(&self) -> Option<Place> {
        self.state().turn.as_ref().map(|turn| turn.place)
    }

    /// Returns the time left for a turn. Gives the turn up if the pool has not ended a test or an attempt to connect in
    /// time. A turn may stay in the queue for any time.
    fn left(&self, number: u64) -> Option<Duration> {
        let mut state = self.state();
        let turn = state.turn.as_ref().filter(|turn| turn.number == number)?;
        let patience = patience(turn.limit);
        if turn.place == Place::Queued {
            return Some(patience);
        }
        let left = patience.saturating_sub(turn.since.elapsed());
        if left.is_zero() {
            let given_up = state.turn.take();
            drop(state);
            drop(given_up);
            return None;
        }
        Some(left)
    }

    fn moved(&self, number: u64, place: Place) {
        let mut state = self.state();
        let Some(turn) = state.turn.as_mut().filter(|turn| turn.number == number && turn.place != place) else {
            return;
        };
        let now = Instant::now();
        if turn.place == Place::Queued {
            turn.waited += now - turn.since;
        }
        (turn.place, turn.since) = (place, now);
        if place == Place::Queued {
            self.serving.waits();
        }
    }

    /// Hands a connection to the runs that wait for it. If no run waits, the connection returns to the pool at once.
    fn served(&self, number: u64, taken: Taken<S>) {
        let Some(mut turn) = self.state().turn.take_if(|turn| turn.number == number) else { return };
        turn.task.let_go();
        let served = match taken {
            Taken::Connection(connected) => {
                // If a run is about to use the connection, its answer decides instead.
                if self.source.is_asked_beside() || turn.waiting.iter().all(oneshot::Sender::is_closed) {
                    self.serving.serves();
                }
                Served::Lease(Lease::new(connected, &self.source), turn.waited)
            }
            Taken::Beside | Taken::Busy => Served::Beside,
            Taken::Failed(failure) => {
                self.serving.fails(&failure);
                Served::Failed(failure)
            }
        };
        for run in turn.waiting {
            drop(run.send(served.clone()));
        }
    }

    /// Gives up a connection of the pool that hangs in its test.
    pub(super) fn give_up_recycling(&self) {
        let given_up = self.state().turn.take_if(|turn| turn.place == Place::Recycling);
        drop(given_up);
    }
}

/// Ties a task to its turn. If the task ends without a connection because its runtime shuts down, dropping the ticket
/// wakes the waiting runs.
struct Ticket<S: Source> {
    queue: Weak<Queue<S>>,
    number: u64,
}

impl<S: Source> Ticket<S> {
    fn moved(&self, place: Place) {
        if let Some(queue) = self.queue.upgrade() {
            queue.moved(self.number, place);
        }
    }
}

impl<S: Source> Drop for Ticket<S> {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.upgrade() {
            let ended = queue.state().turn.take_if(|turn| turn.number == self.number);
            drop(ended);
        }
    }
}

/// Takes one connection of the pool.
async fn take_turn<S: Source>(source: S, ticket: Ticket<S>) {
    let mut taken = source.take().await;
    // Without a server, as for SQLite, the connection beside the pool can only be one of the pool's idle connections.
    // If none can be taken out, the turn waits for a connection of the pool.
    let has_none = matches!(taken, Taken::Beside)
        && !source.has_server()
        && ticket.queue.upgrade().is_some_and(|queue| !queue.beside.detach());
    if has_none {
        taken = Taken::Busy;
    }
    while let Taken::Busy = taken {
        ticket.moved(Place::Queued);
        let mut waiting = pin!(source.wait());
        let mut is_first = true;
        // The queue wakes this task when its turn has come. If there is no connection yet, the pool is about to test
        // or to open one.
        taken = poll_fn(|context| {
            if !std::mem::replace(&mut is_first, false) {
                ticket.moved(Place::Recycling);
            }
            waiting.as_mut().poll(context)
        })
        .await;
    }
    if let Some(queue) = ticket.queue.upgrade() {
        queue.served(ticket.number, taken);
    }
}
