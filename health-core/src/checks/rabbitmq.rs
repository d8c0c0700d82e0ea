//! RabbitMQ behind the application's own deadpool-lapin pool. Green proves that the broker opens and closes a channel on an
//! authenticated connection, that the pool has one to give, and that the broker blocks none of those seen; it does not prove
//! that any exchange or queue exists.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use deadpool_lapin::{Manager, Pool};
use lapin::Connection;

use super::{
    failure::Failure,
    limits::check_settings,
    pool::{
        PoolCheck,
        deadpool::{Deadpool, Session},
        source::{Remark, RoundTrip},
    },
    rabbitmq_protocol::{blocked, close, explain},
};
use crate::check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome};

/// Asks RabbitMQ over the application's own pool. Needs the feature `rabbitmq`.
///
/// - Least privilege: access to the virtual host. Nothing is declared, published or consumed.
/// - It asks on one connection of its own, which all checks of the pool share: a broker that refuses a channel ends the
///   connection on which it was asked for. The connections of the pool are only looked at. The user needs room for one
///   connection and one channel more.
/// - Without room for its channel it is `saturated`, Degraded. Without room for its connection it is healthy as long as the pool
///   has a connection to give, because the refusal proves that the broker lives; it asks for a connection in each run then.
/// - A connection of the pool that the broker has blocked (an alarm on memory or disk, after it published) is Degraded with
///   `saturated`, until the broker takes that back or the connection ends.
/// - An attempt to connect that hangs cannot be cancelled, as lapin makes it on a thread of its own; so the next one
///   comes after 1 s, then after 2 s, up to 60 s, and until then the check says `timeout`.
/// - lapin keeps 7 to 10 kB of every attempt to connect that fails, whoever makes it: an outage costs that once per run.
/// - A busy pool is healthy: the check waits in the pool's queue for up to half of its deadline. A connection that comes later is
///   `saturated`, Degraded. A pool that serves nobody is Unhealthy after [`saturated_for`](Self::saturated_for).
/// - Observed: `pool_max`, `pool_size`, `pool_available`, `pool_waiting`, and `pool_wait`, in ms, after a wait in the queue.
///
/// ```no_run
/// use health_core::{Health, RabbitMq};
/// # fn pool() -> deadpool_lapin::Pool { unimplemented!() }
///
/// # fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("broker", RabbitMq::new(pool())).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct RabbitMq {
    pool_check: PoolCheck<Deadpool<Manager>>,
}

/// Opens and closes a channel.
struct Question;

impl RabbitMq {
    /// Checks the broker behind this pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool_check: pool_check(pool) }
    }

    /// Sets the time in which the pool may serve nobody before that is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }
}

/// Creates the check of a pool, asked on a connection beside it: a broker that refuses a channel, because the user has no
/// more of them, ends the connection on which it was asked for. lapin connects on a thread of its own, which goes on when
/// the attempt is dropped.
pub(super) fn pool_check(pool: Pool) -> PoolCheck<Deadpool<Manager>> {
    PoolCheck::new(Deadpool::asked_beside(pool, explain))
}

/// Returns what a connection that the broker blocks has to say, until the broker takes that back or the connection ends. The
/// broker blocks those connections alone that publish, so the others of the pool say nothing.
pub(super) fn remark(connection: &Connection) -> Option<Remark> {
    let status = connection.status().clone();
    let remark = move || blocked(&status);
    remark().is_some().then(|| Arc::new(remark) as Remark)
}

#[async_trait]
impl Check for RabbitMq {
    async fn check(&self) -> CheckResult {
        Ok(self.pool_check.run(&Question).await)
    }

    fn proves(&self) -> &'static str {
        "The broker opens a channel and blocks none of the connections seen. The pool has one to give. It does not \
         prove that any exchange or queue exists."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(self.pool_check.validate()?)
    }

    check_settings! {
        saturated_for: pool_check.saturated_for = duration;
    }
}

#[async_trait]
impl RoundTrip<Deadpool<Manager>> for Question {
    async fn ask(&self, connection: &Session<Manager>) -> Result<Outcome, Failure> {
        // Connections stay "connected" after their task has died: only an answer of the broker tells.
        let channel = connection.create_channel().await.map_err(explain)?;
        close(&channel).await.map_err(explain)?;
        Ok(Outcome::healthy())
    }

    fn look(&self, connection: &Connection) -> Option<Remark> {
        remark(connection)
    }

    fn is_answered_by_refusal(&self) -> bool {
        true
    }
}

impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMq").finish_non_exhaustive()
    }
}
