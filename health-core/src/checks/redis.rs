//! Checks Redis over the application's own deadpool-redis pool. Green proves that the server answers PING on an
//! authenticated connection. It does not prove that the server has memory left or accepts writes: `.writable()` checks
//! that.

use std::{fmt, pin::Pin, time::Duration};

use async_trait::async_trait;
use deadpool_redis::{Manager, Pool};

use super::{
    failure::Failure,
    limits::check_settings,
    pool::{
        PoolCheck,
        deadpool::{Deadpool, Session},
        source::RoundTrip,
    },
    redis_protocol::{Question, diagnosed, explain},
};
use crate::check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome};

/// Checks Redis, Valkey or KeyDB by PING over the application's own pool.
///
/// Green proves that the server answers PING on an authenticated connection. Unless [`writable`](Self::writable) is
/// set, it does not prove that the server has memory left or accepts writes.
///
/// - Least privilege: `+ping`, and `+unwatch`, which the pool itself sends. [`writable`](Self::writable) needs more.
///   The check writes nothing.
/// - A busy pool is healthy if the check gets a connection from the pool's queue within half of its deadline. The check
///   is Degraded with `saturated` if the connection comes later, if the server answers only on a connection beside the
///   pool, or if the server has no room for one more connection. A pool that serves no connection is Unhealthy after
///   [`saturated_for`](Self::saturated_for).
/// - A dead pooled connection is not an outage, whether it was closed or only fell silent. The check takes the next
///   connection, until a new one fails.
/// - A pool in FIFO order hands out its idle connections in turn, also to the check. `Postgres` describes the
///   consequence.
/// - A key or a database that belongs to another server is `rejected`. A server that loads its data is `unreachable`. A
///   server that is busy with a script, or cannot save, is `failed`.
/// - If the server closes a new connection, the check opens one more connection, and sends nothing over it, to read the
///   reason of the refusal.
/// - All checks of one pool share its queue and the connection beside it.
/// - Observed values: `pool_max`, `pool_size`, `pool_available`, `pool_waiting`, and, after a wait in the queue,
///   `pool_wait` in ms.
///
/// ```no_run
/// use health_core::{CheckExt, Health, Redis};
/// # fn pool() -> deadpool_redis::Pool { unimplemented!() }
///
/// # fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("cache", Redis::new(pool()).optional()).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Redis {
    pool_check: PoolCheck<Deadpool<Manager>>,
    question: Question,
}

impl Redis {
    /// Creates a check of the server behind this pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool_check: pool_check(pool), question: Question::Alive }
    }

    /// Requires a server that accepts writes. The check is `rejected` if the server is not a master, if the master has
    /// too few replicas (`min-replicas-to-write`) or if it has no memory left. The check is `unreachable` in a failed
    /// cluster. Off by default.
    ///
    /// Nothing is written: the check sends `ROLE` and `SETRANGE health:writable 0 ""`, which changes no key and creates
    /// none.
    ///
    /// Least privilege: `+role`, and `+setrange` on the key `health:writable`. Without `+setrange` only the role
    /// decides, and the check tries `SETRANGE` again every five minutes.
    pub fn writable(mut self) -> Self {
        self.question = Question::writable();
        self
    }

    /// Sets the time for which the pool may serve no connection before the check is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }
}

/// Creates the check of the pool underneath deadpool-redis's own connection type, which hides the use count of a
/// connection.
pub(super) fn pool_check(pool: Pool) -> PoolCheck<Deadpool<Manager>> {
    let weak = pool.weak();
    match weak.upgrade() {
        Some(plain) => PoolCheck::new(Deadpool::new(plain, explain).diagnosed_by(diagnose)),
        None => unreachable!("`pool` keeps the target of the weak handle alive"),
    }
}

#[async_trait]
impl Check for Redis {
    async fn check(&self) -> CheckResult {
        Ok(self.pool_check.run(&self.question).await)
    }

    fn proves(&self) -> &'static str {
        self.question.proves()
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
    async fn ask(&self, session: &Session<Manager>) -> Result<Outcome, Failure> {
        self.put(&mut (**session).clone()).await
    }
}

/// Finds out whether the server closed a new connection for want of room.
fn diagnose(manager: &Manager, failure: Failure) -> Pin<Box<dyn Future<Output = Failure> + Send + '_>> {
    Box::pin(async move {
        match address(manager) {
            Some(address) => diagnosed(address, failure).await,
            None => failure,
        }
    })
}

/// Returns the address of a server behind plain TCP, without TLS. The manager of the pool shows the address only in its
/// `Debug` text. Without an address there is no diagnosis.
fn address(manager: &Manager) -> Option<(String, u16)> {
    let text = format!("{manager:?}");
    let (host, rest) = text.split_once("addr: Tcp(\"")?.1.split_once("\", ")?;
    Some((host.to_owned(), rest.split_once(')')?.0.parse().ok()?))
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("question", &self.question).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_server_without_tls_is_found() {
        let of = |url: &str| address(&Manager::new(url).unwrap());
        assert_eq!(of("redis://app:secret@cache.internal:7000/2"), Some(("cache.internal".to_owned(), 7_000)));
        assert_eq!(of("unix:///run/redis.sock"), None);
    }
}
