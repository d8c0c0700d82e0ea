//! Redis on the application's own deadpool-redis pool. Green proves that the server answers PING on an authenticated
//! connection; it does not prove that it has memory left or takes writes: `.writable()` asks for that.

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

/// Asks Redis, Valkey or KeyDB over the application's own pool. Needs the feature `redis`.
///
/// - Least privilege: `+ping` (and `+unwatch`, which the pool itself sends); more for [`writable`](Self::writable). Nothing
///   is written.
/// - A busy pool is healthy: the check waits in the pool's queue for up to half of its deadline. A connection that comes later is
///   `saturated`, Degraded, and so is a server that answers only on one connection beside the pool, or that has no room for
///   one more connection. A pool that serves nobody is Unhealthy after [`saturated_for`](Self::saturated_for).
/// - A connection that died in the pool, with or without a word, is no outage: the next one is asked, until a new one fails.
/// - A pool in FIFO order gives its idle connections in turn, also to the check: see `Postgres`.
/// - A key or a database that is not this server's is `rejected`; a server that loads its data is `unreachable`; one that is
///   busy with a script, or cannot save, is `failed`.
/// - A server that ends a new connection is asked for its reason over one more connection, on which nothing is sent.
/// - All checks of one pool share its queue and the connection beside it.
/// - Observed: `pool_max`, `pool_size`, `pool_available`, `pool_waiting`, and `pool_wait`, in ms, after a wait in the queue.
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
    /// Checks the server behind this pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool_check: pool_check(pool), question: Question::Alive }
    }

    /// Asks for the role, too, and whether the server would take a write: `rejected` on anything but a master, and where the master
    /// has too few replicas (`min-replicas-to-write`) or no memory left; `unreachable` in a cluster that has failed. Nothing is
    /// written: it sends `SETRANGE health:writable 0 ""`, which changes no key and makes none.
    ///
    /// Least privilege: `+role`, and `+setrange` on the key `health:writable`. Without the latter the role alone tells, and the
    /// attempt is made again every five minutes.
    pub fn writable(mut self) -> Self {
        self.question = Question::writable();
        self
    }

    /// Sets the time in which the pool may serve nobody before that is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }
}

/// A probe of the pool underneath deadpool-redis' own connection type, which hides how often one was used.
pub(super) fn pool_check(pool: Pool) -> PoolCheck<Deadpool<Manager>> {
    let weak = pool.weak();
    match weak.upgrade() {
        Some(plain) => PoolCheck::new(Deadpool::new(plain, explain).diagnosed_by(diagnose)),
        None => unreachable!("`pool` itself keeps what the weak handle points to"),
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

/// Finds out whether a server that ended a new connection has no room for one.
fn diagnose(manager: &Manager, failure: Failure) -> Pin<Box<dyn Future<Output = Failure> + Send + '_>> {
    Box::pin(async move {
        match address(manager) {
            Some(address) => diagnosed(address, failure).await,
            None => failure,
        }
    })
}

/// Returns the address of a server that is reached by TCP without TLS. The manager of the pool shows it in its `Debug` text
/// alone; without it there is no diagnosis.
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
    fn the_address_of_a_plain_server_is_known() {
        let of = |url: &str| address(&Manager::new(url).unwrap());
        assert_eq!(of("redis://app:secret@cache.internal:7000/2"), Some(("cache.internal".to_owned(), 7_000)));
        assert_eq!(of("unix:///run/redis.sock"), None);
    }
}
