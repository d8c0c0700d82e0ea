//! The length and the consumers of a RabbitMQ queue. Green proves that the queue exists, that its length is within its
//! limits and that it has its consumers; it does not prove that these work anything off.

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

/// The number of messages ready in a RabbitMQ queue, with limits, over the application's own pool. Needs the feature
/// `rabbitmq_queue`.
///
/// - It asks with a passive declaration: nothing is declared, published or consumed.
/// - Least privilege: RabbitMQ wants any one of `configure`, `write` and `read` on the queue; `read` is enough.
/// - It asks on the connection beside the pool that [`RabbitMq`](crate::RabbitMq) describes. Without room for that, or for a
///   channel, it is `saturated`, Degraded.
/// - A queue that does not exist is Unhealthy with `rejected`.
/// - A measure: by itself it counts for the full report only, because a shared backlog must not take every instance
///   out of traffic.
/// - Observed: `length` (messages ready, in `messages`), `consumers`, and the pool's numbers.
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
    /// The queue of this name.
    pub fn new(pool: Pool, queue: impl Into<String>) -> Self {
        Self { pool_check: pool_check(pool), queue: queue.into(), limits: Limits::default(), min_consumers: 0 }
    }

    /// With fewer consumers than these it is Unhealthy with `threshold`. Default 0.
    pub fn min_consumers(mut self, consumers: u32) -> Self {
        self.min_consumers = consumers;
        self
    }

    /// Sets the time in which the pool may serve nobody before that is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }

    limit_methods! {
        warn_above: "Degraded above this length.",
        fail_above: "Unhealthy above this length.",
        warn_below: "Degraded below this length.",
        fail_below: "Unhealthy below this length.",
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
        "The queue exists, its length is within its limits and it has its consumers. It does not prove that these work \
         anything off."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.queue.is_empty() {
            return Err(("the name of the queue is empty, which RabbitMQ takes for the last one declared: name it"
                .to_owned())
            .into());
        }
        if self.queue.len() > 255 {
            return Err(("the name of the queue is longer than the 255 bytes that AMQP allows".to_owned()).into());
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
        // A channel of its own: the broker closes it when the queue does not exist.
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
