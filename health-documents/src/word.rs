//! The words for a status in all dialects.

use crate::document::Status;

/// Returns the status for a word of any dialect, without regard to case; `None` for any other word.
pub(crate) fn known(word: &str) -> Option<Status> {
    if word.len() > 32 {
        return None;
    }
    Some(match word.to_ascii_lowercase().as_str() {
        "healthy" | "pass" | "passed" | "passing" | "ok" | "up" => Status::Healthy,
        "degraded" | "warn" | "warning" | "unknown" => Status::Degraded,
        "unhealthy" | "fail" | "failed" | "failing" | "failure" | "error" | "down" | "out_of_service"
        | "out-of-service" | "outofservice" | "critical" | "dead" | "fatal" | "offline" | "unavailable" => {
            Status::Unhealthy
        }
        _ => return None,
    })
}

/// Returns whether a dialect defines this code in capitals. Any other code becomes a reason, so that the owner of the
/// service recognizes it.
pub(crate) fn is_defined(code: &str) -> bool {
    ["DOWN", "ERROR", "FAIL", "OK", "OUT_OF_SERVICE", "PASS", "UNKNOWN", "UP", "WARN"].contains(&code)
}

/// Returns whether a word can be a custom status of an application, which Spring Boot answers with 200: a code in
/// capitals.
pub(crate) fn is_code(word: &str) -> bool {
    word.len() <= 64
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}
