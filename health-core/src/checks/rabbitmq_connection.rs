//! Checks RabbitMQ over the application's own lapin connection, without a pool. Green proves that the broker answers
//! over exactly this connection and does not block it. It does not prove that any exchange or queue exists.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::lapin::{Channel, Connection, Error, options::BasicQosOptions};
use async_trait::async_trait;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    failure::Failure,
    rabbitmq_protocol::{blocked, explain},
};
use crate::{
    check::{Check, CheckResult, deadline::time_left, outcome::Outcome},
    model::status::Reason,
};

/// The pause after the broker has refused a channel, before the check requests another one.
const REFUSED_FOR: Duration = Duration::from_secs(300);

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// Checks RabbitMQ by a request over the application's own `lapin::Connection`.
///
/// Green proves that the broker answers over exactly this connection and does not block it. It does not prove that any
/// exchange or queue exists.
///
/// - Least privilege: access to the virtual host. The check declares, publishes and consumes nothing. It requests
///   `basic.qos` on a channel that nothing else uses.
/// - The check keeps one channel open, so the limits of the user must allow one more channel. A broker that refuses a
///   channel closes the connection of the request, which is the application's connection. After such a refusal the
///   check is `saturated`, and requests a channel again after five minutes.
/// - A connection that is closed, or that lapin is reopening, is `unreachable` at once. A broker that hangs is
///   `timeout`. The check sends no second request before the first one is answered.
/// - lapin reopens a connection only with `ConnectionProperties::enable_auto_recover`. It gives up for good after 16
///   attempts unless `configure_backoff` is used. If the application itself replaces a lost connection, use
///   [`current`](Self::current) with a function that returns the current connection.
/// - A connection that the broker blocks is Degraded with `saturated`. The broker blocks connections that published,
///   during a memory or disk alarm.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use health_core::{
///     Health, RabbitMqConnection,
///     drivers::lapin::{Connection, ConnectionProperties},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let properties =
///     ConnectionProperties::default().configure_backoff(|it| it.without_max_times()).enable_auto_recover();
/// let connection = Arc::new(Connection::connect("amqp://localhost", properties).await?);
/// let health = Health::builder().check("broker", RabbitMqConnection::new(connection.clone())).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct RabbitMqConnection {
    current: Box<dyn Fn() -> Option<Arc<Connection>> + Send + Sync>,
    state: Mutex<State>,
}

/// The state that consecutive runs share.
#[derive(Default)]
struct State {
    /// The check's channel, and the connection that it belongs to.
    channel: Option<(Arc<Connection>, Channel)>,
    /// The request that has not been answered yet, and its connection.
    asked: Option<(Arc<Connection>, Question)>,
    /// The time at which the broker refused a channel for want of room, and its error.
    refused: Option<(Instant, Failure)>,
}

/// A request under way. Returns the channel of the request.
type Question = JoinHandle<Result<Channel, Error>>;

impl RabbitMqConnection {
    /// Creates a check of the broker behind this connection.
    pub fn new(connection: Arc<Connection>) -> Self {
        Self::current(move || Some(Arc::clone(&connection)))
    }

