//! Measures the length of a Redis list, stream, sorted set or set that serves as a queue. Green proves that the server
//! answers and the length is within its limits. It does not prove that the queue is being processed.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use deadpool_redis::{Manager, Pool, redis::cmd};

use super::{
    failure::Failure,
    limits::{check_settings, limit_methods},
    pool::{
        PoolCheck,
        deadpool::{Deadpool, Session},
        source::RoundTrip,
    },
    redis::pool_check,
    redis_protocol::explain,
};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::{
        observed::{Limits, Number},
        status::{Membership, Reason},
    },
};

/// Measures the length of a queue in Redis, and compares it with limits. Uses the application's own pool.
///
/// Green proves that the server answers and the length is within its limits. It does not prove that the queue is being
/// processed.
///
/// - Least privilege: `+llen`, `+xlen`, `+zcard` or `+scard` on the key, and the privileges of [`Redis`](crate::Redis).
/// - A key that does not exist has length 0. A key of another type is Unhealthy with `rejected`.
/// - By default the check counts for the full report only, because a shared backlog must not take every instance out of
///   traffic.
/// - Observed values: `length`, in `messages`, and the values of the pool as in `Redis`.
///
/// ```no_run
/// use health_core::{CheckExt, Health, RedisQueue};
/// # fn pool() -> deadpool_redis::Pool { unimplemented!() }
///
/// # fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder()
///     .check("jobs", RedisQueue::list(pool(), "jobs").warn_above(1_000).fail_above(10_000).tag("queues"))
///     .start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct RedisQueue {
    pool_check: PoolCheck<Deadpool<Manager>>,
    question: Length,
    limits: Limits,
}

/// The command that returns the length, the type of the key for messages, and the key.
#[derive(Debug)]
struct Length {
    command: &'static str,
    kind: &'static str,
    key: String,
}

impl RedisQueue {
    /// Creates a check of the length of a list (LLEN).
    pub fn list(pool: Pool, key: impl Into<String>) -> Self {
        Self::new(pool, "LLEN", "list", key.into())
    }

    /// Creates a check of the number of entries in a stream (XLEN), including delivered ones.
    pub fn stream(pool: Pool, key: impl Into<String>) -> Self {
        Self::new(pool, "XLEN", "stream", key.into())
    }

    /// Creates a check of the number of members of a sorted set (ZCARD).
    pub fn sorted_set(pool: Pool, key: impl Into<String>) -> Self {
        Self::new(pool, "ZCARD", "sorted set", key.into())
    }

    /// Creates a check of the number of members of a set (SCARD).
    pub fn set(pool: Pool, key: impl Into<String>) -> Self {
        Self::new(pool, "SCARD", "set", key.into())
    }

    fn new(pool: Pool, command: &'static str, kind: &'static str, key: String) -> Self {
        Self { pool_check: pool_check(pool), question: Length { command, kind, key }, limits: Limits::default() }
    }

    /// Sets the time for which the pool may serve no connection before the check is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }

    limit_methods! {
        warn_above: "Sets the length above which the check is Degraded. Default none.",
        fail_above: "Sets the length above which the check is Unhealthy. Default none.",
        warn_below: "Sets the length below which the check is Degraded. Default none.",
        fail_below: "Sets the length below which the check is Unhealthy. Default none.",
    }
}

#[async_trait]
impl Check for RedisQueue {
    async fn check(&self) -> CheckResult {
        Ok(self.pool_check.run(self).await)
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        "The server answers and the length is within its limits. It does not prove that the queue is being processed."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.question.key.is_empty() {
            return Err((format!("the key of the {} is empty: name it", self.question.kind)).into());
        }
        self.pool_check.validate()?;
        Ok(self.limits.validate_count()?)
    }

    check_settings! {
        limits in limits;
        saturated_for: pool_check.saturated_for = duration;
    }
}

#[async_trait]
impl RoundTrip<Deadpool<Manager>> for RedisQueue {
    async fn ask(&self, session: &Session<Manager>) -> Result<Outcome, Failure> {
        let Length { command, kind, key } = &self.question;
        let length: u64 = match cmd(command).arg(key).query_async(&mut (**session).clone()).await {
            Err(error) if error.code() == Some("WRONGTYPE") => {
                return Ok(Outcome::unhealthy(format!("the key {key:?} is not a {kind}")).reason(Reason::Rejected));
            }
            answer => answer.map_err(explain)?,
        };
        Ok(self.limits.judge(Number::from(length), "messages").observe_within(
            "length",
            length,
            "messages",
            self.limits,
        ))
    }
}

impl fmt::Debug for RedisQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisQueue").field("question", &self.question).finish_non_exhaustive()
    }
}
