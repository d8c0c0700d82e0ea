//! The same request in the same state gets the same bytes from the bare core and from every framework in every form.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use health_core::{
    CheckExt as _, Endpoint, Format, Health, Lifecycle, Outcome, Reason, Request, Visibility, check_fn, testing::Frozen,
};
use health_tests::{
    http::{self, Answer},
    mount::{self, APPLICATION, Server},
};

use crate::support::{Asks, long};

const TOKEN: &str = "the-token-of-the-conformance-table";

/// The state that the one frozen `Health` is put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Healthy,
    Degraded,
    Unhealthy,
    /// Every result is older than `stale_after`.
    Stale,
    Draining,
    Stopped,
}

const STATES: [State; 7] =
    [State::Starting, State::Healthy, State::Degraded, State::Unhealthy, State::Stale, State::Draining, State::Stopped];

/// Four checks, and for the servers' table one more that asks a service.
fn frozen(asks: bool) -> Frozen {
    let ok = || check_fn(|| async { Ok(()) });
    let builder = Health::builder()
        .service("orders \"east\"")
        .version("1.4.2")
        .check("database", ok().startup_despite_dependency().tag("sql"))
        .check("cache", ok().optional().tag("sql").tag("fast"))
        .check("worker", ok().local().liveness())
        .check("reports", ok().report_only().depends_on("database"));
    let builder = if asks { builder.check("billing", Asks.optional()) } else { builder };
    Frozen::new(builder).unwrap()
}

fn enter(frozen: &Frozen, state: State) {
    let health = frozen.health();
    let checks: Vec<String> = health.report().checks.iter().map(|check| check.name.to_string()).collect();
    checks.iter().for_each(|check| frozen.forget(check).unwrap());
    frozen.lifecycle(Lifecycle::Starting);
    if state == State::Starting {
        return;
    }
    let record = |check, outcome| frozen.record(check, outcome, Duration::from_micros(1_420)).unwrap();
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
                health.mute("worker", until, "known since noon").unwrap();
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

/// The endpoints that are mounted, each over the same `Health`.
fn endpoints(health: &Health) -> Vec<(&'static str, Endpoint)> {
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
                .full_for(|request| request.query.is_some_and(|query| query.contains("panic") && panic!("as asked"))),
        ),
    ]
}

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
struct Sent {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    http_1_0: bool,
}

fn sent(method: &'static str, target: impl Into<String>) -> Sent {
    Sent { method, target: target.into(), headers: Vec::new(), http_1_0: false }
}

fn with(target: &str, header: &'static str, value: impl Into<String>) -> Sent {
    Sent { headers: vec![(header, value.into())], ..sent("GET", target) }
}

