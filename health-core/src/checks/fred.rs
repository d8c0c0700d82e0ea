//! Redis over the application's own client of fred. Green proves that the server answers PING on an authenticated
//! connection. It does not prove that the server has memory left or accepts writes.

use std::{
    fmt,
    future::pending,
    pin::pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use fred::{
    clients::{Client, Pool},
    error::{Error, ErrorKind},
    interfaces::{ClientLike as _, EventInterface as _},
    types::{
        Value,
        config::{Options, Server},
    },
};
use tokio::{
    select,
    sync::{
        self,
        broadcast::{Receiver, error::TryRecvError},
    },
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    check::{Check, CheckResult, deadline::time_left, error::CheckError, outcome::Outcome},
    model::status::Reason,
};

/// The deadline of a run that the scheduler did not start.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// The pauses before PING is sent again after its connection ended. A client needs some time to reconnect.
const PAUSES: [Duration; 3] = [Duration::from_millis(5), Duration::from_millis(20), Duration::from_millis(80)];

/// Checks Redis or Valkey over the application's own fred client, or its pool of fred clients.
///
/// Green proves that the server answers PING on an authenticated connection. It does not prove that the server has
/// memory left or accepts writes.
///
/// - Least privilege: `+ping`. The check writes nothing.
/// - If the client is not connected, the check fails at once, with the reason of the last failed connection:
///   `rejected` after a wrong password, `saturated` if the server has no room for one more connection, else
///   `unreachable` or `timeout`. A client built with `fail_fast` gives up for good if its first attempt to connect
///   fails. The check does not know the reason of a failure before its creation, so create it before the client
///   connects.
/// - If the client is connected and the server hangs, the check is `timeout`. The client detects a connection that
///   died silently only by its own setting `unresponsive`, which is off unless the application sets it.
/// - The clients of a pool take turns. If the client whose turn it is does not answer in half of the deadline, the
///   next one is used, too, and one answer is enough. Clients that are not connected are skipped, as the pool itself
///   skips them.
/// - A connection that ends before the answer to PING is not an outage if the client has a new one within a tenth of a
///   second.
/// - While a PING has no answer, the check sends no second one to the same client, because fred keeps a sent command
///   until it is answered.
/// - A missing permission, and a database index that the server does not have, are `rejected`. A server that loads its
///   data is `unreachable`. A server that is busy with a script, or cannot save, is `failed`.
/// - Observed values of a pool: `pool_size`, the number of its clients, and `pool_connected`, the number of connected
///   clients.
///
/// ```no_run
/// use health_core::{CheckExt, Fred, Health};
///
/// # fn example(client: fred::clients::Client) -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("cache", Fred::new(client.clone()).optional()).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Fred {
    lines: Vec<Line>,
    is_pool: bool,
    /// The index of the client that the next run uses first.
    turn: AtomicUsize,
}

impl Fred {
    /// Creates a check over this client.
    pub fn new(client: Client) -> Self {
        Self { lines: vec![Line::new(client)], is_pool: false, turn: AtomicUsize::new(0) }
    }

    /// Creates a check over the clients of this pool.
    pub fn pool(pool: Pool) -> Self {
        let lines = pool.clients().iter().cloned().map(Line::new).collect();
        Self { lines, is_pool: true, turn: AtomicUsize::new(0) }
    }

