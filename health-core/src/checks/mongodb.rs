//! MongoDB over the application's own client. Green proves that a server of the deployment answers `ping` on an
//! authenticated connection; it does not prove that it takes writes: `.writable()` asks for that.

use std::{
    error::Error as _,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mongodb::{
    Client, ServerInfo, ServerType,
    bson::{Document, doc},
    error::{Error, ErrorKind},
    options::SelectionCriteria,
};
use tokio::time::timeout;

use crate::{
    check::{
        Check, CheckResult,
        deadline::time_left,
        error::{CheckError, classify},
        outcome::Outcome,
    },
    model::status::Reason,
};

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// A question is asked so often, if the connection ends under it each time.
const ATTEMPTS: usize = 3;

/// Asks MongoDB, or what speaks its protocol, over the application's own client. Needs the feature `mongodb`.
///
/// - Least privilege: none beside the right to log in, which every new connection of the client's pool does. Nothing is
///   read and nothing is written. `ping` and `hello` go to the database `admin`, where they need no right.
/// - Any member that has data counts: a replica set without a primary is healthy unless [`writable`](Self::writable) is
///   said.
/// - The driver waits 30 s for a server to be found, unless the client says otherwise; the check's deadline ends that,
///   and the reason is then that of the driver's last failure with a server, as far as it shows that, else
///   `unreachable`.
/// - A connection that died in the pool is no outage: the question is asked again, twice at most, and without an answer
///   in half of the deadline once more over another connection.
/// - A client whose every connection is in use (`maxPoolSize`, 10 by default) is `timeout`, like a server that hangs:
///   the driver tells of its pool by events alone, whose one handler is the application's. For the same reason nothing
///   is observed. An application whose operations may occupy the pool gives the check a client of its own.
/// - A wrong password, or a user without the right, is `rejected`; a server that shuts down, recovers or is no primary
///   any more is `unreachable`; a limit of the server's own on time is `timeout`, and on requests `saturated`.
/// - The feature brings no TLS. The driver does not compile without one, so the application's own dependency on
///   `mongodb` has one of `rustls-tls`, `rustls-tls-aws-lc` and `openssl-tls`.
/// - Tested against a server that was written from the documents of the protocol, as no package has MongoDB itself.
///
/// ```no_run
/// use health_core::{Health, MongoDb};
///
/// # fn example(client: mongodb::Client) -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("documents", MongoDb::new(client.clone()).writable()).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct MongoDb {
    client: Client,
    is_writable: bool,
}

impl MongoDb {
    /// Asks over this client.
    pub fn new(client: Client) -> Self {
        Self { client, is_writable: false }
    }

    /// Asks for a server that takes writes, by `hello`: a primary, a router of a sharded cluster, or a server that
    /// stands alone. Without one it is `unreachable`; one that says no is `rejected`. Nothing is written.
    pub fn writable(mut self) -> Self {
        self.is_writable = true;
        self
    }

    async fn ask(&self, view: &Arc<View>) -> Result<Document, Error> {
        let command = if self.is_writable {
            doc! { "hello": 1 }
        } else {
            doc! { "ping": 1 }
        };
        let (view, is_writable) = (Arc::clone(view), self.is_writable);
        let criteria =
            SelectionCriteria::Predicate(Arc::new(move |server: &ServerInfo<'_>| view.suits(server, is_writable)));
        self.client.database("admin").run_command(command).selection_criteria(criteria).await
    }

    fn judge(&self, answer: &Document) -> Outcome {
        let says = |key: &str| answer.get_bool(key).unwrap_or(false);
        if self.is_writable && (!says("isWritablePrimary") || says("readOnly")) {
            return Outcome::unhealthy("the server takes no writes").reason(Reason::Rejected);
        }
        Outcome::healthy()
    }
}

#[async_trait]
impl Check for MongoDb {
    async fn check(&self) -> CheckResult {
        let mut failure = None;
        for attempt in 1..=ATTEMPTS {
            let left = time_left().unwrap_or(DEFAULT_LIMIT);
            let patience = if attempt == 1 { left / 2 } else { left - left / 20 };
            let view = Arc::new(View::default());
            match timeout(patience, self.ask(&view)).await {
                Ok(Ok(answer)) => return Ok(self.judge(&answer)),
                // `ping` is idempotent, and the next connection may be well.
                Ok(Err(error)) if is_of_a_dying_connection(&error) => failure = Some(explain(error)),
                Ok(Err(error)) => return Err(explain(error)),
                Err(_) if attempt == 1 => {}
                Err(_) => return Err(failure.unwrap_or_else(|| view.explain())),
            }
        }
        Err(failure.unwrap_or_else(no_answer))
    }

    fn proves(&self) -> &'static str {
        if self.is_writable {
            "A server answers on an authenticated connection and says that it takes writes. It does not prove that any \
             collection can be read or written by this user."
        } else {
            "A server of the deployment answers ping on an authenticated connection. It does not prove that there is a \
             primary that takes writes."
        }
    }
}

/// What the driver knew of the servers while it looked for one. The driver tells it to nobody else but to the
/// application's handlers of events, and to a predicate of the application's that chooses a server.
#[derive(Default)]
struct View {
    /// A server was found.
    is_found: AtomicBool,
    /// Why the last one that the driver cannot use is not used.
    failure: Mutex<Option<Error>>,
}

impl View {
    fn suits(&self, server: &ServerInfo<'_>, is_writable: bool) -> bool {
        let suits = match server.server_type() {
            ServerType::Unknown => false,
            ServerType::Standalone | ServerType::RsPrimary | ServerType::Mongos | ServerType::LoadBalancer => true,
            _ => !is_writable,
        };
        if suits {
            self.is_found.store(true, Ordering::Relaxed);
        }
        if let Some(error) = server.error() {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        suits
    }

    /// Returns what it means that nobody has answered in time.
    fn explain(&self) -> CheckError {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            Some(error) => explain(error),
            None if self.is_found.load(Ordering::Relaxed) => no_answer(),
            None => CheckError::new("the driver knows no server that could be asked").reason(Reason::Unreachable),
        }
    }
}

fn no_answer() -> CheckError {
    let message = "no answer: the server hangs, or every connection of the client is in use";
    CheckError::new(message).reason(Reason::Timeout)
}

/// Returns whether the connection came to its end before the answer. A server that closes a kept connection does so at
/// any moment, also in that of the next question.
fn is_of_a_dying_connection(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Io(_) => reason(error) == Reason::Unreachable,
        ErrorKind::ConnectionPoolCleared { .. } => true,
        _ => false,
    }
}

