//! The public categories of the SQLSTATEs of PostgreSQL, PgBouncer, MySQL and MariaDB.

use crate::model::status::Reason;

/// The words in PgBouncer's text if it has no room for a client. PgBouncer has one SQLSTATE for all its own refusals.
/// The words are names of its settings, which are the same in every language.
const FULL: [&str; 3] = ["max_client_conn", "max_db_client_connections", "max_user_client_connections"];

/// The word in PgBouncer's text if a client got no connection to the server in time, because all are in use or none can
/// be opened.
const LATE: &str = "query_wait_timeout";

/// The word in PgBouncer's text if it has no connection to its server.
const SERVER_IS_GONE: &str = "server_login_retry";

/// Returns the public category of an [SQLSTATE]. The text is used for 08P01 only.
///
/// [SQLSTATE]: https://www.postgresql.org/docs/current/errcodes-appendix.html
pub(super) fn sqlstate_reason(code: &str, message: &str) -> Reason {
    match code {
        // Too many connections of the server, the database or the role.
        "53300" => Reason::Saturated,
        // Cancelled, for example by statement_timeout.
        "57014" => Reason::Timeout,
        // The server ended the session, because a transaction was idle (25P03) or open (25P04) for too long.
        "25P03" | "25P04" => Reason::Unreachable,
        // The refusals of PgBouncer. PostgreSQL uses this code for a client that violates the protocol.
        "08P01" if FULL.iter().any(|setting| message.contains(setting)) => Reason::Saturated,
        "08P01" if message.contains(LATE) => Reason::Timeout,
        "08P01" if message.contains(SERVER_IS_GONE) => Reason::Unreachable,
        "08P01" => Reason::Rejected,
        _ => match code.get(..2) {
            // Connection exceptions, and a server that starts up, shuts down or terminates the session.
            Some("08" | "57") => Reason::Unreachable,
            // Authentication, unknown database, permission, read-only, a database that accepts no connections.
            Some("25" | "28" | "3D" | "42" | "55") => Reason::Rejected,
            _ => Reason::Failed,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sqlstate_gives_the_reason_and_for_08p01_the_text_does() {
        for (code, message, expected) in [
            ("53300", "sorry, too many clients already", Reason::Saturated),
            ("53100", "could not extend file", Reason::Failed),
            ("57014", "Anweisung wird abgebrochen", Reason::Timeout),
            ("57P03", "the database system is starting up", Reason::Unreachable),
            ("25P03", "", Reason::Unreachable),
            ("25006", "", Reason::Rejected),
            ("08006", "", Reason::Unreachable),
            ("28P01", "password authentication failed", Reason::Rejected),
            ("55000", "database is not currently accepting connections", Reason::Rejected),
            ("08P01", "no more connections allowed (max_client_conn)", Reason::Saturated),
            ("08P01", "query_wait_timeout", Reason::Timeout),
            ("08P01", "server login has been failing, try again later (server_login_retry)", Reason::Unreachable),
            ("08P01", "no such database: orders", Reason::Rejected),
            ("XX000", "max_client_conn", Reason::Failed),
            ("", "", Reason::Failed),
        ] {
            assert_eq!(sqlstate_reason(code, message), expected, "{code} {message}");
        }
    }
}
