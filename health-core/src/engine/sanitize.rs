//! Redaction and size limits of the outcomes of checks, as pure functions. The store applies them before it publishes
//! an outcome.

use std::{borrow::Cow, sync::Arc};

use serde_json::Value;

use crate::{
    check::outcome::Outcome,
    model::{
        observed::Observed,
        status::{Reason, Status},
    },
    redact::{self, Secrets},
};

/// The largest number of characters of a message in a report.
const MESSAGE: usize = 256;
/// The largest number of characters of a message in a log line.
const LOG_MESSAGE: usize = 4096;
/// The largest number of observed numbers of one check.
const OBSERVED: usize = 16;
/// The largest number of characters of a detail's key, and of the name or the unit of an observed number.
const LABEL: usize = 64;
/// The largest number of bytes of the details of one check, as JSON.
const DETAILS: usize = 4096;

/// An outcome that is redacted and within the limits.
#[derive(Debug)]
pub(super) struct SanitizedOutcome {
    pub(super) status: Status,
    pub(super) reason: Option<Reason>,
    pub(super) message: Option<Arc<str>>,
    pub(super) log_message: Option<Arc<str>>,
    pub(super) observed: Arc<[Observed]>,
    pub(super) details: Arc<[(Cow<'static, str>, Value)]>,
    /// The description of a value that exceeded a limit and was dropped; `None` if nothing was dropped.
    pub(super) exceeded: Option<&'static str>,
}

/// Returns the redacted note of an operator, truncated to the length of a message in a report.
pub(super) fn note(text: &str, secrets: &Secrets) -> Arc<str> {
    Arc::from(redact::single_line(&secrets.redact(text), MESSAGE))
}

/// Returns a redacted text, truncated to the length of a message in a log line.
pub(super) fn log_text(text: &str, secrets: &Secrets) -> String {
    redact::single_line(&secrets.redact(text), LOG_MESSAGE)
}

/// Redacts an outcome, truncates long texts, and drops numbers and details that exceed a limit.
pub(super) fn sanitized(outcome: Outcome, secrets: &Secrets) -> SanitizedOutcome {
    let mut exceeded = None;
    let text = outcome.message.map(|message| secrets.redact(&message));
    let label = |text: Cow<'static, str>| match text {
        Cow::Borrowed(short) if short.len() <= LABEL => Cow::Borrowed(short),
        text => Cow::Owned(redact::single_line(&secrets.redact(&text), LABEL)),
    };
    let mut observed: Vec<Observed> = Vec::new();
    for number in outcome.observed {
        if !number.value.is_finite() {
            exceeded = Some("a number that is not finite");
        } else if observed.len() == OBSERVED {
            exceeded = Some("more than 16 observed numbers");
        } else {
            let limits = number.limits.finite();
            observed.push(Observed { name: label(number.name), value: number.value, unit: label(number.unit), limits });
        }
    }
    let mut details = Vec::new();
    let mut room = DETAILS;
    for (key, mut value) in outcome.details {
        redact_member(&key, &mut value, secrets);
        let key = label(key);
        // The two quotes of the key, a colon and a comma.
        let size = key.len() + value.to_string().len() + 4;
        if let Some(left) = room.checked_sub(size) {
            room = left;
            details.push((key, value));
        } else {
            exceeded = Some("details of more than 4 KiB");
        }
    }
    SanitizedOutcome {
        status: outcome.status,
        reason: outcome.reason.map(own_reason),
        message: text.as_deref().map(|text| Arc::from(redact::single_line(text, MESSAGE))),
        log_message: text.as_deref().map(|text| Arc::from(redact::single_line(text, LOG_MESSAGE))),
        observed: shared(observed),
        details: shared(details),
        exceeded,
    }
}

/// Returns the reason of a check. A reason that only the engine may give becomes `failed`.
fn own_reason(reason: Reason) -> Reason {
    match reason {
        Reason::Stale | Reason::Dependency | Reason::Pending | Reason::Draining | Reason::Stopped => Reason::Failed,
        reason => reason,
    }
}

/// Redacts the value of a detail, and replaces the whole value with `***` if its key names a secret. A status under
/// such a key stays, for example the status of a component called `vault-token`. So do null and booleans.
fn redact_member(key: &str, value: &mut Value, secrets: &Secrets) {
    redact_value(value, secrets);
    let is_harmless = match value {
        Value::Null | Value::Bool(_) => true,
        Value::String(text) => is_status(text),
        _ => false,
    };
    if redact::is_secret_key(key) && !is_harmless {
        *value = Value::String("***".to_owned());
    }
}

/// Returns whether a text is a status, or a status, `: ` and a public reason.
fn is_status(text: &str) -> bool {
    let (status, reason) = text.split_once(": ").map_or((text, None), |(status, reason)| (status, Some(reason)));
    let is_known = |reason: &str| Reason::ALL.iter().any(|known| known.as_str() == reason);
    Status::ALL.iter().any(|known| known.as_str() == status) && reason.is_none_or(is_known)
}

fn redact_value(value: &mut Value, secrets: &Secrets) {
    match value {
        Value::String(text) => *text = secrets.redact(text),
        Value::Array(values) => values.iter_mut().for_each(|value| redact_value(value, secrets)),
        Value::Object(members) => {
            let redacted = std::mem::take(members).into_iter().map(|(key, mut value)| {
                redact_member(&key, &mut value, secrets);
                (secrets.redact(&key), value)
            });
            *members = redacted.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Converts a list into a shared one. All empty lists, which nearly every result has, share one allocation.
fn shared<T>(list: Vec<T>) -> Arc<[T]> {
    if list.is_empty() { Arc::default() } else { list.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_over_a_limit_are_dropped_and_named() {
        let mut outcome = Outcome::unhealthy("x".repeat(10_000));
        for number in 0..20_u32 {
            outcome = outcome.observe(format!("n{number}"), number, "");
        }
        let outcome = sanitized(outcome.detail("big", "y".repeat(5_000)).detail("small", 1), &Secrets::default());
        assert_eq!(outcome.message.as_deref().map(|text| text.chars().count()), Some(MESSAGE));
        assert_eq!(outcome.log_message.as_deref().map(|text| text.chars().count()), Some(LOG_MESSAGE));
        assert_eq!(outcome.observed.len(), OBSERVED);
        assert_eq!(outcome.details.len(), 1);
        assert!(outcome.exceeded.is_some());
        assert!(sanitized(Outcome::healthy().observe("nan", f64::NAN, ""), &Secrets::default()).observed.is_empty());
    }

    #[test]
    fn secrets_in_details_are_redacted_at_any_depth() {
        let details =
            json!({"a": ["postgres://u:hunter2@h"], "password": "hunter2", "token": ["hunter2"], "b": {"c": "sesame"}});
        let outcome = Outcome::healthy().detail("all", details).detail("password", "hunter2");
        let outcome = sanitized(outcome, &Secrets::from("sesame"));
        let text = format!("{:?}", outcome.details);
        assert!(!text.contains("hunter2") && !text.contains("sesame"), "{text}");
    }

    /// The key may be the name of a component, which is not the key of a secret.
    #[test]
    fn a_status_under_a_secret_key_stays() {
        let said = |value: &str| {
            let outcome = Outcome::healthy().detail("components", json!({ "vault-token": value }));
            sanitized(outcome, &Secrets::default()).details[0].1["vault-token"].as_str().map(ToOwned::to_owned)
        };
        for value in ["unhealthy", "degraded: timeout"] {
            assert_eq!(said(value).as_deref(), Some(value));
        }
        for value in ["hunter2", "unhealthy: hunter2", "healthy hunter2"] {
            assert_eq!(said(value).as_deref(), Some("***"), "{value}");
        }
    }

    #[test]
    fn a_reason_reserved_for_the_engine_becomes_failed() {
        let outcome = sanitized(Outcome::unhealthy("").reason(Reason::Draining), &Secrets::default());
        assert_eq!(outcome.reason, Some(Reason::Failed));
    }
}
