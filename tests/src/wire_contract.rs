//! The states and requests that the tests of the wire contract compare: a frozen `Health`, and the answers of the core
//! without a server.

use std::time::{Duration, SystemTime};

use health_core::{
    CheckExt as _, Endpoint, Format, Health, Lifecycle, Outcome, Reason, Request, Visibility, check_fn, testing::Frozen,
};

use crate::{http::Answer, support::Asks};

/// The token for full visibility at two of the endpoints.
pub const TOKEN: &str = "the-token-of-the-conformance-table";

/// A state of the frozen `Health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No check has run.
    Starting,
    /// Every check is healthy.
    Healthy,
    /// An optional check fails.
    Degraded,
    /// A critical check fails.
    Unhealthy,
    /// Every result is older than `stale_after`.
    Stale,
    /// The service drains.
    Draining,
    /// The checks have stopped.
    Stopped,
}

/// Every state.
pub const STATES: [State; 7] =
    [State::Starting, State::Healthy, State::Degraded, State::Unhealthy, State::Stale, State::Draining, State::Stopped];

/// Returns a frozen `Health` with four checks, and with a fifth that queries another service if `asks` is set.
#[must_use]
pub fn frozen(asks: bool) -> Frozen {
    let ok = || check_fn(|| async { Ok(()) });
    let builder = Health::builder()
        .service("orders \"east\"")
        .version("1.4.2")
        .check("database", ok().startup_despite_dependency().tag("sql"))
        .check("cache", ok().optional().tag("sql").tag("fast"))
        .check("worker", ok().local().liveness())
        .check("reports", ok().report_only().depends_on("database"));
    let builder = if asks { builder.check("billing", Asks.optional()) } else { builder };
    Frozen::new(builder).expect("a valid configuration")
}

/// Puts the frozen `Health` into a state.
pub fn enter(frozen: &Frozen, state: State) {
    let health = frozen.health();
    let checks: Vec<String> = health.report().checks().iter().map(|check| check.name().to_string()).collect();
    checks.iter().for_each(|check| frozen.forget(check).expect("a registered check"));
    frozen.lifecycle(Lifecycle::Starting);
    if state == State::Starting {
        return;
    }
    let record =
        |check, outcome| frozen.record(check, outcome, Duration::from_micros(1_420)).expect("a registered check");
    record("database", Outcome::healthy().observe("pool_size", 4, "connections").detail("role", "primary"));
    record("cache", Outcome::healthy());
    record("worker", Outcome::healthy().observe("age", 0.25, "s"));
    record("reports", Outcome::healthy());
    let asks = checks.contains(&"billing".to_owned());
    if asks {
        record("billing", Outcome::healthy().message("the service says degraded"));
    }
    match state {
        State::Degraded => record("cache", Outcome::unhealthy("refused | \"by\" 10.0.0.1").reason(Reason::Unreachable)),
        State::Unhealthy => {
            if asks {
                let until = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
                health.mute("worker", until, "known since noon").expect("a moment in the future");
                record("billing", Outcome::unhealthy("the service says unhealthy: database unreachable"));
            }
            record("database", Outcome::unhealthy("postgres://app:hunter2@db said no").reason(Reason::Rejected));
            record("worker", Outcome::degraded("late").reason(Reason::Threshold));
        }
        State::Stale => frozen.advance(Duration::from_secs(18)),
        State::Draining => frozen.lifecycle(Lifecycle::Draining),
        State::Stopped => frozen.lifecycle(Lifecycle::Stopped),
        State::Starting | State::Healthy => {}
    }
}

/// Returns the mounted endpoints, all of the same `Health`.
#[must_use]
pub fn endpoints(health: &Health) -> Vec<(&'static str, Endpoint)> {
    let endpoint = || Endpoint::new(health.clone());
    vec![
        ("status", endpoint().visibility(Visibility::Status).full_for_bearer(TOKEN)),
        ("checks", endpoint().full_for_bearer("an-older-token-of-ours").full_for_bearer(TOKEN)),
        ("full", endpoint().visibility(Visibility::Full)),
        (
            "other",
            endpoint()
                .base_path("/a/b.c")
                .kubernetes_paths(false)
                .unhealthy_code(599)
                .degraded_code(429)
                .format(Format::Health)
                .full_for(|request| request.query().is_some_and(|query| query.contains("panic") && panic!("as asked"))),
        ),
    ]
}

/// A request as the client sends it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The method.
    pub method: &'static str,
    /// The path, and the query if there is one.
    pub target: String,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// Whether to send HTTP/1.0 without a Host header.
    pub http_1_0: bool,
}

/// Returns a request without headers.
pub fn sent(method: &'static str, target: impl Into<String>) -> Sent {
    Sent { method, target: target.into(), headers: Vec::new(), http_1_0: false }
}

/// Returns a GET with one header.
pub fn with(target: &str, header: &'static str, value: impl Into<String>) -> Sent {
    Sent { headers: vec![(header, value.into())], ..sent("GET", target) }
}

/// Returns the core's answer in the form that a client receives, or `None` if the path does not belong to the endpoint.
#[must_use]
pub fn expected(endpoint: &Endpoint, sent: &Sent) -> Option<Answer> {
    let (path, query) =
        sent.target.split_once('?').map_or((sent.target.as_str(), None), |(path, query)| (path, Some(query)));
    let lines = |name: &str, line: usize| {
        let mut lines = sent.headers.iter().filter(|(known, _)| *known == name);
        lines.nth(line).map(|(_, value)| value.as_str())
    };
    let request = Request::new(sent.method, path, query, None, &lines);
    let response = endpoint.respond(&request)?;
    let mut headers: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|(name, value)| {
            (name.to_owned(), String::from_utf8(value.as_bytes().to_vec()).expect("a header value of UTF-8"))
        })
        .collect();
    headers.push(("content-length".to_owned(), response.content_length.to_string()));
    headers.sort();
    assert_eq!(response.content_length, response.body.len());
    let body = if sent.method == "HEAD" { Vec::new() } else { response.body.to_vec() };
    Some(Answer { status: response.status, headers, body })
}
