//! Derives the verdict on a service from an answer. Pure.

use serde_json::{Map, Value};

use crate::answer::Answer;

/// The state of a service or of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Everything works.
    Healthy,
    /// The service or check works, but something needs attention.
    Degraded,
    /// The service or check does not work, or does not answer.
    Unhealthy,
    /// The answer is not a health page, or does not give the check's state.
    Unknown,
}

impl State {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    /// Parses a status word of this project's documents, of `application/health+json` and of similar documents.
    fn read(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "healthy" | "pass" | "ok" | "up" => Some(Self::Healthy),
            "degraded" | "warn" => Some(Self::Degraded),
            "unhealthy" | "fail" | "error" | "down" => Some(Self::Unhealthy),
            _ => None,
        }
    }
}

/// The result of asking a health endpoint.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The state of the service.
    pub state: State,
    /// The cause in a few words: `database unreachable`. Empty if the service is Healthy.
    pub cause: String,
    /// The HTTP status code; `None` without an answer and over gRPC.
    pub code: Option<u16>,
    /// The checks that the page names.
    pub checks: Vec<CheckVerdict>,
}

/// One check of a health page.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckVerdict {
    /// The name of the check.
    pub name: String,
    /// The state of the check.
    pub state: State,
    /// The public reason, one word. Empty if the check is Healthy.
    pub reason: String,
    /// The message, which a page has only at full visibility.
    pub message: String,
    /// The duration of the check's last run, in seconds.
    pub seconds: Option<f64>,
    /// The numbers that the check observed: name, value, unit.
    pub observed: Vec<(String, f64, String)>,
}

impl Verdict {
    pub(crate) fn new(state: State, cause: impl Into<String>) -> Self {
        Self { state, cause: cause.into(), code: None, checks: Vec::new() }
    }
}

/// The maximum number of failing checks that a cause names.
const TOLD: usize = 8;

pub(crate) fn of(answer: &Answer) -> Verdict {
    let mut by_code = match answer.code {
        200..=299 => (State::Healthy, String::new()),
        429 => (State::Degraded, String::new()),
        500..=599 => (State::Unhealthy, format!("HTTP {}", answer.code)),
        300..=399 => (State::Unknown, format!("HTTP {}: redirects are not followed", answer.code)),
        404 => (State::Unknown, "HTTP 404: there is no such page".to_owned()),
        code => (State::Unknown, format!("HTTP {code}")),
    };
    let text = String::from_utf8_lossy(&answer.body);
    let mut verdict = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(Value::Object(document)) => json(&document),
        _ => kubernetes(&text),
    };
    if verdict.state == State::Unknown && by_code.0 == State::Healthy && !text.trim().is_empty() {
        // For instance the front page of a web site.
        by_code = (State::Unknown, "the page is no health page".to_owned());
    }
    // A worse code overrides the document, because a proxy in front of the service may know better. An Unhealthy
    // document stands with every code, because a service may be configured to answer Unhealthy with a code below 500.
    if verdict.state == State::Unknown || verdict.state < State::Unhealthy && by_code.0 > verdict.state {
        verdict = Verdict { checks: verdict.checks, ..Verdict::new(by_code.0, by_code.1) };
    }
    verdict.code = Some(answer.code);
    verdict
}