    /// Returns the connected clients, beginning with the client whose turn it is.
    fn connected(&self) -> Vec<&Line> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.lines.len().max(1);
        let (before, from) = self.lines.split_at(turn);
        from.iter().chain(before).filter(|line| line.client.is_connected()).collect()
    }

    /// Returns the error of a run without a connected client.
    fn disconnected(&self) -> CheckError {
        match self.lines.iter().find_map(Line::failure) {
            Some(error) => explain(error),
            None => CheckError::new("the client is not connected").reason(Reason::Unreachable),
        }
    }

    async fn ask(&self) -> CheckResult {
        let mut pauses = PAUSES.into_iter();
        let mut ended = None;
        loop {
            let connected = self.connected();
            let Some(first) = connected.first() else {
                match (ended.take(), pauses.next()) {
                    // The client is reconnecting.
                    (Some(error), Some(pause)) => {
                        ended = Some(error);
                        sleep(pause).await;
                        continue;
                    }
                    (Some(error), None) => return Err(explain(error)),
                    (None, _) => return Err(self.disconnected()),
                }
            };
            match answer(first, connected.get(1)).await {
                None => return Err(CheckError::new("no answer to PING in time").reason(Reason::Timeout)),
                Some(Ok(answer)) if answer.as_str().is_some_and(|text| text == "PONG") => break,
                Some(Ok(_)) => return Err(CheckError::new("the answer to PING is not PONG")),
                // PING is idempotent, and the next connection may work.
                Some(Err(error)) if is_of_a_dying_connection(&error) => match pauses.next() {
                    Some(pause) => {
                        ended = Some(error);
                        sleep(pause).await;
                    }
                    None => return Err(explain(error)),
                },
                Some(Err(error)) => return Err(explain(error)),
            }
        }
        self.lines.iter().for_each(Line::forget);
        Ok(Outcome::healthy())
    }
}

/// Sends PING to the first client, and after half of the time to the second one, too. Returns `None` if neither
/// answers in time.
async fn answer(first: &Line, second: Option<&&Line>) -> Option<Result<Value, Error>> {
    let mut first = pin!(first.ask());
    let half = time_left().unwrap_or(DEFAULT_LIMIT) / 2;
    if let Ok(answer) = timeout(half, &mut first).await {
        return Some(answer);
    }
    let second = async {
        match second {
            Some(line) => line.ask().await,
            None => pending().await,
        }
    };
    let left = time_left().unwrap_or(DEFAULT_LIMIT);
    let rest = left - left / 20;
    timeout(rest, async {
        select! { answer = first => answer, answer = second => answer }
    })
    .await
    .ok()
}

/// One client, which has one connection to each server.
struct Line {
    client: Client,
    /// The PING that awaits its answer. It outlives its run, because fred cannot cancel a sent command.
    asked: sync::Mutex<Option<Asked>>,
    errors: Mutex<Errors>,
}

/// The receiver of the client's connection errors, and the last error received.
struct Errors {
    told: Receiver<(Error, Option<Server>)>,
    last: Option<Error>,
}

impl Line {
    fn new(client: Client) -> Self {
        let errors = Errors { told: client.error_rx(), last: None };
        Self { client, asked: sync::Mutex::new(None), errors: Mutex::new(errors) }
    }

    /// Waits for the answer to the pending PING. Sends a new PING if none is pending.
    async fn ask(&self) -> Result<Value, Error> {
        let mut slot = self.asked.lock().await;
        // An answer that came after the end of its run is outdated.
        if slot.as_ref().is_some_and(|asked| asked.0.is_finished()) {
            *slot = None;
        }
        let asked = slot.get_or_insert_with(|| Asked(tokio::spawn(ping(self.client.clone()))));
        let answer = (&mut asked.0).await;
        *slot = None;
        match answer {
            Ok(answer) => answer,
            // The scheduler reports the panic and keeps its text out of the report.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(Error::new(ErrorKind::Unknown, error.to_string())),
        }
    }

    /// Returns the last connection error that the client has reported.
    fn failure(&self) -> Option<Error> {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match errors.told.try_recv() {
                Ok((error, _)) => errors.last = Some(error),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Closed) => {
                    // The application has shut the client down, and may start it again.
                    errors.told = self.client.error_rx();
                    break;
                }
            }
        }
        errors.last.clone()
    }

    /// Discards the connection errors reported so far.
    fn forget(&self) {
        let _ = self.failure();
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).last = None;
    }
}

/// A task that waits for an answer. It is aborted when the check is dropped.
struct Asked(JoinHandle<Result<Value, Error>>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends PING once, over an existing connection, and waits for the answer without a timeout.
async fn ping(client: Client) -> Result<Value, Error> {
    let options =
        Options { max_attempts: Some(1), timeout: Some(Duration::ZERO), fail_fast: true, ..Options::default() };
    client.with_options(&options).ping(None).await
}

/// Returns whether the connection on which PING was sent ended before the answer.
fn is_of_a_dying_connection(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::IO | ErrorKind::Canceled) && reason(error) == Reason::Unreachable
}

