//! Measures the length and the number of consumers of a RabbitMQ queue. Green proves that the queue exists, that its
//! length is within its limits and that it has enough consumers. It does not prove that the consumers process any
//! message.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use deadpool_lapin::{
    Manager, Pool,
    lapin::{Connection, options::QueueDeclareOptions, types::FieldTable},
};

use super::{
    failure::Failure,
    limits::{check_settings, limit_methods},
    pool::{
        PoolCheck,
        deadpool::{Deadpool, Session},
        source::{Remark, RoundTrip},
    },
    rabbitmq::{pool_check, remark},
    rabbitmq_protocol::{close, explain},
};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::{Limits, Number},
        status::{Membership, Reason, Status},
    },
};

/// Measures the number of ready messages in a RabbitMQ queue, and compares it with limits. Uses the application's own
/// pool.
///
/// Green proves that the queue exists, that its length is within its limits and that it has enough consumers. It does
/// not prove that the consumers process any message.
///
/// - Least privilege: RabbitMQ requires one of `configure`, `write` and `read` on the queue, so `read` is enough. The
///   check sends a passive declaration, which creates, publishes and consumes nothing.
/// - The check uses the connection beside the pool that [`RabbitMq`](crate::RabbitMq) describes. Without room for this
///   connection, or for a channel, the check is Degraded with `saturated`.
/// - A queue that does not exist is Unhealthy with `rejected`.
/// - By default the check counts for the full report only, because a shared backlog must not take every instance out of
///   traffic.
/// - Observed values: `length` (ready messages, in `messages`), `consumers`, and the values of the pool as in
///   `RabbitMq`.
///
/// ```no_run
/// use health_core::{Health, RabbitMqQueue};
/// # fn pool() -> deadpool_lapin::Pool { unimplemented!() }
///
/// # fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder()
///     .check("orders", RabbitMqQueue::new(pool(), "orders").warn_above(1_000).fail_above(10_000).min_consumers(1))
///     .start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct RabbitMqQueue {
    pool_check: PoolCheck<Deadpool<Manager>>,
    queue: String,
    limits: Limits,
    min_consumers: u32,
}

impl RabbitMqQueue {
    /// Creates a check of the queue with this name, from 1 to 255 bytes long.
    pub fn new(pool: Pool, queue: impl Into<String>) -> Self {
        Self { pool_check: pool_check(pool), queue: queue.into(), limits: Limits::default(), min_consumers: 0 }
    }

    /// Sets the minimum number of consumers. With fewer the check is Unhealthy with `threshold`. Default 0.
    pub fn min_consumers(mut self, consumers: u32) -> Self {
        self.min_consumers = consumers;
        self
    }

    /// Sets the time for which the pool may serve no connection before the check is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }

    limit_methods! {
        warn_above: "Sets the number of ready messages above which the check is Degraded. Default none.",
        fail_above: "Sets the number of ready messages above which the check is Unhealthy. Default none.",
        warn_below: "Sets the number of ready messages below which the check is Degraded. Default none.",
        fail_below: "Sets the number of ready messages below which the check is Unhealthy. Default none.",
    }
}

#[async_trait]
impl Check for RabbitMqQueue {
    async fn check(&self) -> CheckResult {
        Ok(self.pool_check.run(self).await)
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        "The queue exists, its length is within its limits and it has enough consumers. It does not prove that the \
         consumers process any message."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.queue.is_empty() {
            return Err(("the name of the queue is empty, which RabbitMQ takes for the last declared queue: name it"
                .to_owned())
            .into());
        }
        if self.queue.len() > 255 {
            return Err(
                ("the name of the queue is longer than 255 bytes, the limit of AMQP: shorten it".to_owned()).into()
            );
        }
        self.pool_check.validate()?;
        Ok(self.limits.validate_count()?)
    }

    check_settings! {
        limits in limits;
        min_consumers: min_consumers = small;
        saturated_for: pool_check.saturated_for = duration;
    }
}

#[async_trait]
impl RoundTrip<Deadpool<Manager>> for RabbitMqQueue {
    async fn ask(&self, connection: &Session<Manager>) -> Result<Outcome, Failure> {
        // Each run opens a channel of its own, because the broker closes the channel if the queue does not exist.
        let channel = connection.create_channel().await.map_err(explain)?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(self.queue.as_str().into(), passive, FieldTable::default()).await;
        let queue = declared.map_err(explain)?;
        close(&channel).await.map_err(explain)?;
        let (length, consumers) = (queue.message_count(), queue.consumer_count());
        let outcome = self.limits.judge(Number::from(length), "messages");
        let outcome = if consumers < self.min_consumers {
            let message = format!("{consumers} consumers, fewer than {}", self.min_consumers);
            outcome.worsened(Status::Unhealthy, Reason::Threshold, message)
        } else {
            outcome
        };
        Ok(outcome.observe_within("length", length, "messages", self.limits).observe(
            "consumers",
            consumers,
            "consumers",
        ))
    }

    fn look(&self, connection: &Connection) -> Option<Remark> {
        remark(connection)
    }
}

impl fmt::Debug for RabbitMqQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMqQueue").field("queue", &self.queue).finish_non_exhaustive()
    }
}
