//! The questions to a Redis server and what its errors mean, for every client of the redis crate.

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

/// What is asked of a server.
#[derive(Debug)]
pub(super) enum Question {
    /// Whether it answers PING.
    Alive,
    /// Whether it takes writes.
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

impl Question {
    /// The question whether the server takes writes.
    pub(super) fn writable() -> Self {
        Self::Writable { forbidden: Mutex::default() }
    }

    /// Returns what a green answer proves.
    pub(super) fn proves(&self) -> &'static str {
        match self {
            Self::Alive => {
                "The server answers PING on an authenticated connection. It does not prove that the server has memory \
                 left or takes writes."
            }
            Self::Writable { .. } => {
                "The server answers PING and is a master that takes writes. It proves only the role where the user may \
                 not use SETRANGE."
            }
        }
    }

    /// Puts the question over a connection and judges the answer.
    pub(super) async fn put(&self, connection: &mut impl ConnectionLike) -> Result<Outcome, Failure> {
        let Self::Writable { forbidden } = self else {
            cmd("PING").query_async::<Value>(connection).await.map_err(explain)?;
            return Ok(Outcome::healthy());
        };
        // ROLE is answered while the server loads its data and while it cannot save: PING is not.
        let mut questions = pipe();
        questions.ignore_errors().cmd("PING").cmd("ROLE");
        let forbidden_since = *forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        if forbidden_since.is_none_or(|since| since.elapsed() >= FORBIDDEN_FOR) {
            questions.cmd("SETRANGE").arg(&[TRIED_KEY, "0", ""]);
        }
        let answers: Vec<RedisResult<Value>> = questions.query_async(connection).await.map_err(explain)?;
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

/// The public category of a driver's error.
pub(super) fn reason(error: &RedisError) -> Reason {
    match error.kind() {
        ErrorKind::Io if error.is_timeout() => Reason::Timeout,
        // A refused handshake of TLS, and a socket that may not be opened, are of this kind, too.
        ErrorKind::Io => classify(error).unwrap_or(Reason::Unreachable),
        // The driver of a cluster has no connection to a node.
        ErrorKind::ClusterConnectionNotFound => Reason::Unreachable,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The driver passes on what its library of TLS and the system say.
    #[test]
    fn a_refused_handshake_is_no_lost_connection() {
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
