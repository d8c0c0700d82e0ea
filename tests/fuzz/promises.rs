//! The promises for all external input. The property tests and the coverage-guided programs share them.

use std::time::Duration;

use health_core::{CheckExt as _, Endpoint, Health, Outcome, Request, Status, Visibility, check_fn, testing};

/// The parts of a request that the endpoint reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) accept: Option<String>,
    pub(crate) authorization: Option<String>,
}

impl Sent {
    /// Reads one part from each line. A missing line is not sent.
    fn from_lines(text: &str) -> Self {
        let mut lines = text.split('\n').map(ToOwned::to_owned);
        Self {
            method: lines.next().unwrap_or_default(),
            path: lines.next().unwrap_or_default(),
            query: lines.next(),
            accept: lines.next(),
            authorization: lines.next(),
        }
    }
}

/// Returns an endpoint with one failed and one pending check.
pub(crate) fn endpoint(visibility: Visibility) -> Endpoint {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = testing::Frozen::new(Health::builder().check("a", ok().tag("t")).check("b", ok())).expect("a Health");
    frozen.record("a", Outcome::unhealthy("no"), Duration::ZERO).expect("a check");
    Endpoint::new(frozen.health()).visibility(visibility).full_for_bearer("a-token-of-16-bytes")
}

/// Returns an endpoint for each visibility.
pub(crate) fn endpoints() -> [(Visibility, Endpoint); 3] {
    [Visibility::Status, Visibility::Checks, Visibility::Full].map(|visibility| (visibility, endpoint(visibility)))
}

/// Reads a byte that chooses the visibility, and a request with one part per line.
pub(crate) fn request_input(endpoints: &[(Visibility, Endpoint); 3], input: &[u8]) {
    let Some((choice, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (visibility, endpoint) = &endpoints[usize::from(*choice) % endpoints.len()];
    request(endpoint, *visibility, &Sent::from_lines(text));
}

/// Reads a content type, a line feed and a body.
pub(crate) fn upstream_document_input(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (content_type, body) = input.split_at(end);
    upstream_document(&String::from_utf8_lossy(content_type), body.strip_prefix(b"\n").unwrap_or(body));
}

/// For any answer to a probe, the output is short, has exactly one `|`, and no control character that a terminal would
/// interpret.
pub(crate) fn probe_answer_input(input: &[u8]) {
    let text = health_probe::nagios_output(input);
    assert!(text.len() <= 4096, "{} bytes", text.len());
    assert_eq!(text.matches('|').count(), 1, "{text}");
    let (line, more) = text.split_once('\n').expect("a line");
    let word = line.strip_prefix("HEALTH ").and_then(|rest| rest.split(':').next());
    assert!(["OK", "WARNING", "CRITICAL", "UNKNOWN"].contains(&word.unwrap_or_default()), "{line}");
    assert!(!line.contains(char::is_control) && !more.replace('\n', "").contains(char::is_control), "{text:?}");
}

/// A secret is removed, whatever text precedes it.
pub(crate) fn redaction_input(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let redacted = testing::redacted(&format!("{text}\npassword=k7q-p9z"));
    assert!(!redacted.contains("k7q") && !redacted.contains("p9z"), "{redacted}");
    assert!(redacted.len() <= 4 * text.len() + 32, "{} bytes became {}", text.len(), redacted.len());
}

/// A request gets an answer within the contract, or none because the path belongs to the application.
pub(crate) fn request(endpoint: &Endpoint, visibility: Visibility, sent: &Sent) {
    let header = |name: &str| match name {
        "accept" => sent.accept.as_deref(),
        "authorization" => sent.authorization.as_deref(),
        _ => None,
    };
    let Sent { method, path, query, authorization, .. } = sent;
    let lines = |name: &str, line: usize| header(name).filter(|_| line == 0);
    let request = Request::new(method, path, query.as_deref(), None, &lines);
    let Some(response) = endpoint.respond(&request) else {
        assert!(!endpoint.owns(path));
        return;
    };
    assert!(endpoint.owns(path));
    assert!([200, 400, 404, 405, 503].contains(&response.status), "{}", response.status);
    assert_eq!(response.content_length, response.body.len());
    for (_, value) in response.headers.iter() {
        assert!(value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~')));
    }
    if visibility == Visibility::Status && authorization.is_none() && response.status == 503 {
        let body = String::from_utf8_lossy(&response.body);
        assert!(!body.contains('['), "{body}");
    }
}

/// Any answer of another service is read as a verdict with a few short names, or as no health document.
fn upstream_document(content_type: &str, body: &[u8]) {
    let Some((status, failing)) = testing::upstream_document(content_type, body) else { return };
    assert!(status <= Status::Unhealthy);
    assert!(failing.len() <= 256, "{} components", failing.len());
    for component in failing {
        assert!(component.chars().count() <= 600, "{component}");
        assert!(!component.contains(char::is_control), "{component:?}");
    }
}
