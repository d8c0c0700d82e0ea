//! Checks Redis over the application's own connection, without a pool. Green proves that the server answers PING over
//! exactly this connection. It does not prove that the server has memory left or accepts writes: `.writable()` checks
//! that.

use std::{
    fmt,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::redis::{
    Client, ConnectionAddr,
    aio::{ConnectionLike, MultiplexedConnection},
};
use async_trait::async_trait;
use tokio::{
    select,
    time::{Instant, timeout, timeout_at},
};

use super::{
    failure::Failure,
    redis_protocol::{Question, diagnosed, explain},
};
use crate::{
    check::{Check, CheckResult, deadline::time_left, outcome::Outcome},
    model::status::Reason,
};

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// Checks Redis, Valkey or KeyDB by PING over a connection that the application shares by cloning it:
/// `ConnectionManager`, `MultiplexedConnection` or `ClusterConnection` of the redis crate.
///
/// Green proves that the server answers PING over exactly this connection. Unless [`writable`](Self::writable) is set,
/// it does not prove that the server has memory left or accepts writes.
///
/// - Least privilege: `+ping`. [`writable`](Self::writable) needs more. The check writes nothing.
/// - The check sends its commands over the application's connection. If half of the deadline passes without an answer,
///   or after a timeout of the driver, it also opens one connection by the client, to find the reason. A
///   `ConnectionManager` reports no reason while it reconnects, and fails for good after a refused password.
/// - A dead connection is not an outage if the driver opens a new one at once: the check repeats its commands. A
///   `MultiplexedConnection` does not reconnect. The check is `unreachable` until the application opens a new
///   connection.
/// - If the server answers over the client's connection but not over the application's, the check is `timeout`, because
///   the application cannot reach the server.
/// - The driver keeps an unanswered command until its connection ends, so a server that hangs costs some bytes per run.
/// - The driver buffers an answer until it is complete. On the application's connection there is no limit of time or
///   size.
/// - In a cluster PING goes to every master. The client can be a client of any node.
/// - A key or a database that belongs to another server is `rejected`. A server that loads its data is `unreachable`. A
///   server that is busy with a script, or cannot save, is `failed`. A server without room for the connection is
///   Unhealthy with `saturated`.
///
/// ```no_run
/// use health_core::{CheckExt, Health, RedisConnection, drivers::redis};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = redis::Client::open("redis://localhost")?;
/// // Or a `ConnectionManager`, which connects again by itself.
/// let connection = client.get_multiplexed_async_connection().await?;
/// let health =
///     Health::builder().check("cache", RedisConnection::new(connection.clone(), client).optional()).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct RedisConnection<C> {
    connection: C,
    client: Client,
    question: Question,
    /// The connection opened by the client. It is kept while the application's connection gives no answer.
    second: Mutex<Option<MultiplexedConnection>>,
}

