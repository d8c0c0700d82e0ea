//! What the checks of one pool know of it and share: their place in its queue, the connection beside it, and since when it
//! has served nobody.
//!
//! The state belongs to the pool, not to a check: eight checks of a pool of two wait in one place of its queue, ask over the
//! connection that they get together, and keep one connection beside it. The state is found by the pool's address in one
//! table of the process, and lives as long as a check of the pool.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    future::poll_fn,
    pin::pin,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use super::{Connected, Failure, Remark, Source, Taken, lease::Lease};
use crate::{
    check::outcome::Outcome,
    model::status::{Reason, Status},
};

/// The first time after which an attempt to connect that hangs and cannot be cancelled is followed by another one. Each
/// such attempt keeps the driver's thread and socket until the other side ends it, so the time doubles, up to
/// `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// An attempt to connect, or to take a connection, outlives its run, so that a slow one comes to its end. After so many
/// deadlines it is given up.
const DEADLINES: u32 = 2;

type Table = Mutex<HashMap<(TypeId, usize), Weak<dyn Any + Send + Sync>>>;

/// Every pool that has checks.
static POOLS: LazyLock<Table> = LazyLock::new(Table::default);

/// What the checks of one pool share.
pub(super) struct Shared<S: Source> {
    pub(super) source: S,
    state: Mutex<State<S>>,
}

struct State<S: Source> {
    /// The place in the pool's queue. One task waits there, across runs.
    turn: Option<Turn<S>>,
    beside: Beside<S>,
    /// The pause after the next attempt to connect that hangs and cannot be cancelled.
    pause: Duration,
    /// Since when the pool has had no connection for a run that asked.
    unserved_since: Option<Instant>,
    has_served: bool,
    remarks: HashMap<S::Id, Remark>,
    /// The number of the last task.
    last: u64,
}

/// The task that takes a connection of the pool, and the runs that wait for it.
struct Turn<S: Source> {
    number: u64,
    place: Place,
    /// Since when it is at this place.
    since: Instant,
    /// How long it waited in the queue.
    waited: Duration,
    waiting: Vec<oneshot::Sender<Served<S>>>,
    task: Task,
}

/// Where a turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the pool's queue: every place of the pool is in use.
    Queued,
    /// The pool tests an idle connection before it gives it.
    Recycling,
    /// The pool opens a connection.
    Connecting,
}

/// The connection beside the pool.
enum Beside<S: Source> {
    None,
    Connecting(Attempt<S>),
    Open(Arc<Lease<S>>),
}

/// An attempt to connect beside the pool, and the runs that wait for it.
struct Attempt<S: Source> {
    number: u64,
    began: Instant,
    pause: Duration,
    waiting: Vec<oneshot::Sender<Opened<S>>>,
    task: Task,
}

/// A connection beside the pool, or why there is none.
type Opened<S> = Result<Arc<Lease<S>>, Failure>;