/// Requests to the endpoints with the ordinary paths.
fn requests() -> Vec<Sent> {
    let mut table = Vec::new();
    let every = [
        "/health",
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/health/tags/sql",
        "/health/tags/fast",
        "/health/checks/database",
        "/health/checks/cache",
        "/health/checks/reports",
        "/livez",
        "/readyz",
        "/startupz",
        "/healthz",
        "/livez/worker",
        "/readyz/database",
        "/readyz/cache",
        "/startupz/database",
        "/healthz/reports",
    ];
    for path in every {
        table.extend(["GET", "HEAD", "OPTIONS"].map(|method| sent(method, path)));
        table.extend(["text", "health"].map(|format| sent("GET", format!("{path}?format={format}"))));
    }
    table.extend(["GET", "HEAD", "OPTIONS", "POST"].map(|method| sent(method, "/health/metrics")));
    table.push(sent("GET", "/health/metrics?format=nope&verbose"));
    table.extend(["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"].map(|method| sent(method, "/health/ready")));
    table.extend(["POST", "DELETE"].map(|method| sent(method, "/readyz/database")));
    // Names that are not there, not in that probe, encoded, and too long.
    for path in [
        "/health/checks/nope",
        "/health/tags/nope",
        "/livez/database",
        "/readyz/reports",
        "/startupz/cache",
        "/healthz/nope",
        "/health/checks/d%61t%61base",
        "/readyz/d%61tabase",
        "/health/checks/database%00",
        "/health/checks/%ff",
        "/health/checks/%2e%2e",
        "/health/checks/a%2Fb",
        "/health/tags/s%71l",
    ] {
        table.push(sent("GET", path));
    }
    table.push(sent("GET", format!("/health/checks/{}", "x".repeat(300))));
    // What the Kubernetes paths read from a query, and what they do not.
    for query in [
        "verbose",
        "verbose=",
        "verbose=0",
        "Verbose",
        "exclude=database",
        "exclude=database&exclude=worker",
        "verbose&exclude=nope",
        "verbose&exclude=nope&exclude=%3Cscript%3E&exclude=a",
        "exclude=shutdown",
        "verbose&exclude=starting",
        "%76erbose",
        "format=json",
        "format=nope",
        "exclude=",
        "&&=&",
    ] {
        table.extend(["/livez", "/readyz", "/healthz"].map(|path| sent("GET", format!("{path}?{query}"))));
        table.push(sent("HEAD", format!("/readyz?{query}")));
    }
    // Formats by query.
    for query in ["format=json", "format=nope", "format=", "format", "format=text&format=json", "format=jso%6e", "x=1"]
    {
        table.extend(["GET", "HEAD", "OPTIONS"].map(|method| sent(method, format!("/health?{query}"))));
    }
    // Formats by what real probers send.
    for accept in [
        "*/*",
        "application/json, */*",
        "text/plain, text/*, */*",
        "text/plain",
        "application/health+json",
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
         text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        "image/png",
        "application/json;q=0.1, application/health+json;q=0.2",
        ";;q=,",
        "",
    ] {
        table.extend(
            ["/health", "/health/ready", "/health/metrics", "/readyz?verbose"].map(|path| with(path, "accept", accept)),
        );
    }
    // Services that we may ask in turn.
    for local in ["1", "0", "1, 1", ""] {
        let paths = ["/health", "/readyz?verbose", "/health/checks/billing", "/healthz/billing"];
        table.extend(paths.map(|path| with(path, "health-local", local)));
    }
    // Tokens.
    for authorization in [
        format!("Bearer {TOKEN}"),
        format!("bearer {TOKEN}"),
        format!("Bearer {TOKEN}x"),
        "Bearer ".to_owned(),
        "Basic dXNlcjpwYXNz".to_owned(),
        TOKEN.to_owned(),
    ] {
        for path in [
            "/health",
            "/health/metrics",
            "/health/checks/database",
            "/livez?verbose",
            "/health/tags/sql?format=health",
        ] {
            table.push(with(path, "authorization", authorization.clone()));
        }
    }
    // HAProxy's default probe, and a long query.
    for path in ["/health", "/readyz", "/livez"] {
        table.extend(["OPTIONS", "GET", "HEAD"].map(|method| Sent { http_1_0: true, ..sent(method, path) }));
    }
    table.push(sent("GET", format!("/readyz?verbose&x={}", "y".repeat(60_000))));
    table.push(sent("GET", format!("/health?{}format=health", "x=1&".repeat(15_000))));
    // Of a repeated header the first line counts, and one that is not ASCII is read all the same.
    let twice = |header, one: &str, two: &str| Sent {
        headers: vec![(header, one.to_owned()), (header, two.to_owned())],
        ..sent("GET", "/health")
    };
    table.push(twice("accept", "application/health+json", "application/json"));
    table.push(twice("accept", "application/json", "application/health+json"));
    table.push(twice("authorization", "Bearer nobody-has-this-one", &format!("Bearer {TOKEN}")));
    table.push(with("/health", "accept", "ä, application/health+json"));
    // Not ours, in any framework.
    for path in [
        "/",
        "/health/",
        "//health",
        "/he%61lth",
        "/HEALTH",
        "/healthy",
        "/health/nope",
        "/health/checks",
        "/health/checks/",
        "/health/checks/a/b",
        "/live%7A",
        "/livez/",
        "/livez/worker/",
        "/health//live",
        "/health/live/",
        "/health/metrics/",
        "/metrics",
        "/health;x",
        "/x/health",
    ] {
        table.push(sent("GET", path));
    }
    table
}

/// Requests to the endpoint with the options of its own.
fn other_requests() -> Vec<Sent> {
    let mut table = Vec::new();
    for path in [
        "/a/b.c",
        "/a/b.c/live",
        "/a/b.c/ready",
        "/a/b.c/startup",
        "/a/b.c/metrics",
        "/a/b.c/tags/fast",
        "/a/b.c/checks/cache",
    ] {
        table.extend(["GET", "HEAD", "OPTIONS", "POST"].map(|method| sent(method, path)));
        table.push(with(path, "accept", "application/json"));
    }
    table.push(sent("GET", "/a/b.c?panic"));
    table.extend(["/health", "/livez", "/readyz/database", "/a/b%2Ec", "/a"].map(|path| sent("GET", path)));
    table
}

