//! A round trip to a server over the application's own pool, for every driver that has pools. Separates a busy pool, a
//! connection that died in the pool and a server that is full from an outage.
//!
//! A run waits in the pool's queue as the application does. After half of its deadline one connection beside the pool is
//! asked, too, and the first answer counts. What the checks of one pool know of it is in [`shared`].

#[cfg(any(feature = "postgres", feature = "rabbitmq", feature = "redis"))]
pub(crate) mod deadpool;
mod lease;
mod shared;

use std::{
    fmt,
    hash::Hash,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    select,
    time::{Instant, timeout, timeout_at},
};

use self::{
    lease::Lease,
    shared::{Place, Served, Shared},
};
use crate::{
    check::{deadline::time_left, error::CheckError, outcome::Outcome},
    model::status::{Reason, Status},
};

/// The default time in which a pool serves nothing, after which it is Unhealthy.
const SATURATED_FOR: Duration = Duration::from_secs(10);

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// The pool of a driver.
pub(crate) trait Source: Clone + Send + Sync + 'static {
    /// A connection of the pool, or one beside the pool. A dropped connection of the pool goes back to the pool; a dropped
    /// one beside the pool is closed.
    type Session: Send + Sync + 'static;
    /// What tells one connection from another.
    type Id: Copy + Eq + Hash + Send + Sync;

    /// Returns an address that no other pool has while this one lives.
    fn address(&self) -> usize;

    /// Returns whether questions are asked on a connection beside the pool, whose own connections are only looked at.
    fn is_asked_beside(&self) -> bool {
        false
    }

    /// Returns whether an attempt to connect continues after its future is dropped.
    fn connects_uncancellably(&self) -> bool {
        false
    }

    /// Returns the pool's numbers: name, value and unit.
    fn numbers(&self) -> Vec<(&'static str, usize, &'static str)>;

    /// Returns whether the pool has any connection, idle or in use.
    fn has_connections(&self) -> bool;

    /// Returns whether a connection is idle, so that [`take`](Self::take) does not connect.
    fn has_idle(&self) -> bool;

    /// Takes a connection, unless every place of the pool is in use.
    fn take(&self) -> impl Future<Output = Taken<Self>> + Send;

    /// Takes a connection; waits in the pool's queue for a place. Still busy, it is asked again: the pool's own patience is
    /// over.
    fn wait(&self) -> impl Future<Output = Taken<Self>> + Send;

    /// Opens a connection that the pool does not know of.
    fn connect(&self) -> impl Future<Output = Result<Connected<Self>, Failure>> + Send;

    /// Takes an idle connection out of the pool for good, if the pool has more of them than it needs.
    fn detach(&self) -> Option<Self::Session> {
        None
    }

    /// Returns the identity of a connection of the pool.
    fn id(session: &Self::Session) -> Option<Self::Id>;

    /// Closes a connection, which the pool forgets.
    fn discard(session: Self::Session);

    /// Closes the idle connections that nobody has used since this moment.
    fn clear_idle(&self, unused_since: std::time::Instant);
}

/// What a pool gives.
pub(crate) enum Taken<S: Source> {
    Connection(Connected<S>),
    /// Every place is in use.
    Busy,
    /// The pool leaves it to the check to ask beside it: it would have to connect, or has several idle connections.
    Beside,
    Failed(Failure),
}

/// A connection, and whether it was opened just now.
pub(crate) struct Connected<S: Source> {
    pub(crate) session: S::Session,
    pub(crate) is_new: bool,
}

/// A question to the server, asked over one connection. Questions of several checks may be asked over it at once.
#[async_trait]
pub(crate) trait RoundTrip<S: Source>: Send + Sync {
    /// Asks and judges the answer.
    async fn ask(&self, session: &S::Session) -> Result<Outcome, Failure>;

    /// Looks at a connection of a pool that is asked beside it. What is found holds until the remark takes it back.
    fn look(&self, _session: &S::Session) -> Option<Remark> {
        None
    }

    /// Returns whether it is answered by a server that refuses a connection beside the pool for want of room, while the
    /// pool has connections to give.
    fn is_answered_by_refusal(&self) -> bool {
        false
    }
}

/// What a connection of the pool has said, for as long as it holds.
pub(crate) type Remark = Arc<dyn Fn() -> Option<Outcome> + Send + Sync>;

/// What a driver's error means.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    /// Whether the connection is unusable. If not, the server answered with a refusal.
    pub(crate) is_broken: bool,
    /// Whether no connection could be opened.
    pub(crate) is_of_connecting: bool,
}

impl Failure {
    pub(crate) fn new(error: impl Into<CheckError>, reason: Reason, is_broken: bool) -> Self {
        let (_, message) = error.into().into_parts();
        Self { reason, message, is_broken, is_of_connecting: false }
    }

    fn outcome(self) -> Outcome {
        Outcome::unhealthy(self.message).reason(self.reason)
    }
}

