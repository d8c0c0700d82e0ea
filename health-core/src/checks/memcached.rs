//! Checks Memcached over a connection that belongs to the check. Green proves that the server answers on an
//! authenticated connection. It does not prove that the server keeps what is stored.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    connect::{check_address, connect},
    resolve::Resolver,
};
use crate::{
    check::{
        Check, CheckResult,
        deadline::time_left,
        error::{CheckError, InvalidCheck},
        outcome::Outcome,
    },
    model::status::Reason,
};

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// The maximum length of a line in an answer, in bytes. The answer to `version` has about 20.
const LINE: usize = 512;

/// The time to wait for a refusal, which the server sends before it receives a command.
const REFUSAL: Duration = Duration::from_millis(200);

/// The start of the line with which a server refuses a connection for want of room.
const FULL: &str = "ERROR Too many open connections";

/// The start of the line with which a server with the option `-Y` answers a connection that has not logged in.
const UNAUTHENTICATED: &str = "CLIENT_ERROR unauthenticated";

/// Checks a Memcached server by the command `version`, over a connection that belongs to the check.
///
/// Green proves that the server answers on an authenticated connection. It does not prove that the server keeps what is
/// stored, or that it has memory left.
///
/// The check keeps the connection between runs. It speaks the text protocol itself, over plain TCP, because no client
/// on crates.io has all three properties: it is stable, it can be shared with a check, and it brings no TLS stack. A
/// proxy that does not answer `version` is `failed`.
///
/// - Least privilege: a user of the server's password file, if the server has one ([`credentials`](Self::credentials)).
///   The check stores and reads nothing.
/// - A kept connection that is dead is not an outage, whether it was closed or only fell silent. The check opens a new
///   one, at the latest after half of the deadline. A connection on which a run timed out is closed.
/// - A server without room for one more connection is Degraded with `saturated`: the refusal proves that the server
///   runs, and the application has connections of its own.
/// - A user or a password that the server does not accept is `rejected`. An error of the server is `failed`.
/// - Each server needs a check of its own. [`at_least`](crate::at_least) combines the checks of several servers.
///
/// ```
/// use health_core::{CheckExt, Health, Memcached};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("cache", Memcached::new("cache.internal:11211").optional()).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Memcached {
    address: String,
    credentials: Option<Credentials>,
    resolver: Resolver,
    /// The connection kept between runs. A run takes it and puts it back after an answer, so that a cancelled run
    /// closes it.
    kept: Mutex<Option<TcpStream>>,
}

struct Credentials {
    user: String,
    password: String,
}

