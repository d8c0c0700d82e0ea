//! Redis over the application's own client of fred. Green proves that the server answers PING on an authenticated
//! connection; it does not prove that it has memory left or takes writes.

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

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// The pauses before a question is asked again whose connection ended under it. A client takes a moment to connect
/// anew.
const PAUSES: [Duration; 3] = [Duration::from_millis(5), Duration::from_millis(20), Duration::from_millis(80)];

/// Asks Redis or Valkey over the application's own client, or pool of clients, of fred. Needs the feature `fred`.
///
/// - Least privilege: `+ping`. Nothing is written.
/// - A client that is not connected is told at once, with the reason of its last attempt: `rejected` after a wrong
///   password, `saturated` where the server has no room for one more connection, else `unreachable` or `timeout`. A
///   client made with `fail_fast` gives up for good if its first attempt fails. The reason of what failed before the
///   check was made is unknown, so make the check before the client connects.
/// - A client that is connected to a server that hangs is `timeout`. Of a connection that died without a word the
///   client learns by its own setting `unresponsive`, which is off unless the application sets it.
/// - Each client of a pool is asked in its turn, and without an answer in half of the deadline the next one, too; one
///   that answers is enough. Clients that are not connected are left out, as the pool itself leaves them out.
/// - A connection that ends under the question is no outage if the client has a new one within a tenth of a second.
/// - A question without an answer is not asked again on its connection, as fred keeps what was sent until it is
///   answered.
/// - A key or a database that is not this server's is `rejected`; a server that loads its data is `unreachable`; one
///   that is busy with a script, or cannot save, is `failed`.
/// - Observed, of a pool: `pool_size` and `pool_connected`.
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
    /// The index of the client that the next run asks first.
    turn: AtomicUsize,
}

impl Fred {
    /// Asks over this client.
    pub fn new(client: Client) -> Self {
        Self { lines: vec![Line::new(client)], is_pool: false, turn: AtomicUsize::new(0) }
    }

    /// Asks over the clients of this pool.
    pub fn pool(pool: Pool) -> Self {
        let lines = pool.clients().iter().cloned().map(Line::new).collect();
        Self { lines, is_pool: true, turn: AtomicUsize::new(0) }
    }

    /// The clients that are connected, beginning with the one whose turn it is.
    fn connected(&self) -> Vec<&Line> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.lines.len().max(1);
        let (before, from) = self.lines.split_at(turn);
        from.iter().chain(before).filter(|line| line.client.is_connected()).collect()
    }

    /// What it means that no client is connected.
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
                    // The client is about to have a new connection.
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
                None => return Err(CheckError::new("no answer: the server hangs").reason(Reason::Timeout)),
                Some(Ok(answer)) if answer.as_str().is_some_and(|text| text == "PONG") => break,
                Some(Ok(_)) => return Err(CheckError::new("the answer to PING is not PONG")),
                // The question is idempotent, and the next connection may be well.
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

/// Asks a client, and at half of the time the second one, too. Returns `None` if neither answers in time.
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
    /// The question on its way, which outlives its run: fred cannot take back what has been sent.
    asked: sync::Mutex<Option<Asked>>,
    errors: Mutex<Errors>,
}

/// What the client tells of failed connections, and the last of it.
struct Errors {
    told: Receiver<(Error, Option<Server>)>,
    last: Option<Error>,
}

impl Line {
    fn new(client: Client) -> Self {
        let errors = Errors { told: client.error_rx(), last: None };
        Self { client, asked: sync::Mutex::new(None), errors: Mutex::new(errors) }
    }

    /// Waits for the answer to a question on its way, or to a new one.
    async fn ask(&self) -> Result<Value, Error> {
        let mut slot = self.asked.lock().await;
        // What was answered after its run says nothing of now.
        if slot.as_ref().is_some_and(|asked| asked.0.is_finished()) {
            *slot = None;
        }
        let asked = slot.get_or_insert_with(|| Asked(tokio::spawn(ping(self.client.clone()))));
        let answer = (&mut asked.0).await;
        *slot = None;
        match answer {
            Ok(answer) => answer,
            // The scheduler tells of it, and keeps its text from the report.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(Error::new(ErrorKind::Unknown, error.to_string())),
        }
    }

    /// Why the client is not connected, as far as it has told.
    fn failure(&self) -> Option<Error> {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match errors.told.try_recv() {
                Ok((error, _)) => errors.last = Some(error),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Closed) => {
                    // The application has ended the client, and may begin anew.
                    errors.told = self.client.error_rx();
                    break;
                }
            }
        }
        errors.last.clone()
    }

    /// Forgets why the client was not connected.
    fn forget(&self) {
        let _ = self.failure();
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).last = None;
    }
}

/// A task that waits for an answer, and ends with the check.
struct Asked(JoinHandle<Result<Value, Error>>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks once, on a connection that is there, and waits for as long as it takes.
async fn ping(client: Client) -> Result<Value, Error> {
    let options =
        Options { max_attempts: Some(1), timeout: Some(Duration::ZERO), fail_fast: true, ..Options::default() };
    client.with_options(&options).ping(None).await
}

/// Returns whether the connection, on which the question was sent, came to its end before the answer.
fn is_of_a_dying_connection(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::IO | ErrorKind::Canceled) && reason(error) == Reason::Unreachable
}

fn explain(error: Error) -> CheckError {
    let reason = reason(&error);
    CheckError::from(error).reason(reason)
}

/// The public category of a client's error. The kind is that of the client; its text begins with the server's code.
fn reason(error: &Error) -> Reason {
    let text = error.details();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match error.kind() {
        ErrorKind::Auth | ErrorKind::Config => Reason::Rejected,
        ErrorKind::Timeout => Reason::Timeout,
        ErrorKind::Backpressure => Reason::Saturated,
        // The client has made a text of the `io::Error`.
        ErrorKind::IO if says(&["TimedOut", "timed out"]) => Reason::Timeout,
        ErrorKind::IO if says(&["PermissionDenied"]) => Reason::Rejected,
        ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Routing | ErrorKind::Cluster | ErrorKind::Sentinel => {
            Reason::Unreachable
        }
        // There only with one of the client's features of TLS.
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
         takes writes."
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
    fn the_code_decides_and_the_text_only_where_the_code_says_nothing() {
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
    fn only_what_ends_a_connection_is_asked_again() {
        assert!(is_of_a_dying_connection(&Error::new(ErrorKind::IO, "Kind(UnexpectedEof)")));
        assert!(is_of_a_dying_connection(&Error::new_canceled()));
        assert!(!is_of_a_dying_connection(&Error::new(ErrorKind::IO, "Kind(TimedOut)")));
        assert!(!is_of_a_dying_connection(&Error::new(ErrorKind::Unknown, "LOADING")));
    }
}
