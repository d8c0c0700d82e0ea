//! Finds the public reason for an error of a driver that the check does not know. The types in the source chain of the
//! error decide, or its text if no type is known.

use std::{
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    check::error::{chain, classify},
    model::status::Reason,
};

/// The application's mapping of the errors of its driver to reasons.
pub(super) type ReasonOf<E> = Arc<dyn Fn(&E) -> Option<Reason> + Send + Sync>;

/// Returns the reason and the message of a driver's error. The application's mapping takes precedence.
pub(super) fn explain<E: Error + 'static>(error: &E, reason_of: &ReasonOf<E>) -> (Reason, String) {
    // If the application's function panics, the check determines the reason.
    let own = catch_unwind(AssertUnwindSafe(|| reason_of(error))).ok().flatten();
    let reason = own.or_else(|| reason(error)).unwrap_or(Reason::Failed);
    (reason, chain(error))
}

/// Returns the reason from the types of an error and its sources, else from the known texts of databases.
fn reason(error: &(dyn Error + 'static)) -> Option<Reason> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(reason) = known_reason(error) {
            return Some(reason);
        }
        next = error.source();
    }
    classify(error).or_else(|| text_reason(&chain(error)))
}

/// Returns the reason of an error whose type is known because a feature enables its driver.
fn known_reason(error: &(dyn Error + 'static)) -> Option<Reason> {
    #[cfg(feature = "tokio_postgres")]
    if let Some(error) = error.downcast_ref() {
        return Some(super::postgres_error::reason(error));
    }
    #[cfg(feature = "redis")]
    if let Some(error) = error.downcast_ref() {
        return Some(super::redis_protocol::reason(error));
    }
    // Without these features every error is unknown.
    let _ = error;
    None
}

/// Parts of error texts of PostgreSQL, MySQL, MariaDB, SQLite, their clients and the operating system. Pools and diesel
/// keep only the text of an error. A server may use another language, whose texts are not listed. The first listed part
/// that a text contains decides, so the texts of servers precede the texts of their clients.
const TEXTS: [(&str, Reason); 49] = [
    ("too many clients", Reason::Saturated),
    ("too many connections", Reason::Saturated),
    ("Too many connections", Reason::Saturated),
    ("remaining connection slots", Reason::Saturated),
    ("max_user_connections", Reason::Saturated),
    ("max_client_conn", Reason::Saturated),
    ("max number of clients", Reason::Saturated),
    ("database is locked", Reason::Saturated),
    ("password authentication failed", Reason::Rejected),
    ("authentication failed for user", Reason::Rejected),
    ("no pg_hba.conf entry", Reason::Rejected),
    ("is not permitted to log in", Reason::Rejected),
    ("is not currently accepting connections", Reason::Rejected),
    ("permission denied", Reason::Rejected),
    ("does not exist", Reason::Rejected),
    ("read-only", Reason::Rejected),
    ("Access denied", Reason::Rejected),
    ("Unknown database", Reason::Rejected),
    ("is blocked because of many connection errors", Reason::Rejected),
    ("authentication error", Reason::Rejected),
    ("invalid configuration", Reason::Rejected),
    ("invalid connection string", Reason::Rejected),
    ("TLS handshake", Reason::Rejected),
    ("is not allowed to connect", Reason::Rejected),
    ("unexpected eof", Reason::Unreachable),
    ("SSL SYSCALL error", Reason::Unreachable),
    ("SSL connection has been closed", Reason::Unreachable),
    ("SSL error", Reason::Rejected),
    ("canceling statement", Reason::Timeout),
    ("timeout expired", Reason::Timeout),
    ("timeout waiting for server", Reason::Timeout),
    ("Connection timed out", Reason::Timeout),
    ("the database system is", Reason::Unreachable),
    ("terminating connection", Reason::Unreachable),
    ("Connection refused", Reason::Unreachable),
    ("Connection reset", Reason::Unreachable),
    ("Broken pipe", Reason::Unreachable),
    ("No route to host", Reason::Unreachable),
    ("Network is unreachable", Reason::Unreachable),
    ("failed to lookup address", Reason::Unreachable),
    ("could not translate host name", Reason::Unreachable),
    ("server closed the connection", Reason::Unreachable),
    ("connection closed", Reason::Unreachable),
    ("error connecting to server", Reason::Unreachable),
    ("error communicating with the server", Reason::Unreachable),
    ("Can't connect to", Reason::Unreachable),
    ("Lost connection", Reason::Unreachable),
    ("server has gone away", Reason::Unreachable),
    ("unable to open database file", Reason::Unreachable),
];

/// Returns the reason of the first listed part that a text contains.
pub(super) fn text_reason(text: &str) -> Option<Reason> {
    TEXTS.iter().find(|(part, _)| text.contains(part)).map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use std::{fmt, io};

    use super::*;

    /// An error of a driver that the check does not know.
    #[derive(Debug)]
    struct Unknown(&'static str, Option<io::Error>);

    impl fmt::Display for Unknown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Unknown {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_ref().map(|error| error as _)
        }
    }

    fn nothing() -> ReasonOf<Unknown> {
        Arc::new(|_| None)
    }

    #[test]
    fn the_source_chain_decides_before_the_text() {
        let reset = || Some(io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!(explain(&Unknown("Access denied", reset()), &nothing()).0, Reason::Unreachable);
        assert_eq!(explain(&Unknown("Access denied", None), &nothing()).0, Reason::Rejected);
        assert_eq!(explain(&Unknown("something else", None), &nothing()).0, Reason::Failed);
        let (_, message) = explain(&Unknown("no answer", reset()), &nothing());
        assert_eq!(message, "no answer: connection reset");
    }

    #[test]
    fn the_mapping_of_the_application_takes_precedence() {
        let own: ReasonOf<Unknown> = Arc::new(|error| error.0.contains("busy").then_some(Reason::Saturated));
        let refused = || Some(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(explain(&Unknown("busy", refused()), &own).0, Reason::Saturated);
        assert_eq!(explain(&Unknown("gone", refused()), &own).0, Reason::Unreachable);
    }

    #[test]
    fn the_text_of_a_server_decides_before_the_text_of_its_client() {
        let libpq = "connection to server at \"127.0.0.1\", port 5432 failed: ";
        for (text, expected) in [
            ("Connection refused (os error 111)", Some(Reason::Unreachable)),
            ("FATAL:  password authentication failed for user \"app\"", Some(Reason::Rejected)),
            ("FATAL:  no pg_hba.conf entry for host \"10.0.0.1\"", Some(Reason::Rejected)),
            ("FATAL:  sorry, too many clients already", Some(Reason::Saturated)),
            ("FATAL:  too many connections for role \"app\"", Some(Reason::Saturated)),
            ("FATAL:  the database system is starting up", Some(Reason::Unreachable)),
            ("FATAL:  role \"app\" is not permitted to log in", Some(Reason::Rejected)),
            ("timeout expired", Some(Reason::Timeout)),
            ("division by zero", None),
        ] {
            assert_eq!(text_reason(text), expected, "{text}");
            assert_eq!(text_reason(&format!("{libpq}{text}")), expected, "{text}");
        }
        for (text, expected) in [
            ("error connecting to server", Reason::Unreachable),
            ("Too many connections", Reason::Saturated),
            ("Access denied for user 'app'@'localhost' (using password: YES)", Reason::Rejected),
            ("Can't connect to MySQL server on 'db' (111)", Reason::Unreachable),
            ("database is locked", Reason::Saturated),
        ] {
            assert_eq!(text_reason(text), Some(expected), "{text}");
        }
    }

    #[cfg(feature = "redis")]
    #[test]
    fn an_error_of_redis_is_classified_by_its_code() {
        use deadpool_redis::redis::{ErrorKind, RedisError, ServerErrorKind};
        let loading = RedisError::from((ErrorKind::Server(ServerErrorKind::BusyLoading), "the server says"));
        assert_eq!(reason(&loading), Some(Reason::Unreachable));
    }
}