/// The check of a server over the connections of the application's pool.
pub(crate) struct PoolCheck<S: Source> {
    shared: Arc<Shared<S>>,
    pub(crate) saturated_for: Duration,
}

/// The run in progress: its times, and what it is doing, which is told if its time runs out.
struct Run {
    limit: Duration,
    half: Instant,
    end: Instant,
    /// Pools take the time of use from this clock.
    began: std::time::Instant,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    doing: Doing,
    /// Why the question was not answered so far.
    failure: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Taking,
    AskingOld,
    AskingNew,
    AskingBeside,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taking => "taking a connection of the pool",
            Self::AskingOld => "asking over an open connection of the pool",
            Self::AskingNew => "asking over a new connection of the pool",
            Self::AskingBeside => "asking over a connection beside the pool",
        })
    }
}

impl Run {
    fn begin() -> Self {
        let limit = time_left().unwrap_or(DEFAULT_LIMIT);
        let progress = Mutex::new(Progress { doing: Doing::Taking, failure: None });
        let now = Instant::now();
        Self { limit, half: now + limit / 2, end: now + limit, began: std::time::Instant::now(), progress }
    }

    fn does(&self, doing: Doing) {
        self.progress().doing = doing;
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome of a run whose time is over.
    fn timed_out(&self) -> Outcome {
        let Progress { doing, failure } = &*self.progress();
        match failure {
            Some(failure) if failure.is_of_connecting => {
                let message = format!("no answer in time while {doing}; beside the pool: {}", failure.message);
                Outcome::unhealthy(message).reason(failure.reason)
            }
            Some(failure) => {
                let message = format!("no answer in time while {doing}; before that: {}", failure.message);
                Outcome::unhealthy(message).reason(Reason::Timeout)
            }
            None => Outcome::unhealthy(format!("no answer in time while {doing}")).reason(Reason::Timeout),
        }
    }
}

/// An answer over the pool, and the time in the pool's queue before it.
struct Answer {
    outcome: Outcome,
    waited: Duration,
}

impl<S: Source> PoolCheck<S> {
    pub(crate) fn new(source: S) -> Self {
        Self { shared: Shared::of(source), saturated_for: SATURATED_FOR }
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
    pub(crate) async fn run(&self, trip: &impl RoundTrip<S>) -> Outcome {
        let (numbers, run) = (self.shared.source.numbers(), Run::begin());
        // Ends 1 % before the scheduler's deadline, so that the outcome has the numbers and the last error, too.
        let patience = run.limit.saturating_sub(run.limit / 100);
        let outcome = timeout(patience, self.attempt(trip, &run)).await.unwrap_or_else(|_| run.timed_out());
        let outcome = self.shared.remarks().into_iter().fold(outcome, Outcome::and);
        numbers.into_iter().fold(outcome, |outcome, (name, value, unit)| outcome.observe(name, value, unit))
    }

    /// Asks over the pool, and after half of the deadline beside it, too.
    async fn attempt(&self, trip: &impl RoundTrip<S>, run: &Run) -> Outcome {
        let mut pooled = pin!(self.ask_pool(trip, run));
        if let Ok(answer) = timeout_at(run.half, &mut pooled).await {
            return self.judge(answer, run);
        }
        let place = self.shared.place();
        let doing = run.progress().doing;
        let is_busy = doing == Doing::Taking && place == Some(Place::Queued);
        let is_doubted = doing == Doing::AskingOld || doing == Doing::Taking && place == Some(Place::Recycling);
        if !is_busy && !is_doubted {
            // A connection that is being opened is not begun anew.
            return self.judge(pooled.await, run);
        }
        let mut beside = pin!(self.ask_beside(trip, run));
        let failure = select! {
            biased;
            answer = &mut pooled => return self.judge(answer, run),
            answer = &mut beside => match answer {
                Ok(outcome) if is_busy => return self.shared.saturated(outcome, self.saturated_for),
                Ok(outcome) => {
                    // The pool's connection has no other end any more, and the idle ones may be no better.
                    self.shared.give_up_recycling();
                    self.shared.source.clear_idle(run.began);
                    return outcome;
                }
                Err(failure) if failure.reason == Reason::Saturated => return self.refused(failure),
                Err(failure) => failure,
            },
        };
        run.progress().failure = Some(Failure { is_of_connecting: true, ..failure });
        self.judge(pooled.await, run)
    }

    /// Judges an answer over the pool.
    fn judge(&self, answer: Result<Answer, Failure>, run: &Run) -> Outcome {
        match answer {
            Ok(Answer { outcome, waited }) => {
                let outcome = if waited > run.limit / 2 {
                    let message = format!("the pool had no free connection for {:.1} s", waited.as_secs_f64());
                    outcome.worsened(Status::Degraded, Reason::Saturated, message)
                } else {
                    outcome
                };
                if waited.is_zero() { outcome } else { outcome.observe("pool_wait", milliseconds(waited), "ms") }
            }
            Err(failure) if failure.reason == Reason::Saturated => self.refused(failure),
            Err(failure) => failure.outcome(),
        }
    }

    /// The outcome where the server itself has no room for a connection or a channel. The refusal proves that it lives.
    fn refused(&self, failure: Failure) -> Outcome {
        let has_nothing = self.shared.has_served_nothing() && !self.shared.source.has_connections();
        let tolerated = if has_nothing { Duration::ZERO } else { self.saturated_for };
        self.shared.saturated(Outcome::healthy(), tolerated).message(failure.message)
    }

    /// Takes connections of the pool until one answers, two new ones have failed, or none can be had. One failed new
    /// connection is not enough, because the server may have ended exactly that session; one failed attempt to connect
    /// is enough.
    async fn ask_pool(&self, trip: &impl RoundTrip<S>, run: &Run) -> Result<Answer, Failure> {
        let mut new_ones = 0;
        loop {
            run.does(Doing::Taking);
            let (lease, waited) = match self.shared.take(run.limit).await {
                Served::Lease(lease, waited) => (lease, waited),
                Served::Beside => {
                    run.does(Doing::AskingBeside);
                    let outcome =
                        self.ask_beside(trip, run).await.inspect_err(|failure| self.shared.failed(failure))?;
                    self.shared.has_served();
                    return Ok(Answer { outcome, waited: Duration::ZERO });
                }
                Served::Failed(failure) => return Err(failure),
            };
            if self.shared.source.is_asked_beside() {
                if let Some(remark) = trip.look(lease.session()) {
                    self.shared.remember(&lease, remark);
                }
                drop(lease);
                run.does(Doing::AskingBeside);
                let outcome = match self.ask_beside(trip, run).await {
                    Err(failure)
                        if failure.is_of_connecting
                            && failure.reason == Reason::Saturated
                            && trip.is_answered_by_refusal() =>
                    {
                        Outcome::healthy().message(failure.message)
                    }
                    answer => answer?,
                };
                return Ok(Answer { outcome, waited });
            }
            let is_new = lease.is_new();
            run.does(if is_new { Doing::AskingNew } else { Doing::AskingOld });
            match lease.ask(trip).await {
                Ok(outcome) => {
                    self.shared.has_served();
                    if waited <= run.limit / 2 {
                        self.shared.close_beside();
                    }
                    return Ok(Answer { outcome, waited });
                }
                Err(failure) if !failure.is_broken => {
                    self.shared.failed(&failure);
                    return Err(failure);
                }
                Err(failure) => {
                    new_ones += u32::from(is_new);
                    if new_ones == 2 {
                        return Err(failure);
                    }
                    // The connection died in the pool or during the question, which is no outage. It is closed, and the
                    // next one is taken.
                    run.progress().failure = Some(failure);
                }
            }
        }
    }

    /// Asks over the connection beside the pool, which all checks of the pool share. If an open one gives no answer in half
    /// of the time left, a new one is asked, too.
    async fn ask_beside(&self, trip: &impl RoundTrip<S>, run: &Run) -> Result<Outcome, Failure> {
        self.shared.detach();
        let lease = self.shared.beside(run.limit).await?;
        if lease.is_new() {
            return self.ask_over(&lease, trip).await;
        }
        let mut asked = pin!(self.ask_over(&lease, trip));
        let left = run.end.saturating_duration_since(Instant::now());
        match timeout(left / 2, &mut asked).await {
            Ok(Err(failure)) if failure.is_broken => {}
            Ok(answer) => return answer,
            Err(_) => {
                self.shared.forget(&lease);
                let mut new = pin!(self.ask_new_beside(trip, run));
                let failure = select! {
                    biased;
                    answer = &mut asked => match answer {
                        Ok(outcome) => {
                            self.shared.restore(&lease);
                            return Ok(outcome);
                        }
                        Err(_) => return new.await,
                    },
                    answer = &mut new => match answer {
                        Ok(outcome) => {
                            self.shared.source.clear_idle(run.began);
                            return Ok(outcome);
                        }
                        Err(failure) => failure,
                    },
                };
                return asked.await.map_err(|_| failure);
            }
        }
        // The connection kept from an earlier run has died since, so a new one is asked.
        self.ask_new_beside(trip, run).await
    }

    async fn ask_new_beside(&self, trip: &impl RoundTrip<S>, run: &Run) -> Result<Outcome, Failure> {
        let lease = self.shared.beside(run.limit).await?;
        self.ask_over(&lease, trip).await
    }

    async fn ask_over(&self, lease: &Arc<Lease<S>>, trip: &impl RoundTrip<S>) -> Result<Outcome, Failure> {
        let answer = lease.ask(trip).await;
        if answer.as_ref().is_err_and(|failure| failure.is_broken) {
            self.shared.forget(lease);
        }
        answer
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
#[cfg(any(feature = "postgres", feature = "rabbitmq", feature = "redis"))]
mod tests;
