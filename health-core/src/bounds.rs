//! Every limit on what a check may put into a report, applied once, before anything is published. Pure.

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

/// Characters of a message in a report.
const MESSAGE: usize = 256;
/// Characters of a message in a log line.
const LOG_MESSAGE: usize = 4096;
/// Numbers of one check.
const OBSERVED: usize = 16;
/// Characters of a number's name or unit.
const LABEL: usize = 64;
/// Bytes of one check's details, written as JSON.
const DETAILS: usize = 4096;

/// An outcome after redaction and within bounds.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) message: Option<Arc<str>>,
    pub(crate) log_message: Option<Arc<str>>,
    pub(crate) observed: Arc<[Observed]>,
    pub(crate) details: Arc<[(Cow<'static, str>, Value)]>,
    /// What was dropped, if anything.
    pub(crate) over_bounds: Option<&'static str>,
}

/// An operator's note, redacted and cut to size.
pub(crate) fn note(text: &str, secrets: &Secrets) -> Arc<str> {
    Arc::from(redact::single_line(&secrets.redact(text), MESSAGE))
}

/// Redacts an outcome and drops what is over.
pub(crate) fn bounded(outcome: Outcome, secrets: &Secrets) -> Finding {
    let mut over_bounds = None;
    let text = outcome.message.map(|message| secrets.redact(&message));
    let label = |text: Cow<'static, str>| match text {
        Cow::Borrowed(short) if short.len() <= LABEL => Cow::Borrowed(short),
        text => Cow::Owned(redact::single_line(&secrets.redact(&text), LABEL)),
    };
    let mut observed: Vec<Observed> = Vec::new();
    for number in outcome.observed {
        if !number.value.is_finite() {
            over_bounds = Some("a number that is not finite");
        } else if observed.len() == OBSERVED {
            over_bounds = Some("more than 16 observed numbers");
        } else {
            observed.push(Observed { name: label(number.name), value: number.value, unit: label(number.unit) });
        }
    }
    let mut details = Vec::new();
    let mut room = DETAILS;
    for (key, mut value) in outcome.details {
        redact_member(&key, &mut value, secrets);
        let key = label(key);
        // Two pairs of quotes or brackets, a colon and a comma are what the pair costs beside its own bytes.
        let size = key.len() + value.to_string().len() + 4;
        if let Some(left) = room.checked_sub(size) {
            room = left;
            details.push((key, value));
        } else {
            over_bounds = Some("details of more than 4 KiB");
        }
    }
    Finding {
        status: outcome.status,
        reason: outcome.reason.map(of_a_check),
        message: text.as_deref().map(|text| Arc::from(redact::single_line(text, MESSAGE))),
        log_message: text.as_deref().map(|text| Arc::from(redact::single_line(text, LOG_MESSAGE))),
        observed: observed.into(),
        details: details.into(),
        over_bounds,
    }
}

/// The reasons that only the scheduler and the lifecycle give are not a check's to claim.
fn of_a_check(reason: Reason) -> Reason {
    match reason {
        Reason::Stale
        | Reason::Dependency
        | Reason::Pending
        | Reason::Starting
        | Reason::Draining
        | Reason::Stopped => Reason::Failed,
        reason => reason,
    }
}

/// Redacts a value, and all of it where its key says that it is a secret.
fn redact_member(key: &str, value: &mut Value, secrets: &Secrets) {
    redact_value(value, secrets);
    let pair = format!("{key}='x'");
    if !value.is_null() && redact::shapes(&pair) != pair {
        *value = Value::String("***".to_owned());
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_over_is_dropped_and_said() {
        let mut outcome = Outcome::unhealthy("x".repeat(10_000));
        for number in 0..20_u32 {
            outcome = outcome.observe(format!("n{number}"), number, "");
        }
        let finding = bounded(outcome.detail("big", "y".repeat(5_000)).detail("small", 1), &Secrets::default());
        assert_eq!(finding.message.as_deref().map(|text| text.chars().count()), Some(MESSAGE));
        assert_eq!(finding.log_message.as_deref().map(|text| text.chars().count()), Some(LOG_MESSAGE));
        assert_eq!(finding.observed.len(), OBSERVED);
        assert_eq!(finding.details.len(), 1);
        assert!(finding.over_bounds.is_some());
        assert!(bounded(Outcome::healthy().observe("nan", f64::NAN, ""), &Secrets::default()).observed.is_empty());
    }

    #[test]
    fn secrets_leave_details_at_any_depth() {
        let details =
            json!({"a": ["postgres://u:hunter2@h"], "password": "hunter2", "token": ["hunter2"], "b": {"c": "sesame"}});
        let outcome = Outcome::healthy().detail("all", details).detail("password", "hunter2");
        let finding = bounded(outcome, &Secrets::from("sesame"));
        let text = format!("{:?}", finding.details);
        assert!(!text.contains("hunter2") && !text.contains("sesame"), "{text}");
    }

    #[test]
    fn a_check_cannot_claim_the_lifecycles_reasons() {
        let finding = bounded(Outcome::unhealthy("").reason(Reason::Draining), &Secrets::default());
        assert_eq!(finding.reason, Some(Reason::Failed));
    }
}