/// What the bare core answers, as it should come over the wire; `None` if it is not ours.
fn expected(endpoint: &Endpoint, sent: &Sent) -> Option<Answer> {
    let (path, query) =
        sent.target.split_once('?').map_or((sent.target.as_str(), None), |(path, query)| (path, Some(query)));
    let header = |name: &str| sent.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let request = Request { method: sent.method, path, query, peer: None, header: &header };
    let response = endpoint.respond(&request)?;
    let mut headers: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|(name, value)| (name.to_owned(), String::from_utf8(value.as_bytes().to_vec()).unwrap()))
        .collect();
    headers.push(("content-length".to_owned(), response.content_length.to_string()));
    headers.sort();
    assert_eq!(response.content_length, response.body.len());
    let body = if sent.method == "HEAD" { Vec::new() } else { response.body.to_vec() };
    Some(Answer { status: response.status, headers, body })
}

/// What a server answers, without the headers that are its own.
fn received(server: &Server, sent: &Sent) -> Answer {
    let (version, host) = if sent.http_1_0 { ("1.0", "") } else { ("1.1", "host: localhost\r\nconnection: close\r\n") };
    let mut request = format!("{} {}{} HTTP/{version}\r\n{host}", sent.method, server.prefix, sent.target);
    for (name, value) in &sent.headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut answer = http::exchange(server.address, request.as_bytes());
    answer.headers.retain(|(name, _)| name != "date" && name != "connection");
    answer
}

#[test]
fn every_server_sends_the_cores_bytes() {
    // The closure of `full_for` panics where it is asked to; no more needs to be said of that.
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload().downcast_ref::<&str>().copied();
        if !matches!(text, Some("as asked" | "as scripted")) {
            eprintln!("{panic}");
        }
    }));
    let frozen = frozen(true);
    let mut pairs = BTreeSet::new();
    let mut compared = 0;
    for (name, endpoint) in endpoints(&frozen.health()) {
        let servers = mount::EVERY.map(|(framework, form)| mount::serve(framework, form, endpoint.clone()));
        let requests = if name == "other" { other_requests() } else { requests() };
        for state in STATES {
            enter(&frozen, state);
            for sent in &requests {
                pairs.insert(format!("{name} {state:?} {sent:?}"));
                let expected = expected(&endpoint, sent);
                // Every request goes to every server in one state, and to one server in turn in the others; in the
                // long form to every server in all of them.
                let turn = pairs.len() % servers.len();
                for (position, server) in servers.iter().enumerate() {
                    if !long() && state != State::Unhealthy && position != turn {
                        continue;
                    }
                    let received = received(server, sent);
                    compared += 1;
                    match &expected {
                        Some(expected) => {
                            assert_eq!(
                                (received.status, &received.headers, received.text()),
                                (expected.status, &expected.headers, expected.text()),
                                "{name} {state:?} {server:?} {sent:?}"
                            );
                            assert_eq!(received.body, expected.body);
                        }
                        None => assert_eq!(received.status, APPLICATION, "{name} {state:?} {server:?} {sent:?}"),
                    }
                }
            }
        }
    }
    assert!(pairs.len() >= 60 && compared >= 60 * 3 * mount::EVERY.len(), "{} pairs, {compared} answers", pairs.len());
    println!("{} pairs of a request and a state, {compared} answers compared", pairs.len());
}

