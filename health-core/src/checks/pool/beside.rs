//! The connection beside a pool, which all checks of the pool share. It is used when the pool is busy or silent, or in
//! place of the pool if the driver requires that. An attempt to open it outlives the run that starts it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    lease::Lease,
    source::{Connected, Source},
    task::Task,
};
use crate::checks::failure::Failure;

/// Returns the time limit of an attempt to open or to take a connection. The limit is longer than the run, so that a
/// slow attempt can succeed, and not much longer, because an endless answer uses up memory as long as it is read.
pub(super) fn patience(limit: Duration) -> Duration {
    limit + limit / 2
}

/// The first pause after an attempt to connect that hangs and cannot be cancelled, before the next attempt starts.
/// Each such attempt keeps the driver's thread and socket until the other side ends it, so the pause doubles with
/// each, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The age after which a connection that is used in place of an empty pool is replaced by a new one. The settings of a
/// connection, such as the password, may have changed in the meantime.
const RENEWED_AFTER: Duration = Duration::from_secs(60);

/// The connection beside a pool.
pub(super) struct Beside<S: Source> {
    source: S,
    state: Mutex<State<S>>,
}

struct State<S: Source> {
    slot: Slot<S>,
    /// The time of the last use by a run.
    used: Instant,
    /// The pause after the next attempt to connect that hangs and cannot be cancelled.
    pause: Duration,
    /// The number of the last attempt.
    last: u64,
}

enum Slot<S: Source> {
    None,
    Connecting(Attempt<S>),
    Open(Arc<Lease<S>>),
}

/// An attempt to connect beside the pool, and the runs that wait for it.
struct Attempt<S: Source> {
    number: u64,
    began: Instant,
    pause: Duration,
    /// The longest deadline of the runs that wait.
    limit: Duration,
    waiting: Vec<oneshot::Sender<Opened<S>>>,
    task: Task,
}

/// A connection beside the pool, or the failure of the attempt to open it.
type Opened<S> = Result<Arc<Lease<S>>, Failure>;

