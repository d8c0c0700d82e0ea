//! Checks RabbitMQ behind the application's own deadpool-lapin pool. Green proves that the broker opens and closes a
//! channel on an authenticated connection, that the pool can give a connection, and that the broker blocks none of the
//! connections that the check has seen. It does not prove that any exchange or queue exists.

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

/// Checks RabbitMQ by opening and closing a channel beside the application's own pool, and by taking a connection from
/// the pool.
///
/// Green proves that the broker opens and closes a channel on an authenticated connection, that the pool can give a
/// connection, and that the broker blocks none of the connections that the check has seen. It does not prove that any
/// exchange or queue exists.
///
/// - Least privilege: access to the virtual host. The check declares, publishes and consumes nothing.
/// - The check opens its channel on one connection beside the pool, which all checks of the pool share, because a
///   broker that refuses a channel closes the connection of the request. The check sends nothing over the connections
///   of the pool. The limits of the user must allow one more connection and one more channel.
/// - Without room for the channel the check is Degraded with `saturated`. Without room for the connection beside the
///   pool it is healthy as long as the pool can give a connection, because the refusal proves that the broker runs. The
///   check then tries to open the connection again in each run.
/// - A connection of the pool that the broker has blocked is Degraded with `saturated`, until the broker unblocks it or
///   the connection ends. The broker blocks connections that published, during a memory or disk alarm.
/// - lapin connects on a thread of its own, so an attempt that hangs cannot be cancelled. While an attempt hangs, the
///   pause before the next one doubles from 1 s up to 60 s, and the check is `timeout`.
/// - lapin keeps 7 to 10 kB of memory for every failed attempt to connect, of the check and of the application. During
///   an outage the check makes one attempt per run.
/// - A busy pool is healthy if the check gets a connection from the pool's queue within half of its deadline. A later
///   connection is Degraded with `saturated`. A pool that serves no connection is Unhealthy after
///   [`saturated_for`](Self::saturated_for).
/// - Observed values: `pool_max`, `pool_size`, `pool_available`, `pool_waiting`, and, after a wait in the queue,
///   `pool_wait` in ms.
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
    /// Creates a check of the broker behind this pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool_check: pool_check(pool) }
    }

    /// Sets the time for which the pool may serve no connection before the check is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }
}

/// Creates the check of a pool whose round trip uses a connection beside the pool: a broker that refuses a channel,
/// because the user has reached a limit, closes the connection of the request. lapin connects on a thread of its own,
/// which continues after the attempt was dropped.
pub(super) fn pool_check(pool: Pool) -> PoolCheck<Deadpool<Manager>> {
    PoolCheck::new(Deadpool::asked_beside(pool, explain))
}

/// Returns a remark for a connection that the broker blocks. The remark holds until the broker unblocks the connection
/// or the connection ends. The broker blocks only connections that publish, so other connections of the pool show no
/// block.
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
        "The broker opens a channel and blocks none of the connections that the check has seen. The pool can give a \
         connection. It does not prove that any exchange or queue exists."
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
        // A connection stays "connected" after its task has died. Only an answer of the broker proves that it works.
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
