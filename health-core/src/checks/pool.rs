//! Performs a round trip to a server over the application's own pool, for every driver that has pools. Distinguishes
//! an outage from a busy pool, from a connection that died in the pool, and from a server without room for another
//! connection.
//!
//! A run waits in the pool's queue, as the application does. After half of its deadline it also uses a connection
//! *beside the pool*, which the pool does not manage, and the first answer counts. The module `shared` holds the state
//! that all checks of one pool share.

mod beside;
#[cfg(any(feature = "postgres", feature = "rabbitmq", feature = "redis"))]
pub(crate) mod deadpool;
mod lease;
mod queue;
mod run;
mod serving;
mod shared;
pub(crate) mod source;
mod task;

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    select,
    time::{Instant, timeout, timeout_at},
};

use self::{
    lease::Lease,
    queue::{Place, Served},
    run::{Doing, Progress, Run},
    shared::Shared,
    source::{RoundTrip, Source},
};
use crate::{
    check::outcome::Outcome,
    checks::{failure::Failure, saturation::SATURATED_FOR},
    model::status::{Reason, Status},
};

/// The check of a server over the connections of the application's pool.
pub(crate) struct PoolCheck<S: Source> {
    shared: Arc<Shared<S>>,
    pub(crate) saturated_for: Duration,
}