impl<S: Source> Beside<S> {
    pub(super) fn new(source: S) -> Self {
        let state = State { slot: Slot::None, used: Instant::now(), pause: FIRST_PAUSE, last: 0 };
        Self { source, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection. If none is open, joins the attempt to open one, or starts an attempt, and waits for it.
    pub(super) async fn get(self: &Arc<Self>, limit: Duration) -> Opened<S> {
        loop {
            let attempt = match self.open(limit) {
                Ok(lease) => return Ok(lease),
                Err(attempt) => attempt,
            };
            if let Ok(opened) = attempt.await {
                return opened;
            }
            // The attempt was given up, or its runtime has ended.
            tokio::task::yield_now().await;
        }
    }

    /// Returns the connection beside the pool, or joins the attempt to open one.
    fn open(self: &Arc<Self>, limit: Duration) -> Result<Arc<Lease<S>>, oneshot::Receiver<Opened<S>>> {
        let is_uncancellable = self.source.connects_uncancellably();
        let mut state = self.state();
        state.used = Instant::now();
        if let Slot::Open(lease) = &state.slot
            && lease.is_sound()
        {
            return Ok(Arc::clone(lease));
        }
        let (sender, receiver) = oneshot::channel();
        let mut waiting = vec![sender];
        if let Slot::Connecting(attempt) = &mut state.slot {
            attempt.limit = attempt.limit.max(limit);
            if !is_uncancellable || attempt.began.elapsed() < attempt.pause {
                attempt.waiting.append(&mut waiting);
                return Err(receiver);
            }
            waiting.append(&mut attempt.waiting);
            // The earlier attempt continues, and may still succeed first.
            attempt.task.let_go();
        }
        state.last += 1;
        let (number, pause) = (state.last, state.pause);
        state.pause = (pause * 2).min(LONGEST_PAUSE);
        let attempt = Attempt { number, began: Instant::now(), pause, limit, waiting, task: Task::none() };
        let before = std::mem::replace(&mut state.slot, Slot::Connecting(attempt));
        // Unlocks the state first: a runtime that shuts down drops the spawned task at once, and this drop locks the
        // state.
        drop(state);
        drop(before);
        let (source, ticket) = (self.source.clone(), Ticket { beside: Arc::downgrade(self), number });
        let task = Task::spawn(async move {
            let connected = source.connect().await;
            if let Some(beside) = ticket.beside.upgrade() {
                beside.opened(ticket.number, connected);
            }
        });
        let beside = Arc::downgrade(self);
        let left = move || beside.upgrade().and_then(|beside| beside.left(number));
        let task = if is_uncancellable { task } else { task.watched(left) };
        match &mut self.state().slot {
            Slot::Connecting(attempt) if attempt.number == number => attempt.task = task,
            // The attempt has ended in the meantime, or has been replaced.
            _ => drop(task),
        }
        Err(receiver)
    }

    /// Returns the time left for an attempt. Gives the attempt up once its time is over.
    fn left(&self, number: u64) -> Option<Duration> {
        let mut state = self.state();
        let Slot::Connecting(attempt) = &state.slot else { return None };
        if attempt.number != number {
            return None;
        }
        let left = patience(attempt.limit).saturating_sub(attempt.began.elapsed());
        if left.is_zero() {
            let given_up = std::mem::replace(&mut state.slot, Slot::None);
            drop(state);
            drop(given_up);
            return None;
        }
        Some(left)
    }

    fn opened(&self, number: u64, connected: Result<Connected<S>, Failure>) {
        let mut state = self.state();
        // The attempt has ended and leaves no thread or socket behind, so no pause is due.
        state.pause = FIRST_PAUSE;
        let mut attempt = match std::mem::replace(&mut state.slot, Slot::None) {
            Slot::Connecting(attempt) if attempt.number == number || connected.is_ok() => attempt,
            other => {
                state.slot = other;
                return;
            }
        };
        let opened = match connected {
            Ok(connected) => {
                let lease = Lease::new(connected, &self.source);
                state.slot = Slot::Open(Arc::clone(&lease));
                Ok(lease)
            }
            Err(failure) => Err(Failure { is_of_connecting: true, ..failure }),
        };
        drop(state);
        attempt.task.let_go();
        for run in attempt.waiting {
            drop(run.send(opened.clone()));
        }
    }

    /// Takes one of several idle connections out of the pool as the connection beside it, in place of one that was
    /// opened. Returns whether there is a connection beside the pool now.
    pub(super) fn detach(&self) -> bool {
        let mut state = self.state();
        let is_wanted = match &state.slot {
            Slot::None => true,
            Slot::Open(lease) => !lease.is_of_the_pool() || !lease.is_sound(),
            Slot::Connecting(_) => false,
        };
        if is_wanted && let Some(session) = self.source.detach() {
            let lease = Lease::detached(session, &self.source);
            let before = std::mem::replace(&mut state.slot, Slot::Open(lease));
            drop(state);
            drop(before);
            return true;
        }
        matches!(&state.slot, Slot::Open(lease) if lease.is_sound())
    }

    /// Closes a connection that is used in place of the pool once it has reached its maximum age.
    pub(super) fn renew(&self) {
        let (has_connections, after) = (self.source.has_connections(), self.source.renews_beside_after());
        let after = if has_connections { after } else { RENEWED_AFTER };
        let mut state = self.state();
        if matches!(&state.slot, Slot::Open(lease) if lease.age() >= after) {
            let closed = std::mem::replace(&mut state.slot, Slot::None);
            drop(state);
            drop(closed);
        }
    }

    /// Closes the connection beside a pool that serves again, unless a run waits for it or has used it within the time
    /// set by the driver.
    pub(super) fn close(&self) {
        let mut state = self.state();
        let is_needed = match &state.slot {
            Slot::Connecting(attempt) => attempt.waiting.iter().any(|run| !run.is_closed()),
            Slot::Open(_) => state.used.elapsed() < self.source.keeps_beside(),
            Slot::None => true,
        };
        if !is_needed {
            let closed = std::mem::replace(&mut state.slot, Slot::None);
            drop(state);
            drop(closed);
        }
    }

    /// Removes a connection beside the pool that is unusable.
    pub(super) fn forget(&self, lease: &Arc<Lease<S>>) {
        let mut state = self.state();
        if matches!(&state.slot, Slot::Open(open) if Arc::ptr_eq(open, lease)) {
            state.slot = Slot::None;
        }
    }

    /// Puts a connection beside the pool back that was removed and has answered nevertheless.
    pub(super) fn restore(&self, lease: &Arc<Lease<S>>) {
        let before = std::mem::replace(&mut self.state().slot, Slot::Open(Arc::clone(lease)));
        if let Slot::Connecting(attempt) = before {
            for run in attempt.waiting {
                drop(run.send(Ok(Arc::clone(lease))));
            }
        }
    }
}

/// Ties a task to its attempt. If the task ends without a result because its runtime shuts down, dropping the ticket
/// wakes the waiting runs.
struct Ticket<S: Source> {
    beside: Weak<Beside<S>>,
    number: u64,
}

impl<S: Source> Drop for Ticket<S> {
    fn drop(&mut self) {
        let Some(beside) = self.beside.upgrade() else { return };
        let mut state = beside.state();
        if matches!(&state.slot, Slot::Connecting(attempt) if attempt.number == self.number) {
            let ended = std::mem::replace(&mut state.slot, Slot::None);
            drop(state);
            drop(ended);
        }
    }
}
