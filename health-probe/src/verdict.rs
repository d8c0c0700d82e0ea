//! The verdict on a service, derived from an answer. All functions are pure.

use health_documents::{Component, Document, Status};

use crate::answer::Answer;

/// The state of a service or of a check. The order is from the best state to the worst, and `Unknown` is last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Everything works.
    Healthy,
    /// The service or check works, but something needs attention.
    Degraded,
    /// The service or check does not work, or does not answer.
    Unhealthy,
    /// The answer is not a health page, or does not contain the state of the check.
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
}

impl State {
    const fn of(status: Status) -> Self {
        match status {
            Status::Healthy => Self::Healthy,
            Status::Degraded => Self::Degraded,
            Status::Unhealthy => Self::Unhealthy,
        }
    }
}

/// The result of a request to a health endpoint.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The state of the service.
    pub state: State,
    /// A short text for the cause, such as `database unreachable`. Empty if the service is Healthy.
    pub cause: String,
    /// The HTTP status code; `None` if there was no answer, and over gRPC.
    pub code: Option<u16>,
    /// The checks on the page.
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
    /// The public reason. Empty if the page has none, for example because the check is Healthy.
    pub reason: String,
    /// The message, which a page has only at full visibility. Empty if the page has none.
    pub message: String,
    /// The duration of the check's last run, in seconds; `None` if the page has none.
    pub seconds: Option<f64>,
    /// The numbers that the check observed: name, value, unit.
    pub observed: Vec<(String, f64, String)>,
}

impl Verdict {
    pub(crate) fn new(state: State, cause: impl Into<String>) -> Self {
        Self { state, cause: cause.into(), code: None, checks: Vec::new() }
    }
}

/// The largest number of failing checks that a cause names.
const TOLD: usize = 8;

/// Returns the verdict for an answer.
pub(crate) fn of(answer: &Answer) -> Verdict {
    let mut by_code = match answer.code {
        200..=299 => (State::Healthy, String::new()),
        429 => (State::Degraded, String::new()),
        500..=599 => (State::Unhealthy, format!("HTTP {}", answer.code)),
        300..=399 => (State::Unknown, format!("HTTP {}: redirects are not followed", answer.code)),
        404 => (State::Unknown, "HTTP 404: there is no such page".to_owned()),
        code => (State::Unknown, format!("HTTP {code}")),
    };
    let mut verdict = match health_documents::read(answer.code, &answer.content_type, &answer.body) {
        Some(document) => said(document),
        None => Verdict::new(State::Unknown, ""),
    };
    if verdict.state == State::Unknown && by_code.0 == State::Healthy && !answer.body.trim_ascii().is_empty() {
        // For example the front page of a web site.
        by_code = (State::Unknown, "the page is not a health page".to_owned());
    }
    // A worse code overrides the document, because a proxy in front of the service may have set it. An Unhealthy
    // document stands with every code, because a service may be configured to answer Unhealthy with a code below 500.
    if verdict.state == State::Unknown || verdict.state < State::Unhealthy && by_code.0 > verdict.state {
        verdict = Verdict { checks: verdict.checks, ..Verdict::new(by_code.0, by_code.1) };
    }
    verdict.code = Some(answer.code);
    verdict
}

/// Returns the verdict of a health document.
fn said(document: Document) -> Verdict {
    let causes = document.causes();
    let mut words: Vec<String> = document.reason.clone().into_iter().collect();
    words.extend(causes.iter().take(TOLD).map(ToString::to_string));
    if causes.len() > TOLD {
        words.push(format!("{} more", causes.len() - TOLD));
    }
    let checks = document.components.into_iter().map(CheckVerdict::of).collect();
    Verdict { checks, ..Verdict::new(State::of(document.status), words.join(", ")) }
}

impl CheckVerdict {
    fn of(component: Component) -> Self {
        Self {
            name: component.name,
            state: State::of(component.status),
            reason: component.reason.unwrap_or_default(),
            message: component.message.unwrap_or_default(),
            seconds: component.seconds,
            observed: component.observed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(code: u16, body: &str) -> (State, String, usize) {
        let verdict = of(&Answer { code, content_type: String::new(), body: body.as_bytes().to_vec() });
        (verdict.state, verdict.cause, verdict.checks.len())
    }

    #[test]
    fn every_kind_of_page_has_its_verdict() {
        let bad = r#"{"status":"unhealthy","root_causes":["db"],"checks":{
            "db":{"status":"unhealthy","reason":"timeout"},"jobs":{"status":"unhealthy","reason":"dependency"}}}"#;
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
                "c degraded",
                1,
            ),
            (429, r#"{"status":"degraded"}"#, State::Degraded, "", 0),
            (503, "[+]a ok\n[-]db failed: reason withheld\nreadyz check failed\n", State::Unhealthy, "db unhealthy", 2),
            (503, "[-]db failed: timeout", State::Unhealthy, "db timeout", 1),
            (200, "[+]a ok\n[+]c ok (degraded)\nreadyz check passed\n", State::Degraded, "c degraded", 2),
            (200, "livez check passed\n", State::Healthy, "", 0),
            (503, "readyz check failed\n", State::Unhealthy, "", 0),
            (200, "Your browser check passed", State::Unknown, "the page is not a health page", 0),
            (403, "Your browser check failed", State::Unknown, "HTTP 403", 0),
            (503, "no upstream: health check failed", State::Unhealthy, "HTTP 503", 0),
            // A worse code overrides the page, and a better code does not hide an Unhealthy page.
            (503, r#"{"status":"healthy"}"#, State::Unhealthy, "HTTP 503", 0),
            (502, "<html>bad gateway</html>", State::Unhealthy, "HTTP 502", 0),
            (200, r#"{"status":"unhealthy"}"#, State::Unhealthy, "", 0),
            (200, "<html>welcome</html>", State::Unknown, "the page is not a health page", 0),
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
