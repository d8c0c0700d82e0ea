//! Checks MongoDB over the application's own client. Green proves that a server of the deployment answers `ping` on an
//! authenticated connection. It does not prove that the server accepts writes: `.writable()` checks that.

use std::{
    error::Error as _,
    fmt,
    future::pending,
    pin::{Pin, pin},
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
    options::{ClientOptions, SelectionCriteria, ServerMonitoringMode},
};
use tokio::{select, time::timeout};

use super::{
    limits::check_settings,
    saturation::{SATURATED_FOR, Saturation},
};
use crate::{
    check::{
        Check, CheckResult,
        deadline::time_left,
        error::{CheckError, InvalidCheck, classify},
        outcome::Outcome,
    },
    model::status::Reason,
};

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// The maximum number of attempts in one run. The check repeats the request if the connection ends during the request.
const ATTEMPTS: usize = 3;

/// Checks MongoDB, or a server with the same protocol, by `ping` over the application's own client.
///
/// Green proves that a server of the deployment answers on an authenticated connection. It does not prove that the
/// server accepts writes, unless [`writable`](Self::writable) is set, or that the user can read or write any
/// collection.
///
/// - Least privilege: the right to log in. Every new connection of the client's pool logs in. The check reads and
///   writes nothing. Its commands `ping` and `hello` go to the database `admin`, where they need no right.
/// - Any member that holds data counts: a replica set without a primary is healthy unless [`writable`](Self::writable)
///   is set.
/// - The driver waits 30 s for a server to be found, unless the client is configured otherwise. The deadline of the
///   check ends this wait. The reason is then the reason of the driver's last failure with a server, or `unreachable`
///   if the driver shows no failure.
/// - A dead pooled connection is not an outage: the check repeats the request, twice at most. If half of the time
///   passes without an answer, it sends the request once more over another connection, and keeps waiting for both.
/// - **Pass the client's options** by [`beside`](Self::beside), because a client does not give access to its own, and
///   reports the state of its pool only to the application's event handler. If the client does not answer in half of
///   the time, the check also asks over a second client. If only that one gets an answer, the check is Degraded with
///   `saturated`, and Unhealthy after [`saturated_for`](Self::saturated_for). The usual cause is that all connections
///   of the application's client are in use (`maxPoolSize`, 10 by default). Others are several silently dead
///   connections, and a member of the replica set that hangs. If neither client gets an answer, the error of the second
///   one gives the reason.
/// - Without the options a client whose connections are all in use is `timeout`, like a server that hangs.
/// - A wrong password, or a user without the required right, is `rejected`. A server that shuts down, recovers or is no
///   longer the primary is `unreachable`. A time limit of the server is `timeout`, and a limit on requests is
///   `saturated`.
/// - The feature `mongodb` turns on no TLS feature of the driver, and the driver does not compile without one. So the
///   application's own dependency on `mongodb` turns on one of `rustls-tls`, `rustls-tls-aws-lc` and `openssl-tls`.
/// - The check is tested against a server written from the documentation of the protocol, because MongoDB itself is not
///   available as a package.
///
/// ```no_run
/// use health_core::{Health, MongoDb};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let options = mongodb::options::ClientOptions::parse("mongodb://localhost:27017/?replicaSet=rs0").await?;
/// let client = mongodb::Client::with_options(options.clone())?;
/// let check = MongoDb::new(client.clone()).beside(options).writable();
/// let health = Health::builder().check("documents", check).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct MongoDb {
    client: Client,
    /// The options of the client that asks beside the application's client.
    beside: Option<ClientOptions>,
    saturation: Saturation,
    saturated_for: Duration,
    is_writable: bool,
}