    /// Creates a check that calls this function in each run and checks the connection that it returns. The function
    /// returns `None` while the application has no connection, which is `unreachable`. It must not block.
    pub fn current(current: impl Fn() -> Option<Arc<Connection>> + Send + Sync + 'static) -> Self {
        Self { current: Box::new(current), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the request that is under way over this connection, or sends a new one.
    fn question(&self, connection: &Arc<Connection>) -> Question {
        let mut state = self.state();
        if let Some((of, task)) = state.asked.take() {
            if Arc::ptr_eq(&of, connection) {
                return task;
            }
            // The request belongs to a connection that the application has replaced.
            task.abort();
        }
        let kept =
            state.channel.take().filter(|(of, channel)| Arc::ptr_eq(of, connection) && channel.status().connected());
        let connection = Arc::clone(connection);
        tokio::spawn(async move {
            let channel = match kept {
                Some((_, channel)) => channel,
                None => connection.create_channel().await?,
            };
            channel.basic_qos(0, BasicQosOptions::default()).await?;
            Ok(channel)
        })
    }

    /// Records a refusal for want of room after which the broker closed the connection.
    fn refused(&self, failure: Failure) -> Failure {
        if failure.reason == Reason::Saturated && failure.is_broken {
            self.state().refused = Some((Instant::now(), failure.clone()));
        }
        failure
    }

    /// Drops the channel and the request of any connection other than the current one, so that the other connection can
    /// be closed. Returns the recorded refusal, unless it is older than [`REFUSED_FOR`].
    fn begin(&self, current: Option<&Arc<Connection>>) -> Option<Failure> {
        let is_old = |of: &Arc<Connection>| current.is_none_or(|now| !Arc::ptr_eq(of, now));
        let mut state = self.state();
        let channel = state.channel.take_if(|(of, _)| is_old(of));
        let asked = state.asked.take_if(|(of, _)| is_old(of));
        drop(state.refused.take_if(|(at, _)| at.elapsed() >= REFUSED_FOR));
        let refusal = state.refused.as_ref().map(|(_, failure)| failure.clone());
        drop(state);
        drop(channel);
        if let Some((_, task)) = asked {
            task.abort();
        }
        refusal
    }

    async fn ask(&self, connection: &Arc<Connection>) -> Result<(), Failure> {
        let limit = time_left().unwrap_or(DEFAULT_LIMIT);
        let mut task = Asked { check: self, connection, task: Some(self.question(connection)) };
        let Ok(answer) = timeout(limit - limit / 100, task.answer()).await else {
            return Err(Failure::new("no answer in time", Reason::Timeout, true));
        };
        let channel = answer.map_err(|error| self.refused(explain(error)))?;
        self.state().channel = Some((Arc::clone(connection), channel));
        Ok(())
    }
}

/// A request that a run waits for. If it is dropped before the answer, the next run continues to wait for it.
struct Asked<'c> {
    check: &'c RabbitMqConnection,
    connection: &'c Arc<Connection>,
    task: Option<Question>,
}

impl Asked<'_> {
    async fn answer(&mut self) -> Result<Channel, Error> {
        let Some(task) = &mut self.task else { return Err(gone()) };
        let answer = task.await;
        self.task = None;
        match answer {
            Ok(answer) => answer,
            // The scheduler reports the panic, and keeps its text out of the report.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(gone()),
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.check.state().asked = Some((Arc::clone(self.connection), task));
        }
    }
}

impl Drop for RabbitMqConnection {
    fn drop(&mut self) {
        if let Some((_, task)) = self.state().asked.take() {
            task.abort();
        }
    }
}

fn gone() -> Error {
    std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()
}

#[async_trait]
impl Check for RabbitMqConnection {
    async fn check(&self) -> CheckResult {
        let unreachable = |message: &str| Ok(Outcome::unhealthy(message).reason(Reason::Unreachable));
        let current = (self.current)();
        let refusal = self.begin(current.as_ref());
        let Some(connection) = current else { return unreachable("the application has no connection") };
        let status = connection.status();
        if status.reconnecting() {
            return unreachable("the connection was lost, and lapin is reopening it");
        }
        if !status.connected() {
            return unreachable("the connection is closed");
        }
        // The broker does not read from a connection that it blocks, so a request would get no answer.
        if let Some(blocked) = blocked(status) {
            return Ok(blocked);
        }
        // After another request for a channel the broker would close this connection, too.
        if let Some(refusal) = refusal {
            return Ok(refusal.outcome());
        }
        Ok(match self.ask(&connection).await {
            Ok(()) => Outcome::healthy(),
            Err(failure) => blocked(status).unwrap_or_else(|| failure.outcome()),
        })
    }

    fn proves(&self) -> &'static str {
        "The broker answers over the application's connection and does not block it. It does not prove that any \
         exchange or queue exists."
    }
}

impl fmt::Debug for RabbitMqConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMqConnection").finish_non_exhaustive()
    }
}