/// What a run gets of its pool.
pub(super) enum Served<S: Source> {
    /// A connection, and the time in the queue before.
    Lease(Arc<Lease<S>>, Duration),
    /// The question is to be asked beside the pool.
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

/// A task that ends with its owner, unless it is let go.
struct Task(Option<JoinHandle<()>>);

impl Task {
    fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(tokio::spawn(future)))
    }

    fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn let_go(&mut self) {
        self.0 = None;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl<S: Source> Shared<S> {
    /// Returns what the checks of this pool share.
    pub(super) fn of(source: S) -> Arc<Self> {
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, shared| shared.strong_count() > 0);
        // The address is unique: what is shared keeps its pool alive.
        let key = (TypeId::of::<S>(), source.address());
        let found = pools.get(&key).and_then(Weak::upgrade).and_then(|shared| shared.downcast::<Self>().ok());
        found.unwrap_or_else(|| {
            let shared = Arc::new(Self { source, state: Mutex::new(State::new()) });
            let weak: Weak<Self> = Arc::downgrade(&shared);
            pools.insert(key, weak);
            shared
        })
    }

    /// Takes a connection of the pool, together with every other run that waits for one.
    pub(super) async fn take(self: &Arc<Self>, limit: Duration) -> Served<S> {
        loop {
            let place = self.join(limit);
            if let Ok(served) = place.await {
                return served;
            }
            // The turn was given up, or its runtime has ended.
            tokio::task::yield_now().await;
        }
    }

    /// Joins the turn in progress, or begins one.
    fn join(self: &Arc<Self>, limit: Duration) -> oneshot::Receiver<Served<S>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        let is_over = state.turn.as_ref().is_some_and(|turn| {
            turn.task.is_over() || turn.place != Place::Queued && turn.since.elapsed() >= limit * DEADLINES
        });
        if is_over {
            state.turn = None;
        }
        if let Some(turn) = &mut state.turn {
            turn.waiting.push(sender);
            return receiver;
        }
        state.last += 1;
        let number = state.last;
        let place = if self.source.has_idle() { Place::Recycling } else { Place::Connecting };
        let task = Task::spawn(turn(self.source.clone(), Arc::downgrade(self), number));
        let waiting = vec![sender];
        state.turn = Some(Turn { number, place, since: Instant::now(), waited: Duration::ZERO, waiting, task });
        receiver
    }

    /// Returns where the turn in progress is.
    pub(super) fn place(&self) -> Option<Place> {
        self.state().turn.as_ref().map(|turn| turn.place)
    }

    fn moved(&self, number: u64, place: Place) {
        let mut state = self.state();
        let state = &mut *state;
        let Some(turn) = state.turn.as_mut().filter(|turn| turn.number == number && turn.place != place) else {
            return;
        };
        let now = Instant::now();
        if turn.place == Place::Queued {
            turn.waited += now - turn.since;
        }
        (turn.place, turn.since) = (place, now);
        if place == Place::Queued {
            state.unserved_since.get_or_insert(now);
        }
    }

    /// Hands a connection to the runs that wait for it. If none does, the connection goes back at once.
    fn served(&self, number: u64, taken: Taken<S>) {
        let mut state = self.state();
        let Some(mut turn) = state.turn.take_if(|turn| turn.number == number) else { return };
        turn.task.let_go();
        let served = match taken {
            Taken::Connection(connected) => {
                // Where a run is about to ask, its answer tells.
                if self.source.is_asked_beside() || turn.waiting.iter().all(oneshot::Sender::is_closed) {
                    (state.unserved_since, state.has_served) = (None, true);
                }
                Served::Lease(Lease::new(connected), turn.waited)
            }
            Taken::Beside | Taken::Busy => Served::Beside,
            Taken::Failed(failure) => {
                if failure.reason != Reason::Saturated {
                    state.unserved_since = None;
                }
                Served::Failed(failure)
            }
        };
        drop(state);
        for run in turn.waiting {
            drop(run.send(served.clone()));
        }
    }

    /// Gives up a connection of the pool that does not come out of its test.
    pub(super) fn give_up_recycling(&self) {
        let given_up = self.state().turn.take_if(|turn| turn.place == Place::Recycling);
        drop(given_up);
    }

    /// Returns the connection beside the pool. Waits for the attempt to open one, or begins it.
    pub(super) async fn beside(self: &Arc<Self>, limit: Duration) -> Result<Arc<Lease<S>>, Failure> {
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
        if let Beside::Open(lease) = &state.beside
            && lease.is_sound()
        {
            return Ok(Arc::clone(lease));
        }
        let (sender, receiver) = oneshot::channel();
        let mut waiting = vec![sender];
        if let Beside::Connecting(attempt) = &mut state.beside {
            let patience = if is_uncancellable { attempt.pause } else { limit * DEADLINES };
            if !attempt.task.is_over() && attempt.began.elapsed() < patience {
                attempt.waiting.append(&mut waiting);
                return Err(receiver);
            }
            waiting.append(&mut attempt.waiting);
            if is_uncancellable {
                // It goes on all the same, and may still succeed first.
                attempt.task.let_go();
            }
        }
        state.last += 1;
        let (number, pause) = (state.last, state.pause);
        state.pause = (pause * 2).min(LONGEST_PAUSE);
        let (source, shared) = (self.source.clone(), Arc::downgrade(self));
        let task = Task::spawn(async move {
            let connected = source.connect().await;
            if let Some(shared) = shared.upgrade() {
                shared.opened(number, connected);
            }
        });
        state.beside = Beside::Connecting(Attempt { number, began: Instant::now(), pause, waiting, task });
        Err(receiver)
    }

    fn opened(&self, number: u64, connected: Result<Connected<S>, Failure>) {
        let mut state = self.state();
        // The attempt has ended and leaves no thread or socket behind, so no pause is due.
        state.pause = FIRST_PAUSE;
        let mut attempt = match std::mem::replace(&mut state.beside, Beside::None) {
            Beside::Connecting(attempt) if attempt.number == number || connected.is_ok() => attempt,
            other => {
                state.beside = other;
                return;
            }
        };
        let opened = match connected {
            Ok(connected) => {
                let lease = Lease::new(connected);
                state.beside = Beside::Open(Arc::clone(&lease));
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

    /// Makes one of several idle connections of the pool the one beside it, instead of one that was opened.
    pub(super) fn detach(&self) {
        let mut state = self.state();
        let is_wanted = match &state.beside {
            Beside::None => true,
            Beside::Open(lease) => !lease.is_of_the_pool(),
            Beside::Connecting(_) => false,
        };
        if is_wanted && let Some(session) = self.source.detach() {
            let before = std::mem::replace(&mut state.beside, Beside::Open(Lease::detached(session)));
            drop(state);
            drop(before);
        }
    }

    /// Closes the connection beside the pool, which serves again.
    pub(super) fn close_beside(&self) {
        let mut state = self.state();
        let is_needed = match &state.beside {
            Beside::Connecting(attempt) => attempt.waiting.iter().any(|run| !run.is_closed()),
            Beside::None | Beside::Open(_) => false,
        };
        if !is_needed {
            let closed = std::mem::replace(&mut state.beside, Beside::None);
            drop(state);
            drop(closed);
        }
    }

    /// Forgets a connection beside the pool that is of no use.
    pub(super) fn forget(&self, lease: &Arc<Lease<S>>) {
        let mut state = self.state();
        if matches!(&state.beside, Beside::Open(open) if Arc::ptr_eq(open, lease)) {
            state.beside = Beside::None;
        }
    }

    /// Keeps a connection beside the pool that was forgotten and has answered all the same.
    pub(super) fn restore(&self, lease: &Arc<Lease<S>>) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.beside, Beside::Open(Arc::clone(lease)));
        drop(state);
        if let Beside::Connecting(attempt) = before {
            for run in attempt.waiting {
                drop(run.send(Ok(Arc::clone(lease))));
            }
        }
    }

    /// Remembers that a question was answered over the pool, or over a connection that it would have opened.
    pub(super) fn has_served(&self) {
        let mut state = self.state();
        (state.unserved_since, state.has_served) = (None, true);
    }

    /// Remembers that a question failed although the pool had room for it; unless the server has none, that is another
    /// matter than saturation.
    pub(super) fn failed(&self, failure: &Failure) {
        if failure.reason != Reason::Saturated {
            self.state().unserved_since = None;
        }
    }

    pub(super) fn has_served_nothing(&self) -> bool {
        !self.state().has_served
    }

    /// Worsens the outcome of a pool that serves nobody while its server lives: Degraded, and Unhealthy once that has
    /// lasted for the tolerated time.
    pub(super) fn saturated(&self, outcome: Outcome, tolerated: Duration) -> Outcome {
        let lasted = self.state().unserved_since.get_or_insert_with(Instant::now).elapsed();
        let message =
            format!("the server answers, but the pool has had no free connection for {:.1} s", lasted.as_secs_f64());
        let status = if lasted >= tolerated { Status::Unhealthy } else { Status::Degraded };
        outcome.worsened(status, Reason::Saturated, message)
    }

    /// Remembers what a connection of the pool has said.
    pub(super) fn remember(&self, lease: &Lease<S>, remark: Remark) {
        if let Some(id) = S::id(lease.session()) {
            self.state().remarks.insert(id, remark);
        }
    }

    /// Returns what connections of the pool have said and have not taken back.
    pub(super) fn remarks(&self) -> Option<Outcome> {
        let mut worst: Option<Outcome> = None;
        self.state().remarks.retain(|_, remark| {
            let outcome = remark();
            let holds = outcome.is_some();
            worst = worst.take().into_iter().chain(outcome).max_by_key(|outcome| outcome.status);
            holds
        });
        worst
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Source> State<S> {
    fn new() -> Self {
        Self {
            turn: None,
            beside: Beside::None,
            pause: FIRST_PAUSE,
            unserved_since: None,
            has_served: false,
            remarks: HashMap::new(),
            last: 0,
        }
    }
}

/// Takes one connection of the pool, in its turn.
async fn turn<S: Source>(source: S, shared: Weak<Shared<S>>, number: u64) {
    let moved = |place| {
        if let Some(shared) = shared.upgrade() {
            shared.moved(number, place);
        }
    };
    let mut taken = source.take().await;
    while let Taken::Busy = taken {
        moved(Place::Queued);
        let mut waiting = pin!(source.wait());
        let mut is_first = true;
        // The queue wakes this task when the place is its own; if there is no connection then, the pool is about to test or to
        // open one.
        taken = poll_fn(|context| {
            if !std::mem::replace(&mut is_first, false) {
                moved(Place::Recycling);
            }
            waiting.as_mut().poll(context)
        })
        .await;
    }
    if let Some(shared) = shared.upgrade() {
        shared.served(number, taken);
    }
}