impl<C> RedisConnection<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    /// Creates a check of the server behind this connection. The client must be the one that opened the connection, or
    /// one for the same server.
    pub fn new(connection: C, client: Client) -> Self {
        Self { connection, client, question: Question::Alive, second: Mutex::default() }
    }

    /// Requires a server that accepts writes, by the same commands and with the same privileges as
    /// [`Redis::writable`](crate::Redis::writable). Cannot be used with a cluster, whose nodes have different roles.
    /// Off by default.
    pub fn writable(mut self) -> Self {
        self.question = Question::writable();
        self
    }

    fn second(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.second.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the commands over the application's connection, and after half of the deadline over a connection of the
    /// client, too.
    async fn ask(&self, half: Instant, doubt: &Mutex<Option<Doubt>>) -> Result<Outcome, Failure> {
        let mut own = pin!(self.ask_own(doubt));
        match timeout_at(half, &mut own).await {
            Ok(Err(silence)) if silence.reason == Reason::Timeout => {
                return Err(self.ask_client().await.explains(silence));
            }
            Ok(answer) => {
                // The answer is definite, so the client's connection is not needed any more.
                self.second().take();
                return answer;
            }
            Err(_) => {}
        }
        let mut client = pin!(self.ask_client());
        select! {
            biased;
            answer = &mut own => match answer {
                Err(silence) if silence.reason == Reason::Timeout => Err(client.await.explains(silence)),
                answer => answer,
            },
            said = &mut client => {
                *lock(doubt) = Some(said);
                match own.await {
                    Err(silence) if silence.reason == Reason::Timeout => Err(explained(doubt, silence)),
                    answer => answer,
                }
            }
        }
    }

    /// Sends the commands over the application's connection. Repeats them once if the connection was broken, because
    /// the driver may have opened a new one.
    async fn ask_own(&self, doubt: &Mutex<Option<Doubt>>) -> Result<Outcome, Failure> {
        match self.question.put(&mut self.connection.clone()).await {
            // An answer over the client's connection is kept, because it has more information than this failure.
            Err(failure) if failure.is_broken => drop(lock(doubt).get_or_insert(Doubt::Broken(failure))),
            answer => return answer,
        }
        self.question.put(&mut self.connection.clone()).await
    }

    /// Sends the commands over the client's connection, which is kept while it is needed.
    async fn ask_client(&self) -> Doubt {
        // The connection is taken out, so that a cancelled run closes it.
        let kept = self.second().take();
        if let Some(mut connection) = kept {
            let answer = self.question.put(&mut connection).await;
            if !answer.as_ref().is_err_and(|failure| failure.is_broken) {
                *self.second() = Some(connection);
                return Doubt::Client(answer);
            }
        }
        let mut connection = match self.client.get_multiplexed_async_connection().await {
            Ok(connection) => connection,
            Err(error) => return Doubt::Client(Err(self.diagnosed(explain(error)).await)),
        };
        let answer = self.question.put(&mut connection).await;
        *self.second() = answer.is_ok().then_some(connection);
        Doubt::Client(answer)
    }

    async fn diagnosed(&self, failure: Failure) -> Failure {
        match self.client.get_connection_info().addr() {
            // If the name did not resolve, it is not resolved again.
            ConnectionAddr::Tcp(host, port)
                if failure.reason == Reason::Unreachable && !failure.message.contains("lookup address") =>
            {
                diagnosed((host.clone(), *port), failure).await
            }
            _ => failure,
        }
    }
}

/// The information about a server whose answer over the application's connection is missing.
#[derive(Debug)]
enum Doubt {
    /// The connection was broken, and the driver may be opening a new one.
    Broken(Failure),
    /// The result over the client's connection.
    Client(Result<Outcome, Failure>),
}

impl Doubt {
    /// Returns the failure of the application's silent connection, with its cause.
    fn explains(self, silence: Failure) -> Failure {
        match self {
            Self::Client(Err(failure)) => {
                let message = format!("no answer; over a new connection: {}", failure.message);
                Failure { message, ..failure }
            }
            Self::Client(Ok(_)) => {
                let message = format!("{}; the server answers over a new connection", silence.message);
                Failure { message, ..silence }
            }
            Self::Broken(failure) => {
                let message = format!("{}; before that: {}", silence.message, failure.message);
                Failure { message, ..silence }
            }
        }
    }
}

/// Returns the failure of the application's silent connection, with its cause if that is known.
fn explained(doubt: &Mutex<Option<Doubt>>, silence: Failure) -> Failure {
    match lock(doubt).take() {
        Some(doubt) => doubt.explains(silence),
        None => silence,
    }
}

fn lock(doubt: &Mutex<Option<Doubt>>) -> MutexGuard<'_, Option<Doubt>> {
    doubt.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl<C> Check for RedisConnection<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    async fn check(&self) -> CheckResult {
        let limit = time_left().unwrap_or(DEFAULT_LIMIT);
        let doubt = Mutex::default();
        // Ends 1 % before the scheduler's deadline, so that the outcome includes the cause.
        let answer = timeout(limit - limit / 100, self.ask(Instant::now() + limit / 2, &doubt)).await;
        let answer = answer.unwrap_or_else(|_| {
            let silence = Failure::new("no answer in time", Reason::Timeout, true);
            Err(explained(&doubt, silence))
        });
        if answer.is_ok() {
            // The client's connection is not needed any more.
            self.second().take();
        }
        Ok(answer.unwrap_or_else(Failure::outcome))
    }

    fn proves(&self) -> &'static str {
        self.question.proves()
    }
}

impl<C> fmt::Debug for RedisConnection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnection").field("question", &self.question).finish_non_exhaustive()
    }
}
