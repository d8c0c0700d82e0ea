//! The public category of an error of tokio-postgres.

use tokio_postgres::Error;

use super::sqlstate::sqlstate_reason;
use crate::{check::error::classify, model::status::Reason};

/// Returns the public category of a driver's error.
pub(super) fn reason(error: &Error) -> Reason {
    if let Some(answer) = error.as_db_error() {
        return sqlstate_reason(answer.code().code(), answer.message());
    }
    if error.is_closed() {
        return Reason::Unreachable;
    }
    classify(error).unwrap_or_else(|| {
        // The driver keeps its own kinds private and has only these texts for them.
        let text = error.to_string();
        if text.contains("TLS") || text.contains("authentication") || text.contains("configuration") {
            Reason::Rejected
        } else if std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>) {
            // An input or output error of a kind that says nothing, such as failed name resolution.
            Reason::Unreachable
        } else {
            Reason::Failed
        }
    })
}
