//! Redis on a connection of the application's own, without a pool. Green proves that the server answers PING over exactly that
//! connection; it does not prove that the server has memory left or takes writes: `.writable()` asks for that.

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

/// Asks Redis, Valkey or KeyDB over a connection that the application shares by cloning it: `ConnectionManager`,
/// `MultiplexedConnection` or `ClusterConnection` of the redis crate. Needs the feature `redis_connection`.
///
/// - Least privilege: `+ping`; more for [`writable`](Self::writable). Nothing is written.
/// - The question goes over the application's own connection. After half of the deadline without an answer, or after a timeout of
///   the driver, one connection of the client is asked, too: it tells why. A `ConnectionManager` gives no reason while it connects
///   again, and keeps a refused password for good.
/// - A connection that died is no outage where the driver opens a new one at once: the question is put a second time. A
///   `MultiplexedConnection` does not come back: it is `unreachable` until the application makes a new one.
/// - A server that answers the client and not the application's connection is `timeout`: the application cannot reach it.
/// - The driver keeps a question without an answer until its connection ends: a server that hangs costs some bytes per run.
/// - The driver gathers an answer until it is whole, on the application's connection without a limit of time or size.
/// - Of a cluster PING asks every master. The client is one of any node's.
/// - A key or a database that is not this server's is `rejected`; a server that loads its data is `unreachable`; one that is
///   busy with a script, or cannot save, is `failed`; one without room for the connection is `saturated`, Unhealthy.
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
    /// The connection of the client, while the application's one is in doubt.
    second: Mutex<Option<MultiplexedConnection>>,
}

impl<C> RedisConnection<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    /// Checks the server behind this connection. The client is the one that opened it, or opens the same.
    pub fn new(connection: C, client: Client) -> Self {
        Self { connection, client, question: Question::Alive, second: Mutex::default() }
    }

    /// Asks for the role, too, and whether the server would take a write, as [`Redis::writable`] does. Not for a cluster, whose
    /// nodes have roles of their own.
    ///
    /// [`Redis::writable`]: https://docs.rs/health-core/latest/health_core/struct.Redis.html#method.writable
    pub fn writable(mut self) -> Self {
        self.question = Question::writable();
        self
    }

    fn second(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.second.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks over the application's connection, and from half of the deadline on over one of the client, too.
    async fn ask(&self, half: Instant, doubt: &Mutex<Option<Doubt>>) -> Result<Outcome, Failure> {
        let mut own = pin!(self.ask_own(doubt));
        match timeout_at(half, &mut own).await {
            Ok(Err(silence)) if silence.reason == Reason::Timeout => {
                return Err(self.ask_client().await.explains(silence));
            }
            Ok(answer) => {
                // It is definite, so that the client's connection is not needed.
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

    /// Asks over the application's connection; once more if that was broken, because the driver may have a new one.
    async fn ask_own(&self, doubt: &Mutex<Option<Doubt>>) -> Result<Outcome, Failure> {
        match self.question.put(&mut self.connection.clone()).await {
            // What the client's connection has said tells more.
            Err(failure) if failure.is_broken => drop(lock(doubt).get_or_insert(Doubt::Broken(failure))),
            answer => return answer,
        }
        self.question.put(&mut self.connection.clone()).await
    }

    /// Asks over a connection of the client, which is kept while it is needed.
    async fn ask_client(&self) -> Doubt {
        // A run that is cancelled closes it.
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
            // A name that was not found is not looked up again.
            ConnectionAddr::Tcp(host, port)
                if failure.reason == Reason::Unreachable && !failure.message.contains("lookup address") =>
            {
                diagnosed((host.clone(), *port), failure).await
            }
            _ => failure,
        }
    }
}

/// What is known while the application's connection is silent.
#[derive(Debug)]
enum Doubt {
    /// It was broken, and the driver may be opening a new one.
    Broken(Failure),
    /// What the client's connection said.
    Client(Result<Outcome, Failure>),
}

impl Doubt {
    /// Returns why the application's connection was silent.
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

/// Returns why the application's connection was silent, as far as that is known.
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
        // Ends 1 % before the scheduler's deadline, so that the outcome says what is known.
        let answer = timeout(limit - limit / 100, self.ask(Instant::now() + limit / 2, &doubt)).await;
        let answer = answer.unwrap_or_else(|_| {
            let silence = Failure::new("no answer in time", Reason::Timeout, true);
            Err(explained(&doubt, silence))
        });
        if answer.is_ok() {
            // It is not needed any more.
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