impl Memcached {
    /// Creates a check of the server at this host and port, such as `cache.internal:11211`, `10.0.0.7:11211` or
    /// `[::1]:11211`.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), credentials: None, resolver: Resolver::default(), kept: Mutex::default() }
    }

    /// Sets the user and the password for a server that requires a login (its option `-Y`). The check does not send
    /// them to any other server, because such a server would store them as an item. Default none.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials { user: user.into(), password: password.into() });
        self
    }

    fn take_kept(&self) -> Option<TcpStream> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, connection: TcpStream) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    /// Sends the request over the kept connection. Opens a new connection if none is kept, or if the kept connection
    /// gives no answer in half of the time.
    async fn ask(&self, limit: Duration) -> Result<Outcome, CheckError> {
        if let Some(mut connection) = self.take_kept() {
            let answer = timeout(limit / 2, self.question(&mut connection)).await;
            if let Ok(Ok(answer)) = answer {
                return self.judge(answer, connection);
            }
        }
        let addresses = self.resolver.resolve(&self.address).await?;
        let mut connection = connect(&addresses).await?;
        match self.question(&mut connection).await {
            Ok(answer) => self.judge(answer, connection),
            Err(error) if error.get_reason() == Reason::Unreachable => {
                // The kernel may have dropped the server's refusal, because the command was already on its way. A
                // connection without a command receives the refusal.
                match timeout(REFUSAL, refusal(&addresses)).await {
                    Ok(Some(line)) if line.starts_with(FULL) => Ok(full(&line)),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Requests the version. If the server requires a login, logs in and requests the version again.
    async fn question(&self, connection: &mut TcpStream) -> Result<Answer, CheckError> {
        let answer = exchange(connection, b"version\r\n").await?;
        let Some(Credentials { user, password }) = &self.credentials else { return Ok(Answer(answer)) };
        if answer != UNAUTHENTICATED {
            return Ok(Answer(answer));
        }
        let words = format!("{user} {password}");
        let login = format!("set auth 0 0 {}\r\n{words}\r\n", words.len());
        let answer = exchange(connection, login.as_bytes()).await?;
        if answer != "STORED" {
            return Ok(Answer(answer));
        }
        exchange(connection, b"version\r\n").await.map(Answer)
    }

    /// Judges an answer, and keeps the connection if the answer is a version.
    fn judge(&self, answer: Answer, connection: TcpStream) -> Result<Outcome, CheckError> {
        let Answer(line) = answer;
        if line.starts_with("VERSION ") {
            self.keep(connection);
            return Ok(Outcome::healthy());
        }
        if line.starts_with(FULL) {
            return Ok(full(&line));
        }
        Err(CheckError::new(format!("the server answered: {line}")).reason(reason(&line)))
    }
}

/// A line from the server, without its line end.
struct Answer(String);

/// Sends a command and reads one line.
async fn exchange(connection: &mut TcpStream, command: &[u8]) -> Result<String, CheckError> {
    connection.write_all(command).await?;
    line(connection).await
}

/// Reads one line and returns it without its line end.
async fn line(connection: &mut TcpStream) -> Result<String, CheckError> {
    let mut bytes = [0; LINE];
    let mut length = 0;
    loop {
        let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) else {
            return Err(CheckError::new(format!("the server's answer has no line end within {LINE} bytes")));
        };
        let count = connection.read(room).await?;
        if count == 0 {
            return Err(CheckError::new("the server closed the connection").reason(Reason::Unreachable));
        }
        length += count;
        if let Some(end) = bytes[..length].iter().position(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(&bytes[..end]);
            return Ok(text.trim_end_matches('\r').to_owned());
        }
    }
}

/// Opens a new connection and reads the line that the server sends without a command.
async fn refusal(addresses: &[SocketAddr]) -> Option<String> {
    let mut connection = connect(addresses).await.ok()?;
    line(&mut connection).await.ok()
}

fn full(line: &str) -> Outcome {
    Outcome::degraded(format!("the server answered: {line}")).reason(Reason::Saturated)
}

/// Returns the public category of an answer other than a version.
fn reason(line: &str) -> Reason {
    if line.starts_with(UNAUTHENTICATED) || line.starts_with("CLIENT_ERROR authentication failure") {
        Reason::Rejected
    } else {
        Reason::Failed
    }
}

#[async_trait]
impl Check for Memcached {
    async fn check(&self) -> CheckResult {
        let limit = time_left().unwrap_or(DEFAULT_LIMIT);
        let patience = limit.saturating_sub(limit / 100);
        timeout(patience, self.ask(limit)).await.unwrap_or_else(|_| {
            let message = "no answer in time over a new connection";
            Ok(Outcome::unhealthy(message).reason(Reason::Timeout))
        })
    }

    fn proves(&self) -> &'static str {
        "The server answers on an authenticated connection. It does not prove that the server keeps what is stored or \
         has memory left."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        check_address(&self.address)?;
        let Some(Credentials { user, password }) = &self.credentials else { return Ok(()) };
        if user.is_empty() || user.contains([' ', ':', '\r', '\n']) {
            return Err(
                "credentials(..): the user name must not be empty or contain spaces, colons or line ends".into()
            );
        }
        if password.is_empty() || password.contains(['\r', '\n']) {
            return Err("credentials(..): the password must not be empty or contain line ends".into());
        }
        Ok(())
    }
}

impl fmt::Debug for Memcached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memcached").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_login_is_rejected() {
        for (line, expected) in [
            ("CLIENT_ERROR unauthenticated", Reason::Rejected),
            ("CLIENT_ERROR authentication failure", Reason::Rejected),
            ("CLIENT_ERROR bad command line format", Reason::Failed),
            ("SERVER_ERROR out of memory", Reason::Failed),
            ("ERROR", Reason::Failed),
            ("HTTP/1.1 400 Bad Request", Reason::Failed),
        ] {
            assert_eq!(reason(line), expected, "{line}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let check = Memcached::new("cache.internal:11211").credentials("app", "hunter2");
        assert!(!format!("{check:?}").contains("hunter2"), "{check:?}");
    }

    #[test]
    fn credentials_that_break_the_text_protocol_are_refused() {
        let with = |user: &str, password: &str| Memcached::new("cache:11211").credentials(user, password).validate();
        assert_eq!(with("app", "two words"), Ok(()));
        for (user, password) in [("", "x"), ("a b", "x"), ("a:b", "x"), ("app", ""), ("app", "x\r\nflush_all")] {
            assert!(with(user, password).is_err(), "{user:?} {password:?}");
        }
    }
}
