//! A round trip over the application's own pool, for every driver that deadpool pools. Handles a connection that died
//! in the pool, a cancelled run, and an exhausted pool.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use deadpool::managed::{HookError, Manager, Object, Pool, PoolError, TimeoutType, Timeouts};
use tokio::{
    select,
    time::{Instant, sleep, timeout},
};

use crate::{
    check::{deadline::time_left, error::CheckError, outcome::Outcome},
    model::status::{Reason, Status},
};

/// The pauses between attempts to take a connection. A pool without a free connection after all of them is exhausted; a
/// busy pool frees one within a few milliseconds.
const PATIENCE: [Duration; 4] =
    [Duration::from_millis(5), Duration::from_millis(10), Duration::from_millis(25), Duration::from_millis(60)];

/// The first pause after an attempt to connect that hangs and cannot be cancelled. The pause doubles with each attempt
/// that hangs, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The default time without a free connection after which a pool is Unhealthy.
const SATURATED_FOR: Duration = Duration::from_secs(10);

/// A question to the server, asked over one connection.
#[async_trait]
pub(crate) trait RoundTrip<M: Manager>: Send + Sync {
    /// Asks and judges the answer.
    async fn ask(&self, session: &mut M::Type) -> Result<Outcome, M::Error>;

    /// Returns what a driver's error means.
    fn explain(&self, error: M::Error) -> Failure;
}

/// A driver's error and its meaning.
pub(crate) struct Failure {
    pub(crate) error: CheckError,
    /// Whether the connection is unusable. If not, the server answered with a refusal.
    pub(crate) broken: bool,
}

/// The check of a server over the connections of the application's pool.
pub(crate) struct PoolCheck<M: Manager> {
    pool: Pool<M>,
    pub(crate) saturated_for: Duration,
    /// Only for a driver whose attempts to connect continue after their future is dropped.
    attempts: Option<Arc<Mutex<Attempts>>>,
    state: Mutex<State<M>>,
}

struct State<M: Manager> {
    saturated_since: Option<Instant>,
    /// The connection beside the pool, kept while the pool stays exhausted.
    beside: Option<Beside<M>>,
}

/// Attempts to connect that cannot be cancelled. An attempt that hangs keeps the driver's thread and socket until the
/// other side ends it, so each such attempt is followed by a longer pause.
#[derive(Debug, Default)]
struct Attempts {
    next: Option<Instant>,
    pause: Duration,
}

