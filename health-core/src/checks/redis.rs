//! Redis on the application's own deadpool-redis pool. Green proves that the server answers PING on an authenticated
//! connection; it does not prove that it has memory left or takes writes: `.writable()` asks for that.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use deadpool_redis::{
    Manager, Pool,
    redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value, cmd, pipe},
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Instant, timeout},
};

use super::pool::{
    PoolCheck,
    deadpool::{Deadpool, Session},
    source::{Failure, RoundTrip},
};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::status::Reason,
};

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

#[derive(Debug)]
enum Question {
    Alive,
    Writable {
        /// When the user was last refused the attempt to write.
        forbidden: Mutex<Option<Instant>>,
    },
}

/// A user who may not try to write is not asked to for so long, so that the server's log of refusals stays short. The role alone
/// tells meanwhile.
const FORBIDDEN_FOR: Duration = Duration::from_secs(300);

/// A key that nothing is written to: SETRANGE of an empty text changes no key and makes none.
const TRIED_KEY: &str = "health:writable";

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
        self.question = Question::Writable { forbidden: Mutex::default() };
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
        match self.question {
            Question::Alive => {
                "The server answers PING on an authenticated connection. It does not prove that the server has memory \
                 left or takes writes."
            }
            Question::Writable { .. } => {
                "The server answers PING and is a master that takes writes. It proves only the role where the user may \
                 not use SETRANGE."
            }
        }
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(self.pool_check.validate()?)
    }
}

#[async_trait]
impl RoundTrip<Deadpool<Manager>> for Question {
    async fn ask(&self, session: &Session<Manager>) -> Result<Outcome, Failure> {
        let mut connection = (**session).clone();
        let Self::Writable { forbidden } = self else {
            cmd("PING").query_async::<Value>(&mut connection).await.map_err(explain)?;
            return Ok(Outcome::healthy());
        };
        // ROLE is answered while the server loads its data and while it cannot save: PING is not.
        let mut questions = pipe();
        questions.ignore_errors().cmd("PING").cmd("ROLE");
        let forbidden_since = *forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        if forbidden_since.is_none_or(|since| since.elapsed() >= FORBIDDEN_FOR) {
            questions.cmd("SETRANGE").arg(&[TRIED_KEY, "0", ""]);
        }
        let answers: Vec<RedisResult<Value>> = questions.query_async(&mut connection).await.map_err(explain)?;
        let mut answers = answers.into_iter();
        // What was not asked is as good as answered.
        let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
        next().map_err(explain)?;
        let role = role_name(&next().map_err(explain)?);
        if role != "master" {
            let message = format!("the server takes no writes: its role is {role}");
            return Ok(Outcome::unhealthy(message).reason(Reason::Rejected));
        }
        match next() {
            Ok(_) => Ok(Outcome::healthy()),
            Err(error) => match error.code() {
                Some("NOPERM") => {
                    *forbidden.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                    Ok(Outcome::healthy())
                }
                // The key is another node's, or is none of a text.
                Some("MOVED" | "ASK" | "TRYAGAIN" | "WRONGTYPE") => Ok(Outcome::healthy()),
                Some("NOREPLICAS" | "OOM" | "READONLY") => {
                    Ok(Outcome::unhealthy(format!("the server takes no writes: {error}")).reason(Reason::Rejected))
                }
                _ => Err(explain(error)),
            },
        }
    }
}

/// Returns the first word of an answer to ROLE.
fn role_name(answer: &Value) -> String {
    let Value::Array(words) = answer else { return String::from("unknown") };
    match words.first() {
        Some(Value::BulkString(role)) => String::from_utf8_lossy(role).into_owned(),
        Some(Value::SimpleString(role)) => role.clone(),
        _ => String::from("unknown"),
    }
}

/// Returns what an error of the redis crate means.
pub(super) fn explain(error: RedisError) -> Failure {
    let reason = reason(&error);
    let is_answered =
        matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) && reason != Reason::Unreachable;
    let is_broken = !is_answered && error.kind() != ErrorKind::AuthenticationFailed;
    Failure::new(error, reason, is_broken)
}

/// How long a server may take for its refusal, which it sends before it is asked anything.
const REFUSAL: Duration = Duration::from_millis(200);

/// Finds out whether a server that ended a new connection has no room for one. It says so at once and closes the connection,
/// on which the driver has asked several questions, so that the refusal is lost to the driver. A connection that asks nothing
/// receives it.
fn diagnose(manager: &Manager, failure: Failure) -> Pin<Box<dyn Future<Output = Failure> + Send + '_>> {
    Box::pin(async move {
        let Some(address) = address(manager) else { return failure };
        let refusal = async {
            let mut text = [0; 64];
            let length = TcpStream::connect(address).await.ok()?.read(&mut text).await.ok()?;
            Some(String::from_utf8_lossy(&text[..length]).into_owned())
        };
        match timeout(REFUSAL, refusal).await {
            Ok(Some(text)) if text.contains(FULL) => Failure { reason: Reason::Saturated, is_broken: false, ..failure },
            _ => failure,
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

/// The public category of a driver's error.
fn reason(error: &RedisError) -> Reason {
    match error.kind() {
        ErrorKind::Io if error.is_timeout() => Reason::Timeout,
        ErrorKind::Io => Reason::Unreachable,
        // The driver's way of saying that the connection ended in mid-answer.
        ErrorKind::Parse if error.to_string().contains("end of input") => Reason::Unreachable,
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => Reason::Rejected,
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain,
        ) => Reason::Unreachable,
        // The key, or the database, is not one of this server's.
        ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ReadOnly | ServerErrorKind::Moved) => {
            Reason::Rejected
        }
        ErrorKind::Server(ServerErrorKind::ResponseError) if error.detail().is_some_and(|text| text.contains(FULL)) => {
            Reason::Saturated
        }
        ErrorKind::Server(ServerErrorKind::ResponseError) if error.to_string().contains(NO_DATABASE) => {
            Reason::Rejected
        }
        _ => match error.code() {
            Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE" | "DENIED") => Reason::Rejected,
            _ => Reason::Failed,
        },
    }
}

/// How a server says that it has no room for a connection; the code is that of any error.
const FULL: &str = "max number of clients";
/// How the driver says that a server has no database of the configured number; the code is that of any error.
const NO_DATABASE: &str = "refused to switch database";

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

    #[test]
    fn the_code_decides_and_the_text_only_where_the_code_says_nothing() {
        let server = |kind: ServerErrorKind, text: &str| {
            RedisError::from((ErrorKind::Server(kind), "the server says", text.to_owned()))
        };
        for (error, expected) in [
            (server(ServerErrorKind::BusyLoading, ""), Reason::Unreachable),
            (server(ServerErrorKind::ClusterDown, ""), Reason::Unreachable),
            (server(ServerErrorKind::Moved, "12182 10.0.0.7:6379"), Reason::Rejected),
            (server(ServerErrorKind::ReadOnly, ""), Reason::Rejected),
            (server(ServerErrorKind::NoPerm, ""), Reason::Rejected),
            (server(ServerErrorKind::ResponseError, "max number of clients reached"), Reason::Saturated),
            (server(ServerErrorKind::ResponseError, "unknown command"), Reason::Failed),
            (server(ServerErrorKind::NoScript, "max number of clients reached"), Reason::Failed),
        ] {
            assert_eq!(reason(&error), expected, "{error}");
        }
    }
}