/// The contract itself, spelled out: what the table compares is also what it should be.
#[test]
fn the_contract_in_bytes() {
    let frozen = frozen(false);
    let endpoint = Endpoint::new(frozen.health()).full_for_bearer(TOKEN);
    let text = "text/plain; charset=utf-8";
    let unhealthy = "[-]database failed: reason withheld\n[+]cache ok\n[+]worker ok (degraded)\nreadyz check failed\n";
    for (state, sent, status, content_type, body) in [
        (State::Healthy, sent("GET", "/livez"), 200, text, "ok"),
        (
            State::Healthy,
            sent("GET", "/readyz?verbose"),
            200,
            text,
            "[+]database ok\n[+]cache ok\n[+]worker ok\nreadyz check passed\n",
        ),
        (
            State::Degraded,
            sent("GET", "/readyz?verbose"),
            200,
            text,
            "[+]database ok\n[+]cache ok (degraded)\n[+]worker ok\nreadyz check passed\n",
        ),
        (State::Unhealthy, sent("GET", "/readyz"), 503, text, unhealthy),
        (State::Unhealthy, sent("GET", "/readyz?exclude=database"), 200, text, "ok"),
        (State::Unhealthy, sent("GET", "/readyz/database"), 503, text, "[-]database failed: rejected\n"),
        (State::Unhealthy, sent("GET", "/livez/worker"), 200, text, "ok"),
        (State::Unhealthy, sent("GET", "/livez/database"), 404, text, "There is nothing of that name here."),
        (State::Unhealthy, sent("GET", "/startupz"), 200, text, "ok"),
        (State::Unhealthy, sent("POST", "/readyz"), 405, text, "Use GET, HEAD or OPTIONS."),
        (
            State::Unhealthy,
            sent("GET", "/health?format=xml"),
            400,
            text,
            "There is no such format: use json, health or text.",
        ),
        (
            State::Starting,
            sent("GET", "/startupz"),
            503,
            text,
            "[-]database failed: reason withheld\nstartupz check failed\n",
        ),
        (State::Starting, sent("GET", "/livez"), 200, text, "ok"),
        (
            State::Draining,
            sent("GET", "/readyz"),
            503,
            text,
            "[+]database ok\n[+]cache ok\n[+]worker ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n",
        ),
        (State::Draining, sent("GET", "/livez"), 200, text, "ok"),
        (
            State::Unhealthy,
            sent("GET", "/health"),
            503,
            "application/json",
            concat!(
                r#"{"status":"unhealthy","root_causes":["database"],"checks":{"#,
                r#""database":{"status":"unhealthy","reason":"rejected","critical":true,"checked_at":"2026-01-05T08:00:00.007Z","duration_ms":1.42,"since":"2026-01-05T08:00:00.007Z"},"#,
                r#""cache":{"status":"healthy","critical":false,"checked_at":"2026-01-05T08:00:00.002Z","duration_ms":1.42,"since":"2026-01-05T08:00:00.002Z"},"#,
                r#""worker":{"status":"degraded","reason":"threshold","critical":true,"checked_at":"2026-01-05T08:00:00.008Z","duration_ms":1.42,"since":"2026-01-05T08:00:00.008Z"},"#,
                r#""reports":{"status":"unhealthy","reason":"dependency","critical":true,"checked_at":"2026-01-05T08:00:00.005Z","duration_ms":1.42,"since":"2026-01-05T08:00:00.007Z"}}}"#,
            ),
        ),
        (
            State::Unhealthy,
            with("/health/live", "authorization", format!("Bearer {TOKEN}")),
            200,
            "application/json",
            concat!(
                r#"{"status":"degraded","service":"orders \"east\"","version":"1.4.2","lifecycle":"ready","uptime_seconds":0,"checks":{"#,
                r#""worker":{"status":"degraded","reason":"threshold","critical":true,"checked_at":"2026-01-05T08:00:00.008Z","duration_ms":1.42,"since":"2026-01-05T08:00:00.008Z","message":"late","kind":"local","interval_ms":5000,"timeout_ms":2000,"consecutive_failures":0,"consecutive_successes":2}}}"#,
            ),
        ),
        (
            State::Draining,
            with("/health/ready", "accept", "application/health+json"),
            503,
            "application/health+json",
            concat!(
                r#"{"status":"fail","output":"draining","checks":{"#,
                r#""database:responseTime":[{"observedValue":1.42,"observedUnit":"ms","status":"pass","time":"2026-01-05T08:00:00.001Z"}],"#,
                r#""cache:responseTime":[{"observedValue":1.42,"observedUnit":"ms","status":"pass","time":"2026-01-05T08:00:00.002Z"}],"#,
                r#""worker:responseTime":[{"observedValue":1.42,"observedUnit":"ms","status":"pass","time":"2026-01-05T08:00:00.004Z"}]}}"#,
            ),
        ),
    ] {
        let frozen_again = self::frozen(false);
        let endpoint = if state == State::Unhealthy || state == State::Draining {
            // Times in the bodies count from a fresh start.
            enter(&frozen_again, state);
            Endpoint::new(frozen_again.health()).full_for_bearer(TOKEN)
        } else {
            enter(&frozen, state);
            endpoint.clone()
        };
        let answer = expected(&endpoint, &sent).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{state:?} {sent:?}");
        assert_eq!(answer.header("content-type"), Some(content_type), "{sent:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let allow = (status == 405).then_some("GET, HEAD, OPTIONS");
        assert_eq!(answer.header("allow"), allow);
        // And no header that the contract does not name.
        let mut names = vec!["cache-control", "content-length", "content-type", "x-content-type-options"];
        if content_type.starts_with("application/") {
            names.push("vary");
            assert_eq!(answer.header("vary"), Some("Accept"));
        }
        names.extend(allow.map(|_| "allow"));
        names.sort_unstable();
        assert_eq!(answer.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names, "{sent:?}");
    }
}

#[test]
fn every_server_tells_the_callers_address() {
    let frozen = frozen(false);
    enter(&frozen, State::Healthy);
    let asked = |request: &Request<'_>| request.peer.is_some_and(|peer| peer.ip().is_loopback());
    let endpoint = Endpoint::new(frozen.health()).full_for(asked);
    for (framework, form) in mount::EVERY {
        let server = mount::serve(framework, form, endpoint.clone());
        let answer = http::get(server.address, &format!("{}/health", server.prefix), &[]);
        assert_eq!(answer.json()["version"], "1.4.2", "{server:?}");
    }
}

#[test]
fn every_server_closes_while_draining_and_keeps_open_before() {
    let frozen = frozen(false);
    let endpoint = Endpoint::new(frozen.health());
    for (framework, form) in mount::EVERY {
        let server = mount::serve(framework, form, endpoint.clone());
        for (state, expected) in [(State::Healthy, None), (State::Draining, Some("close"))] {
            enter(&frozen, state);
            let answer = http::keep_alive(server.address, &format!("{}/livez", server.prefix));
            assert_eq!(answer.header("connection"), expected, "{server:?} {state:?}");
        }
    }
}

#[test]
fn options_carries_the_probes_code_and_nothing_else() {
    let frozen = frozen(false);
    enter(&frozen, State::Unhealthy);
    let endpoint = Endpoint::new(frozen.health());
    for (path, status) in [("/readyz", 503), ("/livez", 200), ("/health", 503), ("/health/checks/nope", 404)] {
        let answer = expected(&endpoint, &sent("OPTIONS", path)).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (status, ""), "{path}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(answer.header("content-length"), Some("0"));
    }
}

#[test]
fn answers_ask_for_a_close_while_draining_only() {
    let frozen = frozen(false);
    let endpoint = Endpoint::new(frozen.health());
    for (state, close) in [(State::Healthy, false), (State::Unhealthy, false), (State::Draining, true)] {
        enter(&frozen, state);
        assert_eq!(crate::support::ask(&endpoint, "GET", "/livez").close, close, "{state:?}");
    }
}

#[test]
fn a_renderer_of_ones_own_runs_once_per_snapshot_and_fails_alone() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use health_core::Rendered;

    use crate::support::ask;

    let frozen = frozen(false);
    enter(&frozen, State::Unhealthy);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let endpoint = Endpoint::new(frozen.health()).render_with(move |report, visibility| {
        counted.fetch_add(1, Ordering::SeqCst);
        let messages = report.checks.iter().filter(|check| check.message.is_some()).count();
        Rendered::new("text/x-own", format!("{visibility} {} {messages}", report.status))
    });
    for _ in 0..3 {
        let answer = ask(&endpoint, "GET", "/health");
        assert_eq!((answer.status, &*answer.body), (503, &b"checks unhealthy 0"[..]));
        assert!(answer.headers.iter().any(|(name, value)| name == "content-type" && value.as_bytes() == b"text/x-own"));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(ask(&endpoint, "GET", "/health/checks/worker").body, "checks degraded 0");
    assert_eq!(ask(&endpoint, "GET", "/livez").body, "ok");
    enter(&frozen, State::Healthy);
    assert_eq!(ask(&endpoint, "GET", "/health").body, "checks healthy 0");

    let panics = Endpoint::new(frozen.health()).render_with(|_, _| panic!("as scripted"));
    let answer = ask(&panics, "GET", "/health");
    assert_eq!((answer.status, &*answer.body), (500, &b"No report could be made."[..]));
    assert_eq!(ask(&panics, "GET", "/readyz").status, 200);
    let unusable = Endpoint::new(frozen.health()).render_with(|_, _| Rendered::new("a\nb", "x"));
    assert_eq!(ask(&unusable, "GET", "/health").status, 500);
}

#[test]
fn endpoint_options_that_cannot_be_used_are_refused() {
    let endpoint = || Endpoint::new(frozen(false).health());
    for (endpoint, words) in [
        (endpoint().base_path("health"), "must begin with '/'"),
        (endpoint().base_path("/health/"), "no '/' at its end"),
        (endpoint().base_path("/{x}"), "use letters"),
        (endpoint().base_path("/livez"), "Kubernetes"),
        (endpoint().unhealthy_code(200), "400 to 599"),
        (endpoint().degraded_code(503), "200 to 299"),
        (endpoint().degraded_code(204), "but 204 and 205"),
        (endpoint().full_for_bearer("fifteen-bytes-x"), "16 bytes"),
        (endpoint().full_for_bearer(""), "16 bytes"),
    ] {
        // Mounted all the same, it has its defaults.
        assert!(endpoint.owns("/health") && endpoint.owns("/livez"));
        let error = endpoint.validated().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(endpoint().base_path("/internal/health").degraded_code(429).validated().is_ok());
}