impl MongoDb {
    /// Creates a check that sends its requests over this client.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            beside: None,
            saturation: Saturation::default(),
            saturated_for: SATURATED_FOR,
            is_writable: false,
        }
    }

    /// Sets the options of the application's client. If that client does not answer in half of the time, the check
    /// creates a second client with these options, and drops it at the end of the run. The second client has one
    /// connection for requests and one monitor for each member, and reports no events. Default none.
    pub fn beside(mut self, mut options: ClientOptions) -> Self {
        (options.max_pool_size, options.min_pool_size) = (Some(1), None);
        (options.cmap_event_handler, options.command_event_handler, options.sdam_event_handler) = (None, None, None);
        options.server_monitoring_mode = Some(ServerMonitoringMode::Poll);
        self.beside = Some(options);
        self
    }

    /// Sets the time for which the client may have no free connection before the check is Unhealthy. Default 10 s.
    /// Needs [`beside`](Self::beside).
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.saturated_for = duration;
        self
    }

    /// Requires a server that accepts writes: a primary, a router of a sharded cluster, or a standalone server. The
    /// check sends `hello` and writes nothing. Without such a server the check is `unreachable`. If the server answers
    /// that it accepts no writes, the check is `rejected`. Off by default.
    pub fn writable(mut self) -> Self {
        self.is_writable = true;
        self
    }

    async fn ask(&self, client: &Client, view: &Arc<View>) -> Result<Document, Error> {
        let command = if self.is_writable {
            doc! { "hello": 1 }
        } else {
            doc! { "ping": 1 }
        };
        let (view, is_writable) = (Arc::clone(view), self.is_writable);
        let criteria =
            SelectionCriteria::Predicate(Arc::new(move |server: &ServerInfo<'_>| view.suits(server, is_writable)));
        client.database("admin").run_command(command).selection_criteria(criteria).await
    }

    /// Asks once more over another connection of the client, and over a second client if its options are known. Waits
    /// for the first request, too, so that it keeps its place among those that wait for a connection.
    async fn ask_again(
        &self,
        first: Pin<&mut impl Future<Output = Result<Document, Error>>>,
        view: &Arc<View>,
        patience: Duration,
    ) -> Asked {
        let again = self.ask(&self.client, view);
        let over_client = timeout(patience, async {
            select! {
                biased;
                answer = first => answer,
                answer = again => answer,
            }
        });
        let beside = async {
            let Some(options) = &self.beside else { return pending().await };
            let client = Client::with_options(options.clone())?;
            self.ask(&client, &Arc::default()).await
        };
        let (mut over_client, mut beside) = (pin!(over_client), pin!(beside));
        select! {
            biased;
            answer = &mut over_client => Asked::Client(answer.ok()),
            beside = &mut beside => match (over_client.await, beside) {
                // Without a server, the client waits for one, and not for a connection.
                (Err(_), Ok(answer)) if view.is_found() => Asked::Beside(answer),
                (Err(_), Err(error)) => Asked::Client(Some(Err(error))),
                (answer, _) => Asked::Client(answer.ok()),
            },
        }
    }

    fn judge(&self, answer: &Document) -> Outcome {
        let says = |key: &str| answer.get_bool(key).unwrap_or(false);
        if self.is_writable && (!says("isWritablePrimary") || says("readOnly")) {
            return Outcome::unhealthy("the server accepts no writes").reason(Reason::Rejected);
        }
        Outcome::healthy()
    }
}

#[async_trait]
impl Check for MongoDb {
    async fn check(&self) -> CheckResult {
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            let half = time_left().unwrap_or(DEFAULT_LIMIT) / 2;
            let view = Arc::new(View::default());
            let mut first = pin!(self.ask(&self.client, &view));
            let asked = match timeout(half, &mut first).await {
                Ok(answer) => Asked::Client(Some(answer)),
                Err(_) => {
                    self.saturation.begins();
                    // Ends before the scheduler's deadline, so that the outcome has the driver's last error.
                    self.ask_again(first, &view, half - half / 20).await
                }
            };
            match asked {
                Asked::Client(Some(Ok(answer))) => {
                    self.saturation.ends();
                    return Ok(self.judge(&answer));
                }
                Asked::Beside(answer) => {
                    let who = "the server answers, but the client";
                    return Ok(self.saturation.worsen(self.judge(&answer), who, self.saturated_for));
                }
                // `ping` and `hello` are idempotent, and the next connection may work.
                Asked::Client(Some(Err(error))) if is_of_a_dying_connection(&error) => failure = Some(explain(error)),
                Asked::Client(Some(Err(error))) => {
                    failure = Some(explain(error));
                    break;
                }
                Asked::Client(None) => {
                    failure = failure.or_else(|| Some(view.explain()));
                    break;
                }
            }
        }
        self.saturation.ends();
        Err(failure.unwrap_or_else(no_answer))
    }

    fn proves(&self) -> &'static str {
        if self.is_writable {
            "A server answers on an authenticated connection and reports that it accepts writes. It does not prove \
             that the user can read or write any collection."
        } else {
            "A server of the deployment answers ping on an authenticated connection. It does not prove that there is a \
             primary that accepts writes."
        }
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.saturated_for.is_zero() {
            return Err("saturated_for(0 s) makes every busy moment an outage: use the time that is tolerable".into());
        }
        Ok(())
    }

    check_settings! {
        saturated_for: saturated_for = duration;
    }
}