fn explain(error: Error) -> CheckError {
    let reason = reason(&error);
    CheckError::from(error).reason(reason)
}

/// Returns the public category of a client's error. The kind comes from the client. The text begins with the error code
/// of the server.
fn reason(error: &Error) -> Reason {
    let text = error.details();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match error.kind() {
        ErrorKind::Auth | ErrorKind::Config => Reason::Rejected,
        ErrorKind::Timeout => Reason::Timeout,
        ErrorKind::Backpressure => Reason::Saturated,
        // The client has converted the `io::Error` into a text.
        ErrorKind::IO if says(&["TimedOut", "timed out"]) => Reason::Timeout,
        ErrorKind::IO if says(&["PermissionDenied"]) => Reason::Rejected,
        ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Routing | ErrorKind::Cluster | ErrorKind::Sentinel => {
            Reason::Unreachable
        }
        // This kind exists only with one of the client's TLS features.
        kind if kind.to_str() == "TLS Error" => Reason::Rejected,
        _ => match text.split_whitespace().next() {
            Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN") => Reason::Unreachable,
            Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE" | "DENIED" | "READONLY") => Reason::Rejected,
            _ if says(&["max number of clients"]) => Reason::Saturated,
            _ if says(&["invalid password", "no password is set", "index is out of range"]) => Reason::Rejected,
            _ if says(&["not initialized"]) => Reason::Unreachable,
            _ => Reason::Failed,
        },
    }
}

#[async_trait]
impl Check for Fred {
    async fn check(&self) -> CheckResult {
        let outcome = self.ask().await.unwrap_or_else(Outcome::from);
        if !self.is_pool {
            return Ok(outcome);
        }
        let connected = self.lines.iter().filter(|line| line.client.is_connected()).count();
        Ok(outcome.observe("pool_size", self.lines.len(), "").observe("pool_connected", connected, ""))
    }

    fn proves(&self) -> &'static str {
        "The server answers PING on an authenticated connection. It does not prove that the server has memory left or \
         accepts writes."
    }
}

impl fmt::Debug for Fred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fred").field("clients", &self.lines.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_and_the_code_of_an_error_decide_before_its_text() {
        for (kind, text, expected) in [
            (ErrorKind::Auth, "WRONGPASS invalid username-password pair", Reason::Rejected),
            (ErrorKind::IO, "Os { code: 111, kind: ConnectionRefused }", Reason::Unreachable),
            (ErrorKind::IO, "Kind(TimedOut)", Reason::Timeout),
            (ErrorKind::Canceled, "Connection closed unexpectedly.", Reason::Unreachable),
            (ErrorKind::Timeout, "Request timed out.", Reason::Timeout),
            (ErrorKind::Backpressure, "Max in-flight commands reached.", Reason::Saturated),
            (ErrorKind::Cluster, "CLUSTERDOWN The cluster is down", Reason::Unreachable),
            (ErrorKind::Config, "ERR This instance has cluster support disabled", Reason::Rejected),
            (ErrorKind::Unknown, "LOADING Redis is loading the dataset in memory", Reason::Unreachable),
            (ErrorKind::Unknown, "NOPERM this user has no permissions to run the 'ping' command", Reason::Rejected),
            (ErrorKind::Unknown, "ERR max number of clients reached", Reason::Saturated),
            (ErrorKind::Unknown, "ERR invalid password", Reason::Rejected),
            (ErrorKind::Unknown, "ERR unknown command", Reason::Failed),
            (ErrorKind::Unknown, "MISCONF cannot save: LOADING", Reason::Failed),
        ] {
            assert_eq!(reason(&Error::new(kind, text)), expected, "{text}");
        }
    }

    #[test]
    fn only_an_error_that_ends_the_connection_is_retried() {
        assert!(is_of_a_dying_connection(&Error::new(ErrorKind::IO, "Kind(UnexpectedEof)")));
        assert!(is_of_a_dying_connection(&Error::new_canceled()));
        assert!(!is_of_a_dying_connection(&Error::new(ErrorKind::IO, "Kind(TimedOut)")));
        assert!(!is_of_a_dying_connection(&Error::new(ErrorKind::Unknown, "LOADING")));
    }
}