impl<M: Manager + 'static> PoolCheck<M>
where
    M::Error: Send + 'static,
{
    pub(crate) fn new(pool: Pool<M>) -> Self {
        let state = Mutex::new(State { saturated_since: None, beside: None });
        Self { pool, saturated_for: SATURATED_FOR, attempts: None, state }
    }

    /// Creates a check for a driver whose attempts to connect continue after their future is dropped. A separate task
    /// makes each attempt beside the pool, because an attempt of the pool would occupy one of its places. After each
    /// attempt that hangs, the pause before the next one doubles, up to `LONGEST_PAUSE`.
    #[cfg(feature = "rabbitmq")]
    pub(crate) fn with_uncancellable_attempts(pool: Pool<M>) -> Self {
        Self { attempts: Some(Arc::default()), ..Self::new(pool) }
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.saturated_for.is_zero() {
            return Err(
                "saturated_for(0 s) makes every busy moment an outage: use the time that is tolerable".to_owned()
            );
        }
        Ok(())
    }

    /// Runs the check once, and returns the outcome with the pool's numbers.
    pub(crate) async fn run(&self, trip: &impl RoundTrip<M>) -> Outcome {
        let before = self.pool.status();
        // Ends 1 % before the scheduler's deadline, so that the outcome has the numbers and the last error, too.
        let patience = time_left().map_or(Duration::MAX, |left| left.saturating_sub(left / 100));
        let mut progress = Progress { doing: "taking a connection of the pool", last_error: None };
        let outcome = match timeout(patience, self.attempt(trip, &mut progress)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let earlier = progress.last_error.map_or_else(String::new, |error| format!("; before that: {error}"));
                Outcome::unhealthy(format!("no answer in time while {}{earlier}", progress.doing))
                    .reason(Reason::Timeout)
            }
        };
        outcome
            .observe("pool_max", before.max_size, "connections")
            .observe("pool_size", before.size, "connections")
            .observe("pool_available", before.available, "connections")
            .observe("pool_waiting", before.waiting, "requests")
    }

    /// Takes connections until one answers, two new ones have failed, or none can be had. One failed new connection is
    /// not enough, because the server may have ended exactly that session; one failed attempt to connect is enough.
    async fn attempt(&self, trip: &impl RoundTrip<M>, progress: &mut Progress) -> Outcome {
        let mut new_ones = 0;
        loop {
            progress.doing = "taking a connection of the pool";
            if self.attempts.is_some() {
                let status = self.pool.status();
                if status.available == 0 && status.size < status.max_size {
                    self.state().saturated_since = None;
                    return self.ask_beside(trip, progress).await;
                }
            }
            let object = match self.checkout().await {
                Ok(object) => object,
                Err(PoolError::Timeout(TimeoutType::Wait)) => {
                    let since = *self.state().saturated_since.get_or_insert_with(Instant::now);
                    let outcome = self.ask_beside(trip, progress).await;
                    return if outcome.status == Status::Unhealthy {
                        outcome
                    } else {
                        outcome_when_saturated(outcome, since.elapsed(), self.saturated_for)
                    };
                }
                Err(PoolError::Backend(error)) => {
                    // The pool tried to connect, so it had room for a connection.
                    self.no_longer_saturated();
                    return trip.explain(error).error.into();
                }
                Err(PoolError::Closed) => return Outcome::unhealthy("the pool has been closed"),
                Err(PoolError::Timeout(_)) => {
                    return Outcome::unhealthy("the pool's own timeout passed").reason(Reason::Timeout);
                }
                Err(PoolError::NoRuntimeSpecified) => {
                    return Outcome::unhealthy("the pool has a timeout but was built without a runtime");
                }
                Err(PoolError::PostCreateHook(HookError::Backend(error))) => return trip.explain(error).error.into(),
                Err(PoolError::PostCreateHook(HookError::Message(message))) => {
                    let message = format!("the pool's own hook refused a new connection: {message}");
                    return Outcome::unhealthy(message).reason(Reason::Rejected);
                }
            };
            self.no_longer_saturated();
            let is_new = Object::metrics(&object).recycle_count == 0;
            let mut lease = Lease(Some(object));
            let Some(session) = lease.0.as_mut() else { continue };
            progress.doing = "asking over a connection of the pool";
            let asked = if is_new {
                Asked::Answered(trip.ask(session).await)
            } else {
                self.doubted(trip.ask(session), trip, progress).await
            };
            match asked {
                // The pool's connection is discarded here: its other side may have gone without closing it.
                Asked::OvertakenBy(outcome) => return outcome,
                Asked::Answered(Ok(outcome)) => {
                    lease.give_back();
                    return outcome;
                }
                Asked::Answered(Err(error)) => {
                    let failure = trip.explain(error);
                    if !failure.broken {
                        lease.give_back();
                        return failure.error.into();
                    }
                    new_ones += u32::from(is_new);
                    if new_ones == 2 {
                        return failure.error.into();
                    }
                    // The connection died in the pool or during the question, which is no outage. It is discarded here,
                    // and the next one taken.
                    progress.last_error = Some(failure.error.into_parts().1);
                }
            }
        }
    }

    /// Waits for an answer over a connection that is not new. If none arrives in half of the time left, a new
    /// connection is asked, too: the old connection may be dead without having been closed, which is no outage. The old
    /// connection is still waited for, because a slow server is no outage either.
    async fn doubted(
        &self,
        asked: impl Future<Output = Result<Outcome, M::Error>>,
        trip: &impl RoundTrip<M>,
        progress: &mut Progress,
    ) -> Asked<M::Error> {
        let mut asked = pin!(asked);
        let half = time_left().map_or(Duration::MAX, |left| left / 2);
        if let Ok(answer) = timeout(half, &mut asked).await {
            return Asked::Answered(answer);
        }
        progress.last_error = Some("an open connection gave no answer in half of the time".to_owned());
        let new = select! {
            biased;
            answer = &mut asked => return Asked::Answered(answer),
            outcome = self.ask_new(trip, progress) => outcome,
        };
        if new.status < Status::Unhealthy {
            return Asked::OvertakenBy(new);
        }
        progress.doing = "asking over an open connection, as a new one had no better answer";
        progress.last_error = new.message.or_else(|| progress.last_error.take());
        Asked::Answered(asked.await)
    }

    /// Takes a connection of the pool, without the pool's own timeouts: they need a runtime that the pool may not have.
    async fn checkout(&self) -> Result<Object<M>, PoolError<M::Error>> {
        let at_once = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };
        // At most half of the time left, so that time remains to ask beside the pool.
        let patience = time_left().map_or(Duration::MAX, |left| left / 2);
        let began = Instant::now();
        let mut pauses = PATIENCE.iter().take_while(|pause| began.elapsed() + **pause <= patience);
        loop {
            match self.pool.timeout_get(&at_once).await {
                Err(PoolError::Timeout(TimeoutType::Wait)) => match pauses.next() {
                    Some(pause) => sleep(*pause).await,
                    None => return Err(PoolError::Timeout(TimeoutType::Wait)),
                },
                other => return other,
            }
        }
    }

    /// Asks the server over one connection beside a pool that has none to give, which distinguishes an outage from a
    /// busy pool.
    async fn ask_beside(&self, trip: &impl RoundTrip<M>, progress: &mut Progress) -> Outcome {
        let kept = self.state().beside.take();
        if let Some(mut beside) = kept
            && let Some(session) = beside.session.as_mut()
        {
            progress.doing = "asking over a connection beside the pool";
            match self.doubted(trip.ask(session), trip, progress).await {
                Asked::OvertakenBy(outcome) => return outcome,
                Asked::Answered(Ok(outcome)) => {
                    self.state().beside = Some(beside);
                    return outcome;
                }
                Asked::Answered(Err(error)) => {
                    let failure = trip.explain(error);
                    if !failure.broken {
                        return failure.error.into();
                    }
                    // The connection kept from an earlier run has died since, so a new one is asked.
                }
            }
        }
        self.ask_new(trip, progress).await
    }

    /// Asks over a new connection, which is kept for the next run if it answers.
    async fn ask_new(&self, trip: &impl RoundTrip<M>, progress: &mut Progress) -> Outcome {
        progress.doing = "opening a connection beside the pool";
        let mut beside = match self.create().await {
            Ok(beside) => beside,
            Err(NotCreated::Failed(error)) => return trip.explain(error).error.into(),
            Err(NotCreated::Hangs) => {
                let message = "an earlier attempt to connect still hangs, and the next one is not due yet";
                return Outcome::unhealthy(message).reason(Reason::Timeout);
            }
        };
        progress.doing = "asking over a connection beside the pool";
        let Some(session) = beside.session.as_mut() else {
            return Outcome::unhealthy("a connection without a session");
        };
        match trip.ask(session).await {
            Ok(outcome) => {
                self.state().beside = Some(beside);
                outcome
            }
            Err(error) => trip.explain(error).error.into(),
        }
    }

    /// Creates a connection that the pool does not know of.
    async fn create(&self) -> Result<Beside<M>, NotCreated<M::Error>> {
        let beside = |session, pool| Beside { session: Some(session), pool };
        let Some(attempts) = &self.attempts else {
            let session = self.pool.manager().create().await.map_err(NotCreated::Failed)?;
            return Ok(beside(session, self.pool.clone()));
        };
        {
            let mut attempts = attempts.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if attempts.next.is_some_and(|next| now < next) {
                return Err(NotCreated::Hangs);
            }
            attempts.pause = (attempts.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            attempts.next = Some(now + attempts.pause);
        }
        let (pool, attempts) = (self.pool.clone(), Arc::clone(attempts));
        let attempt = tokio::spawn(async move {
            let created = pool.manager().create().await.map(|session| beside(session, pool.clone()));
            // The attempt has ended and leaves no thread or socket behind, so no pause is due.
            *attempts.lock().unwrap_or_else(PoisonError::into_inner) = Attempts::default();
            created
        });
        match attempt.await {
            Ok(created) => created.map_err(NotCreated::Failed),
            Err(error) => match error.try_into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                Err(_) => Err(NotCreated::Hangs),
            },
        }
    }

    fn no_longer_saturated(&self) {
        let mut state = self.state();
        state.saturated_since = None;
        state.beside = None;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of a question over an open connection.
enum Asked<E> {
    Answered(Result<Outcome, E>),
    /// A new connection answered first.
    OvertakenBy(Outcome),
}

/// The reason why no connection beside the pool was created.
enum NotCreated<E> {
    Failed(E),
    Hangs,
}

/// The progress of a run, reported if its time runs out.
struct Progress {
    doing: &'static str,
    last_error: Option<String>,
}

/// Returns the outcome of an exhausted pool whose server works: Degraded, and Unhealthy once that has lasted for
/// `tolerated`.
fn outcome_when_saturated(outcome: Outcome, lasted: Duration, tolerated: Duration) -> Outcome {
    let message =
        format!("the server answers, but the pool has had no free connection for {:.1} s", lasted.as_secs_f64());
    let status = if lasted >= tolerated { Status::Unhealthy } else { Status::Degraded };
    outcome.worsened(status, Reason::Saturated, message)
}

/// A pooled connection in use by a run. If it is dropped during a question, because the run was cancelled or failed,
/// the connection is discarded: from the pool, its next user would receive the answer to an earlier question.
struct Lease<M: Manager>(Option<Object<M>>);

impl<M: Manager> Lease<M> {
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl<M: Manager> Drop for Lease<M> {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

/// A connection beside the pool: created by the pool's manager, and unknown to the pool.
struct Beside<M: Manager> {
    session: Option<M::Type>,
    pool: Pool<M>,
}

impl<M: Manager> Drop for Beside<M> {
    fn drop(&mut self) {
        if let Some(mut session) = self.session.take() {
            // Managers track the connections that they create.
            self.pool.manager().detach(&mut session);
        }
    }
}

#[cfg(test)]
mod tests;
