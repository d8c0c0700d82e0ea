//! The public category of an SQLSTATE of PostgreSQL, PgBouncer, MySQL or MariaDB.

use crate::model::status::Reason;

/// What PgBouncer names, in the text of its one SQLSTATE for all refusals of its own, when it has no room for a client.
/// They are names of its settings, which no language changes.
const FULL: [&str; 3] = ["max_client_conn", "max_db_client_connections", "max_user_client_connections"];

/// What it names when it had no connection to its server in time, because all are in use or because none can be opened.
const LATE: &str = "query_wait_timeout";

/// What PgBouncer names when it has no connection to its server.
const SERVER_IS_GONE: &str = "server_login_retry";

/// Returns the public category of an [SQLSTATE](https://www.postgresql.org/docs/current/errcodes-appendix.html). The text
/// counts for 08P01 alone.
pub(super) fn sqlstate_reason(code: &str, message: &str) -> Reason {
    match code {
        // Too many connections, of the server, the database or the role.
        "53300" => Reason::Saturated,
        // Cancelled, as by statement_timeout.
        "57014" => Reason::Timeout,
        // The session was idle in a transaction, or in one, for too long, and is terminated.
        "25P03" | "25P04" => Reason::Unreachable,
        // PgBouncer refuses; PostgreSQL says so of a client that breaks the protocol.
        "08P01" if FULL.iter().any(|setting| message.contains(setting)) => Reason::Saturated,
        "08P01" if message.contains(LATE) => Reason::Timeout,
        "08P01" if message.contains(SERVER_IS_GONE) => Reason::Unreachable,
        "08P01" => Reason::Rejected,
        _ => match code.get(..2) {
            // Connection exceptions; starting up, shutting down, terminated.
            Some("08" | "57") => Reason::Unreachable,
            // Authentication, unknown database, permission, read-only, a database that takes no connections.
            Some("25" | "28" | "3D" | "42" | "55") => Reason::Rejected,
            _ => Reason::Failed,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_and_the_text_only_where_there_is_one_code_for_everything() {
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
