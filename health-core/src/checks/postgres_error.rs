//! The public category of errors of tokio-postgres.

use tokio_postgres::Error;

use super::sqlstate::sqlstate_reason;
use crate::{check::error::classify, model::status::Reason};

/// Returns the public category of an error of the driver.
pub(super) fn reason(error: &Error) -> Reason {
    if let Some(answer) = error.as_db_error() {
        return sqlstate_reason(answer.code().code(), answer.message());
    }
    if error.is_closed() {
        return Reason::Unreachable;
    }
    classify(error).unwrap_or_else(|| {
        // The driver keeps its error kinds private. Only these texts show them.
        let text = error.to_string();
        if text.contains("TLS") || text.contains("authentication") || text.contains("configuration") {
            Reason::Rejected
        } else if std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>) {
            // An I/O error of an unspecific kind, such as a failed name resolution.
            Reason::Unreachable
        } else {
            Reason::Failed
        }
    })
}
