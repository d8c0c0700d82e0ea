//! Parses the health documents of other services, in any of the dialects below. Pure: takes bytes, and returns a status
//! and components.
//!
//! | dialect | identified by | status |
//! |---|---|---|
//! | this library | `checks`, an object of objects | `healthy` `degraded` `unhealthy` |
//! | `application/health+json` | `checks`, an object of arrays | `pass` `warn` `fail` and their aliases |
//! | MicroProfile | `checks`, an array | `UP` `DOWN` |
//! | Spring Boot | `components`, or `details` before 2.2 | `UP` `UNKNOWN` `DOWN` `OUT_OF_SERVICE` |
//! | ASP.NET UI | `entries` | `Healthy` `Degraded` `Unhealthy` |
//! | ASP.NET | text: one word | `Healthy` `Degraded` `Unhealthy` |
//! | Kubernetes | text: `ok`, or `[+]` and `[-]` lines | `ok`, the closing line, or the worst line |

use std::fmt;

use serde_json::{Map, Value};

use crate::model::status::Status;

/// The maximum number of components kept. More are of no use to a reader.
const READ: usize = 256;
/// The maximum length of a component's name or reason, in characters.
const WORD: usize = 64;
/// The maximum depth to which Spring Boot's nested components are followed.
const DEEP: usize = 4;

/// A parsed document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) status: Status,
    /// The reason of the service itself, if no component is the cause.
    pub(super) reason: Option<String>,
    pub(super) components: Vec<Component>,
}

/// A component of the service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) reason: Option<String>,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.reason {
            Some(reason) => write!(f, " {reason}"),
            None => write!(f, " {}", self.status),
        }
    }
}

/// Parses a document; `None` if it is in none of the known dialects.
pub(super) fn read(content_type: &str, body: &[u8]) -> Option<Document> {
    if content_type.contains("json") || body.first() == Some(&b'{') {
        let value: Value = serde_json::from_slice(body).ok()?;
        return json(value.as_object()?);
    }
    text(std::str::from_utf8(body).ok()?.trim())
}

/// Returns the status for a word of any dialect; `None` for any other word. The word `unknown` is Degraded, because it
/// needs attention.
fn status(word: &str) -> Option<Status> {
    Some(match word.to_ascii_lowercase().as_str() {
        "healthy" | "pass" | "ok" | "up" => Status::Healthy,
        "degraded" | "warn" | "unknown" => Status::Degraded,
        "unhealthy" | "fail" | "error" | "down" | "out_of_service" => Status::Unhealthy,
        _ => return None,
    })
}

fn json(document: &Map<String, Value>) -> Option<Document> {
    let status = status(document.get("status")?.as_str()?)?;
    let mut components = Vec::new();
    match document.get("checks") {
        Some(Value::Array(checks)) => {
            for check in checks {
                let name = check.get("name").and_then(Value::as_str).unwrap_or_default();
                components.extend(component(name, check));
            }
        }
        Some(Value::Object(checks)) => {
            for (name, check) in checks {
                match check {
                    Value::Array(measurements) => components.extend(worst(name, measurements)),
                    check => components.extend(component(name, check)),
                }
            }
        }
        _ => {
            let parts = ["components", "details", "entries"].iter().find_map(|key| document.get(*key)?.as_object());
            if let Some(parts) = parts {
                nested(&mut components, "", parts, DEEP);
            }
        }
    }
    components.truncate(READ);
    Some(Document { status, reason: said(document, &["reason"]), components })
}

/// Collects nested components, because components of Spring Boot can have components.
fn nested(components: &mut Vec<Component>, above: &str, parts: &Map<String, Value>, deep: usize) {
    for (name, part) in parts {
        let name = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
        match part.get("components").and_then(Value::as_object) {
            Some(parts) if deep > 0 => nested(components, &name, parts, deep - 1),
            _ => components.extend(component(&name, part)),
        }
    }
}

fn component(name: &str, value: &Value) -> Option<Component> {
    let status = status(value.get("status")?.as_str()?)?;
    Some(Component { name: word(name), status, reason: said(value.as_object()?, &["reason"]) })
}

/// Returns the worst of a component's measurements, under the component's name without the measurement's name.
fn worst(name: &str, measurements: &[Value]) -> Option<Component> {
    let name = name.split_once(':').map_or(name, |(component, _)| component);
    measurements.iter().filter_map(|measurement| component(name, measurement)).max_by_key(|component| component.status)
}

/// Returns the first of these members that is a text. Error texts are not read, because they belong in the other
/// service's logs.
fn said(object: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| object.get(*key)?.as_str()).map(word)
}

fn word(text: &str) -> String {
    text.chars().take(WORD).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn text(body: &str) -> Option<Document> {
    if let Some(status) = status(body) {
        return Some(Document { status, reason: None, components: Vec::new() });
    }
    let mut components: Vec<Component> = Vec::new();
    let mut verdict = None;
    for line in body.lines() {
        let (good, rest) = match (line.strip_prefix("[+]"), line.strip_prefix("[-]")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => {
                verdict = match (line.ends_with(" check passed"), line.ends_with(" check failed")) {
                    (true, _) => Some(Status::Healthy),
                    (_, true) => Some(Status::Unhealthy),
                    _ => verdict,
                };
                continue;
            }
        };
        let name = rest.split(' ').next().unwrap_or_default();
        let status = match (good, rest.ends_with("(degraded)")) {
            (true, false) => Status::Healthy,
            (true, true) => Status::Degraded,
            (false, _) => Status::Unhealthy,
        };
        components.push(Component { name: word(name), status, reason: None });
    }
    components.truncate(READ);
    // The page of a single check has no closing line.
    let worst = components.iter().map(|component| component.status).max();
    let status = match (verdict, worst) {
        (Some(Status::Healthy), Some(Status::Degraded)) => Status::Degraded,
        (Some(verdict), _) => verdict,
        (None, worst) => worst?,
    };
    Some(Document { status, reason: None, components })
}

/// Parses a document with [`read`], and returns its status and its failing components as plain values.
#[cfg(feature = "testing")]
pub(crate) fn verdict(content_type: &str, body: &[u8]) -> Option<(Status, Vec<String>)> {
    read(content_type, body).map(|document| {
        let failing = document.components.iter().filter(|component| component.status > Status::Healthy);
        (document.status, failing.map(ToString::to_string).collect())
    })
}

#[cfg(test)]
mod tests;