/// Returns the verdict of this project's document, of `application/health+json`, and of similar documents.
fn json(document: &Map<String, Value>) -> Verdict {
    let word =
        |value: &Map<String, Value>, name: &str| value.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let state = |value: &Map<String, Value>| State::read(&word(value, "status"));
    let Some(overall) = state(document) else { return Verdict::new(State::Unknown, "") };
    let mut checks: Vec<CheckVerdict> = match document.get("checks") {
        Some(Value::Object(checks)) => checks
            .iter()
            .filter_map(|(name, check)| {
                // `application/health+json` has a list for each component.
                let check = check.as_object().or_else(|| check.as_array()?.first()?.as_object())?;
                let observed = check.get("observed").and_then(Value::as_object);
                let mut observed: Vec<_> = observed.into_iter().flatten().filter_map(observation).collect();
                observed.sort_by(|(one, ..), (other, ..)| one.cmp(other));
                Some(CheckVerdict {
                    name: name.clone(),
                    state: state(check).unwrap_or(State::Unknown),
                    reason: word(check, "reason"),
                    message: word(check, if check.contains_key("message") { "message" } else { "output" }),
                    seconds: check
                        .get("duration_ms")
                        .and_then(Value::as_f64)
                        .map(|millis| (millis * 100.0).round() / 1e5),
                    observed,
                })
            })
            .collect(),
        _ => Vec::new(),
    };
    // Sorted, because the application's features of serde_json decide the order of an object's members.
    checks.sort_by(|one, other| one.name.cmp(&other.name));
    let mut named: Vec<&CheckVerdict> = Vec::new();
    let roots = document.get("root_causes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    named.extend(roots.filter_map(|root| checks.iter().find(|check| check.name == root)));
    if named.is_empty() {
        named.extend(checks.iter().filter(|check| check.state >= State::Unhealthy.min(overall)));
    }
    let mut causes: Vec<String> =
        Some(word(document, "reason")).into_iter().filter(|reason| !reason.is_empty()).collect();
    if overall > State::Healthy {
        causes.extend(named.iter().take(TOLD).map(|check| describe(check)));
        if named.len() > TOLD {
            causes.push(format!("{} more", named.len() - TOLD));
        }
    }
    Verdict { checks, ..Verdict::new(overall, causes.join(", ")) }
}

fn describe(check: &CheckVerdict) -> String {
    let why = if check.reason.is_empty() { check.state.word() } else { &check.reason };
    format!("{} {why}", check.name)
}

fn observation((name, it): (&String, &Value)) -> Option<(String, f64, String)> {
    let value = it.get("value")?.as_f64()?;
    Some((name.clone(), value, it.get("unit").and_then(Value::as_str).unwrap_or_default().to_owned()))
}

/// Returns the verdict of Kubernetes' text format: `ok`, or a line for each check.
fn kubernetes(text: &str) -> Verdict {
    let mut checks = Vec::new();
    for line in text.lines() {
        let (state, rest) = match (line.strip_prefix("[+]"), line.strip_prefix("[-]")) {
            (Some(rest), _) => (if rest.ends_with("(degraded)") { State::Degraded } else { State::Healthy }, rest),
            (_, Some(rest)) => (State::Unhealthy, rest),
            _ => continue,
        };
        let (name, said) = rest.split_once(' ').unwrap_or((rest, ""));
        let reason = said.strip_prefix("failed: ").filter(|reason| *reason != "reason withheld").unwrap_or("");
        checks.push(CheckVerdict {
            name: name.to_owned(),
            state,
            reason: reason.to_owned(),
            message: String::new(),
            seconds: None,
            observed: Vec::new(),
        });
    }
    let last = text.lines().last().unwrap_or_default();
    let worst = checks.iter().map(|check| check.state).max();
    let state = match worst {
        // Without lines for checks: a closing line, `ok`, or the one word of another service.
        None => match text.trim().split_once(' ') {
            Some((_, "check passed")) => State::Healthy,
            Some((_, "check failed")) => State::Unhealthy,
            _ => State::read(text.trim()).unwrap_or(State::Unknown),
        },
        // The closing line passes only if every failing check is excluded, and excluded checks do not count.
        Some(State::Unhealthy) if last.ends_with("check passed") => State::Healthy,
        Some(worst) => worst,
    };
    let failing = checks.iter().filter(|check| check.state == state && state > State::Healthy);
    let cause = failing.take(TOLD).map(describe).collect::<Vec<_>>().join(", ");
    Verdict { checks, ..Verdict::new(state, cause) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(code: u16, body: &str) -> (State, String, usize) {
        let verdict = of(&Answer { code, body: body.as_bytes().to_vec() });
        (verdict.state, verdict.cause, verdict.checks.len())
    }

    #[test]
    fn every_kind_of_page_has_its_verdict() {
        let bad = r#"{"status":"unhealthy","root_causes":["db"],"checks":{"db":{"status":"unhealthy","reason":"timeout"},
            "jobs":{"status":"unhealthy","reason":"dependency"}}}"#;
        for (code, body, state, cause, checks) in [
            (200, "ok", State::Healthy, "", 0),
            (200, r#"{"status":"healthy","checks":{"a":{"status":"healthy"}}}"#, State::Healthy, "", 1),
            (503, bad, State::Unhealthy, "db timeout", 2),
            (503, r#"{"status":"unhealthy","reason":"draining","checks":{}}"#, State::Unhealthy, "draining", 0),
            (503, r#"{"status":"unhealthy"}"#, State::Unhealthy, "", 0),
            (
                200,
                r#"{"status":"degraded","checks":{"c":{"status":"unhealthy","reason":"slow"}}}"#,
                State::Degraded,
                "c slow",
                1,
            ),
            (
                200,
                r#"{"status":"warn","checks":{"c:responseTime":[{"status":"warn","output":"x"}]}}"#,
                State::Degraded,
                "c:responseTime degraded",
                1,
            ),
            (429, r#"{"status":"degraded"}"#, State::Degraded, "", 0),
            (503, "[+]a ok\n[-]db failed: reason withheld\nreadyz check failed\n", State::Unhealthy, "db unhealthy", 2),
            (503, "[-]db failed: timeout", State::Unhealthy, "db timeout", 1),
            (200, "[+]a ok\n[+]c ok (degraded)\nreadyz check passed\n", State::Degraded, "c degraded", 2),
            (200, "livez check passed\n", State::Healthy, "", 0),
            (503, "readyz check failed\n", State::Unhealthy, "", 0),
            (200, "Your browser check passed", State::Unknown, "the page is no health page", 0),
            (403, "Your browser check failed", State::Unknown, "HTTP 403", 0),
            (503, "no upstream: health check failed", State::Unhealthy, "HTTP 503", 0),
            // A worse code overrides the page, and a better code does not hide an Unhealthy page.
            (503, r#"{"status":"healthy"}"#, State::Unhealthy, "HTTP 503", 0),
            (502, "<html>bad gateway</html>", State::Unhealthy, "HTTP 502", 0),
            (200, r#"{"status":"unhealthy"}"#, State::Unhealthy, "", 0),
            (200, "<html>welcome</html>", State::Unknown, "the page is no health page", 0),
            (200, "Healthy\n", State::Healthy, "", 0),
            (200, "", State::Healthy, "", 0),
            (404, r#"{"status":"ok"}"#, State::Unknown, "HTTP 404: there is no such page", 0),
            (404, r#"{"status":"unhealthy","reason":"draining"}"#, State::Unhealthy, "draining", 0),
            (302, r#"{"status":"up"}"#, State::Unknown, "HTTP 302: redirects are not followed", 0),
            (429, r#"{"status":"healthy"}"#, State::Degraded, "", 0),
            (404, "There is nothing", State::Unknown, "HTTP 404: there is no such page", 0),
            (301, "", State::Unknown, "HTTP 301: redirects are not followed", 0),
            (401, "", State::Unknown, "HTTP 401", 0),
        ] {
            assert_eq!(says(code, body), (state, cause.to_owned(), checks), "{code} {body}");
        }
        let many: String = (0..12).map(|n| format!(r#""c{n:02}":{{"status":"unhealthy"}},"#)).collect();
        let many = format!(r#"{{"status":"unhealthy","checks":{{{}}}}}"#, many.trim_end_matches(','));
        let well = many.replace("unhealthy", "healthy");
        assert_eq!(says(200, &well), (State::Healthy, String::new(), 12));
        assert!(says(503, &many).1.ends_with("c07 unhealthy, 4 more"), "{:?}", says(503, &many));
    }
}