/// What an attempt has led to.
enum Asked {
    /// The result over the application's client: `None` without an answer in time. The error is that of the second
    /// client if neither has an answer.
    Client(Option<Result<Document, Error>>),
    /// The answer to the second client, while the application's client found a server and got no answer.
    Beside(Document),
}

/// The driver's knowledge of the servers during server selection. The driver shows it only to the application's event
/// handlers and to a predicate that selects a server, which the check passes with each request.
#[derive(Default)]
struct View {
    /// Whether a suitable server was found.
    is_found: AtomicBool,
    /// The error of the last server that the driver cannot use.
    failure: Mutex<Option<Error>>,
}

impl View {
    fn is_found(&self) -> bool {
        self.is_found.load(Ordering::Relaxed)
    }

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

    /// Returns the error of a run without an answer in time.
    fn explain(&self) -> CheckError {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            Some(error) => explain(error),
            None if self.is_found() => no_answer(),
            None => CheckError::new("the driver has found no suitable server").reason(Reason::Unreachable),
        }
    }
}

fn no_answer() -> CheckError {
    let message = "no answer in time: the server hangs, or all connections of the client are in use";
    CheckError::new(message).reason(Reason::Timeout)
}

/// Returns whether the connection ended before the answer. A server may close an idle connection at any time, also
/// while the next request is sent.
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

/// Returns the public category of an error of the driver.
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

/// Returns the public category of a failed attempt to connect that has no error kind of its own.
fn of_text(text: &str) -> Reason {
    let text = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["certificate", "handshake", "authentication", "scram failure", "tls", "ssl"]) {
        Reason::Rejected
    } else if says(&["timed out", "monitor timeout"]) {
        // The driver has given up the server and closed all connections to it.
        Reason::Timeout
    } else if says(&["this version of the driver"]) {
        // The version of the server is too old or too new for the driver.
        Reason::Failed
    } else {
        Reason::Unreachable
    }
}

/// Returns the public category of an error code of the server.
const fn of_code(code: i32) -> Reason {
    match code {
        // UserNotFound, Unauthorized, AuthenticationFailed, and the one code of Atlas for all of them.
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
    fn an_io_kind_gives_the_reason_and_the_text_does_if_the_kind_is_unspecific() {
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
    fn each_error_code_of_a_server_has_its_reason() {
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
    fn a_request_is_repeated_only_after_the_connection_ended() {
        let dies = |error: io::ErrorKind| is_of_a_dying_connection(&Error::from(error));
        assert!(dies(io::ErrorKind::ConnectionReset) && dies(io::ErrorKind::UnexpectedEof));
        assert!(!dies(io::ErrorKind::TimedOut));
    }
}