fn explain(error: Error) -> CheckError {
    let reason = reason(&error);
    CheckError::from(error).reason(reason)
}

/// The public category of a driver's error.
fn reason(error: &Error) -> Reason {
    match &*error.kind {
        ErrorKind::Authentication { .. } | ErrorKind::InvalidTlsConfig { .. } => Reason::Rejected,
        ErrorKind::Io(error) => classify(&**error).unwrap_or_else(|| of_text(&error.to_string())),
        ErrorKind::ServerSelection { message, .. } | ErrorKind::ConnectionPoolCleared { message, .. } => {
            of_text(message)
        }
        ErrorKind::DnsResolve { .. } | ErrorKind::Shutdown => Reason::Unreachable,
        ErrorKind::Command(command) => of_code(command.code),
        _ => error.source().and_then(classify).unwrap_or(Reason::Failed),
    }
}

/// The category of a failure to connect that has no kind of its own.
fn of_text(text: &str) -> Reason {
    let text = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["certificate", "handshake", "authentication", "scram failure", "tls", "ssl"]) {
        Reason::Rejected
    } else if says(&["timed out", "monitor timeout"]) {
        // The driver has given the server up, and every connection with it.
        Reason::Timeout
    } else if says(&["this version of the driver"]) {
        // The server is too old or too new.
        Reason::Failed
    } else {
        Reason::Unreachable
    }
}

/// The category of a server's code of error.
const fn of_code(code: i32) -> Reason {
    match code {
        // UserNotFound, Unauthorized, AuthenticationFailed, and what Atlas has for all of them.
        11 | 13 | 18 | 8_000 => Reason::Rejected,
        // HostUnreachable, HostNotFound, ShutdownInProgress, FailedToSatisfyReadPreference, PrimarySteppedDown,
        // SocketException, NotWritablePrimary, InterruptedAtShutdown, InterruptedDueToReplStateChange,
        // NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary.
        6 | 7 | 91 | 133 | 189 | 9_001 | 10_107 | 11_600 | 11_602 | 13_435 | 13_436 => Reason::Unreachable,
        // MaxTimeMSExpired, NetworkTimeout, NetworkInterfaceExceededTimeLimit, ExceededTimeLimit.
        50 | 89 | 202 | 262 => Reason::Timeout,
        // IngressRequestRateLimitExceeded.
        462 => Reason::Saturated,
        _ => Reason::Failed,
    }
}

impl fmt::Debug for MongoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoDb").field("is_writable", &self.is_writable).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_io_kind_decides_and_the_text_only_where_it_says_nothing() {
        let of = |error: io::Error| reason(&Error::from(error));
        assert_eq!(of(io::ErrorKind::ConnectionRefused.into()), Reason::Unreachable);
        assert_eq!(of(io::ErrorKind::UnexpectedEof.into()), Reason::Unreachable);
        assert_eq!(of(io::ErrorKind::TimedOut.into()), Reason::Timeout);
        assert_eq!(of(io::Error::other("certificate verify failed")), Reason::Rejected);
        assert_eq!(of(io::Error::other("no route")), Reason::Unreachable);
        let cleared = "Connection pool for db:27017 cleared because another operation failed with: Kind: ";
        assert_eq!(of_text(&format!("{cleared}I/O error: broken pipe")), Reason::Unreachable);
        assert_eq!(of_text(&format!("{cleared}I/O error: timed out")), Reason::Timeout);
        assert_eq!(of_text("Connection to db:27017 interrupted due to server monitor timeout"), Reason::Timeout);
        assert_eq!(of_text("Server selection timeout: No available servers."), Reason::Unreachable);
        assert_eq!(of_text(&format!("{cleared}SCRAM failure: Authentication failed.")), Reason::Rejected);
    }

    #[test]
    fn the_code_decides_on_an_answer() {
        for (code, expected) in [
            (18, Reason::Rejected),
            (13, Reason::Rejected),
            (91, Reason::Unreachable),
            (10_107, Reason::Unreachable),
            (13_435, Reason::Unreachable),
            (50, Reason::Timeout),
            (462, Reason::Saturated),
            (59, Reason::Failed),
        ] {
            assert_eq!(of_code(code), expected, "{code}");
        }
    }

    #[test]
    fn only_what_ends_a_connection_is_asked_again() {
        let dies = |error: io::ErrorKind| is_of_a_dying_connection(&Error::from(error));
        assert!(dies(io::ErrorKind::ConnectionReset) && dies(io::ErrorKind::UnexpectedEof));
        assert!(!dies(io::ErrorKind::TimedOut));
    }
}