/// An answer over the pool, and the time that the run waited in the pool's queue.
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
                "saturated_for(0 s) makes every saturated pool Unhealthy at once: use the time that is tolerable"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Runs the check once, and returns the outcome with the pool's numbers.
    pub(crate) async fn run(&self, trip: &impl RoundTrip<S>) -> Outcome {
        let (numbers, run) = (self.shared.source.numbers(), Run::begin());
        // Ends 1 % before the scheduler's deadline, so that the outcome has the pool's numbers and the last error.
        let patience = run.limit.saturating_sub(run.limit / 100);
        self.shared.source.for_each_idle(&mut |connection| {
            if let Some(remark) = trip.look(connection) {
                self.shared.remember(None, remark);
            }
        });
        let outcome = timeout(patience, self.attempt(trip, &run)).await.unwrap_or_else(|_| self.timed_out(&run));
        let outcome = self.shared.remarks().into_iter().fold(outcome, Outcome::and);
        numbers.into_iter().fold(outcome, |outcome, (name, value, unit)| outcome.observe(name, value, unit))
    }

    /// Performs the round trip over the pool, and after half of the deadline also beside the pool.
    async fn attempt(&self, trip: &impl RoundTrip<S>, run: &Run) -> Outcome {
        let mut pooled = pin!(self.ask_pool(trip, run));
        if let Ok(answer) = timeout_at(run.half, &mut pooled).await {
            return self.judge(answer, run);
        }
        let place = self.shared.queue.place();
        let doing = run.progress().doing;
        let is_busy = doing == Doing::Taking && place == Some(Place::Queued);
        let is_doubted = doing == Doing::AskingOld || doing == Doing::Taking && place == Some(Place::Recycling);
        if !is_busy && !is_doubted {
            // The pool is opening a connection, or the round trip already uses a new one or the one beside the pool.
            // No further connection is opened for it.
            return self.judge(pooled.await, run);
        }
        if is_busy && !self.shared.source.has_server() {
            run.progress().is_saturated = true;
            return self.judge(pooled.await, run);
        }
        let mut beside = pin!(self.ask_beside(trip, run));
        let answer = select! {
            biased;
            answer = &mut pooled => return self.judge(answer, run),
            answer = &mut beside => answer,
        };
        match answer {
            Ok(outcome) if is_busy && run.progress().doing == Doing::Taking => {
                self.shared.serving.worsen(outcome, self.saturated_for)
            }
            // The pool has given a connection in the meantime, although late, and the answer over this connection is
            // still pending.
            Ok(_) if is_busy => {
                run.progress().is_saturated = true;
                self.judge(pooled.await, run)
            }
            Ok(outcome) => {
                // The other end of the pool's connection is gone, and the idle connections may be dead, too.
                self.shared.serving.serves();
                self.shared.queue.give_up_recycling();
                self.shared.source.clear_idle(run.began);
                outcome
            }
            Err(failure) if is_busy && failure.reason == Reason::Saturated => self.refused(failure),
            Err(failure) => {
                run.progress().failure = Some(Failure { is_of_connecting: true, ..failure });
                self.judge(pooled.await, run)
            }
        }
    }

    /// Returns the outcome of a run whose time is over.
    fn timed_out(&self, run: &Run) -> Outcome {
        let Progress { doing, failure, is_saturated } = &*run.progress();
        match failure {
            _ if *is_saturated => self.shared.serving.worsen(Outcome::healthy(), self.saturated_for),
            Some(failure) if failure.is_of_connecting && failure.reason == Reason::Saturated => {
                self.refused(failure.clone())
            }
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

    /// Returns the outcome of an answer over the pool. A long wait in the queue makes it Degraded.
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

    /// Returns the outcome for a server without room for a connection or a channel. The refusal proves that the server
    /// is alive.
    fn refused(&self, failure: Failure) -> Outcome {
        let has_nothing = self.shared.serving.has_served_nothing() && !self.shared.source.has_connections();
        let tolerated = if has_nothing { Duration::ZERO } else { self.saturated_for };
        self.shared.serving.worsen(Outcome::healthy(), tolerated).message(failure.message)
    }

    /// Takes connections of the pool until one answers, two new ones have failed, or the pool gives none. One failed
    /// new connection is not enough, because the server may have ended exactly that session. One failed attempt to
    /// connect is enough.
    async fn ask_pool(&self, trip: &impl RoundTrip<S>, run: &Run) -> Result<Answer, Failure> {
        let mut new_ones = 0;
        loop {
            run.does(Doing::Taking);
            let (lease, waited) = match self.shared.queue.take(run.limit).await {
                Served::Lease(lease, waited) => (lease, waited),
                Served::Beside => {
                    run.does(Doing::AskingBeside);
                    self.shared.beside.renew();
                    let answer = self.ask_beside(trip, run).await;
                    self.shared.serving.asked(&answer);
                    return answer.map(|outcome| Answer { outcome, waited: Duration::ZERO });
                }
                Served::Failed(failure) => return Err(failure),
            };
            if self.shared.source.is_asked_beside() {
                if let Some(remark) = trip.look(S::raw(lease.session())) {
                    self.shared.remember(S::id(lease.session()), remark);
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
            let answer = lease.ask(trip).await;
            self.shared.serving.asked(&answer);
            match answer {
                Ok(outcome) => {
                    if waited <= run.limit / 2 {
                        self.shared.beside.close();
                    }
                    return Ok(Answer { outcome, waited });
                }
                Err(failure) if !failure.is_broken || failure.reason == Reason::Saturated => return Err(failure),
                Err(failure) => {
                    new_ones += u32::from(is_new);
                    if new_ones == 2 {
                        return Err(failure);
                    }
                    // The connection died in the pool or during the round trip, which is not an outage. It is closed,
                    // and the next one is taken.
                    run.progress().failure = Some(failure);
                }
            }
        }
    }

    /// Performs the round trip over the connection beside the pool, which all checks of the pool share. If an open one
    /// gives no answer in half of the time left, a new one is used, too.
    async fn ask_beside(&self, trip: &impl RoundTrip<S>, run: &Run) -> Result<Outcome, Failure> {
        self.shared.beside.detach();
        let lease = self.shared.beside.get(run.limit).await?;
        if lease.is_new() || !self.shared.source.has_server() {
            return self.ask_over(&lease, trip).await;
        }
        let mut asked = Box::pin(self.ask_over(&lease, trip));
        let left = run.end.saturating_duration_since(Instant::now());
        match timeout(left / 2, &mut asked).await {
            Ok(Err(failure)) if failure.is_broken => {
                // The connection kept from an earlier run has died, so a new one is used. The data that was read over
                // the old connection is freed first.
                drop(asked);
                drop(lease);
                return self.ask_new_beside(trip, run).await;
            }
            Ok(answer) => return answer,
            Err(_) => {}
        }
        self.shared.beside.forget(&lease);
        let mut new = pin!(self.ask_new_beside(trip, run));
        let failure = select! {
            biased;
            answer = &mut asked => match answer {
                Ok(outcome) => {
                    self.shared.beside.restore(&lease);
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
        asked.await.map_err(|_| failure)
    }

    async fn ask_new_beside(&self, trip: &impl RoundTrip<S>, run: &Run) -> Result<Outcome, Failure> {
        let lease = self.shared.beside.get(run.limit).await?;
        self.ask_over(&lease, trip).await
    }

    async fn ask_over(&self, lease: &Arc<Lease<S>>, trip: &impl RoundTrip<S>) -> Result<Outcome, Failure> {
        let answer = lease.ask(trip).await;
        if answer.as_ref().is_err_and(|failure| failure.is_broken) {
            self.shared.beside.forget(lease);
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
