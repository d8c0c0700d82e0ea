//! The commands that the Redis checks send, and the reasons of a server's errors, for every client of the redis crate.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ::redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value, aio::ConnectionLike, cmd, pipe};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Instant, timeout},
};

use super::failure::Failure;
use crate::{
    check::{error::classify, outcome::Outcome},
    model::status::Reason,
};

/// The question that a check asks a server.
#[derive(Debug)]
pub(super) enum Question {
    /// Asks whether the server answers PING.
    Alive,
    /// Asks whether the server accepts writes.
    Writable {
        /// The last time that the server denied the user SETRANGE.
        forbidden: Mutex<Option<Instant>>,
    },
}

/// The pause before the next attempt of a user who may not use SETRANGE. It keeps the server's log of denied commands
/// short. In the meantime only the role decides.
const FORBIDDEN_FOR: Duration = Duration::from_secs(300);

/// The key of the SETRANGE command. Nothing is written: SETRANGE of an empty value changes no key and creates none.
const TRIED_KEY: &str = "health:writable";

impl Question {
    /// Creates the question whether the server accepts writes.
    pub(super) fn writable() -> Self {
        Self::Writable { forbidden: Mutex::default() }
    }

    /// Returns what a healthy outcome proves.
    pub(super) fn proves(&self) -> &'static str {
        match self {
            Self::Alive => {
                "The server answers PING on an authenticated connection. It does not prove that the server has memory \
                 left or accepts writes."
            }
            Self::Writable { .. } => {
                "The server answers PING and is a master that accepts writes. If the user may not use SETRANGE, it \
                 proves only the role."
            }
        }
    }

    /// Sends the commands of the question over a connection and judges the answers.
    pub(super) async fn put(&self, connection: &mut impl ConnectionLike) -> Result<Outcome, Failure> {
        let Self::Writable { forbidden } = self else {
            cmd("PING").query_async::<Value>(connection).await.map_err(explain)?;
            return Ok(Outcome::healthy());
        };
        // PING is sent besides ROLE, because a server answers ROLE, but not PING, while it loads its data or cannot
        // save.
        let mut questions = pipe();
        questions.ignore_errors().cmd("PING").cmd("ROLE");
        let forbidden_since = *forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        if forbidden_since.is_none_or(|since| since.elapsed() >= FORBIDDEN_FOR) {
            questions.cmd("SETRANGE").arg(&[TRIED_KEY, "0", ""]);
        }
        let answers: Vec<RedisResult<Value>> = questions.query_async(connection).await.map_err(explain)?;
        let mut answers = answers.into_iter();
        // A command that was not sent counts as answered.
        let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
        next().map_err(explain)?;
        let role = role_name(&next().map_err(explain)?);
        if role != "master" {
            let message = format!("the server accepts no writes: its role is {role}");
            return Ok(Outcome::unhealthy(message).reason(Reason::Rejected));
        }
        match next() {
            Ok(_) => Ok(Outcome::healthy()),
            Err(error) => match error.code() {
                Some("NOPERM") => {
                    *forbidden.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                    Ok(Outcome::healthy())
                }
                // The key belongs to another node, or has a value of another type.
                Some("MOVED" | "ASK" | "TRYAGAIN" | "WRONGTYPE") => Ok(Outcome::healthy()),
                Some("NOREPLICAS" | "OOM" | "READONLY") => {
                    Ok(Outcome::unhealthy(format!("the server accepts no writes: {error}")).reason(Reason::Rejected))
                }
                _ => Err(explain(error)),
            },
        }
    }
}

/// Returns the role from an answer to ROLE, which is its first element.
fn role_name(answer: &Value) -> String {
    let Value::Array(words) = answer else { return String::from("unknown") };
    match words.first() {
        Some(Value::BulkString(role)) => String::from_utf8_lossy(role).into_owned(),
        Some(Value::SimpleString(role)) => role.clone(),
        _ => String::from("unknown"),
    }
}

/// Converts an error of the redis crate, with its reason.
pub(super) fn explain(error: RedisError) -> Failure {
    let reason = reason(&error);
    let is_answered =
        matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) && reason != Reason::Unreachable;
    let is_broken = !is_answered && error.kind() != ErrorKind::AuthenticationFailed;
    Failure::new(error, reason, is_broken)
}

/// The time to wait for a refusal, which the server sends before it receives a command.
const REFUSAL: Duration = Duration::from_millis(200);

/// Finds out whether the server closed a new connection for want of room. Such a server sends its refusal at once and
/// closes the connection. The driver has already sent several commands by then, so that it loses the refusal. A
/// connection without a command receives the refusal.
pub(super) async fn diagnosed(address: (String, u16), failure: Failure) -> Failure {
    let refusal = async {
        let mut text = [0; 64];
        let length = TcpStream::connect(address).await.ok()?.read(&mut text).await.ok()?;
        Some(String::from_utf8_lossy(&text[..length]).into_owned())
    };
    match timeout(REFUSAL, refusal).await {
        Ok(Some(text)) if text.contains(FULL) => Failure { reason: Reason::Saturated, is_broken: false, ..failure },
        _ => failure,
    }
}

/// Returns the public category of an error of the driver.
pub(super) fn reason(error: &RedisError) -> Reason {
    match error.kind() {
        ErrorKind::Io if error.is_timeout() => Reason::Timeout,
        // A failed TLS handshake and a socket without permission have this kind, too.
        ErrorKind::Io => classify(error).unwrap_or(Reason::Unreachable),
        // The cluster driver has no connection to a node.
        ErrorKind::ClusterConnectionNotFound => Reason::Unreachable,
        // The driver reports a connection that ended within an answer as this parse error.
        ErrorKind::Parse if error.to_string().contains("end of input") => Reason::Unreachable,
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => Reason::Rejected,
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain,
        ) => Reason::Unreachable,
        // The key or the database belongs to another server, or the user has no right.
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

/// The text of a server without room for a connection. Its error code is the general one.
const FULL: &str = "max number of clients";
/// The text of the driver if the server has no database with the configured number. Its error code is the general one.
const NO_DATABASE: &str = "refused to switch database";

#[cfg(test)]
mod tests {
    use super::*;

    /// The driver passes on the errors of its TLS library and of the system.
    #[test]
    fn a_failed_tls_handshake_is_rejected_and_a_lost_connection_unreachable() {
        use std::io::{Error, ErrorKind as Kind};
        for (error, expected) in [
            (Error::new(Kind::InvalidData, "invalid peer certificate: UnknownIssuer"), Reason::Rejected),
            (Error::new(Kind::InvalidData, "received corrupt message of type InvalidContentType"), Reason::Rejected),
            (Error::from(Kind::PermissionDenied), Reason::Rejected),
            (Error::from(Kind::ConnectionReset), Reason::Unreachable),
            (Error::from(Kind::NotFound), Reason::Unreachable),
            (Error::from(Kind::TimedOut), Reason::Timeout),
        ] {
            let text = error.to_string();
            assert_eq!(reason(&RedisError::from(error)), expected, "{text}");
        }
    }

    #[test]
    fn the_error_code_gives_the_reason_and_the_text_does_if_the_code_is_general() {
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
