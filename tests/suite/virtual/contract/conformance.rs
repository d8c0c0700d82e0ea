//! The wire contract in bytes. `real::contract::conformance` tests that every server sends the same bytes.

use health_core::Endpoint;
use health_tests::{
    support::ask,
    wire_contract::{State, TOKEN, enter, expected, frozen, sent, with},
};

/// The expected bytes are written out here, because `real::contract::conformance` compares servers only with the core.
#[test]
fn every_answer_has_the_bytes_of_the_contract() {
    let first = frozen(false);
    let endpoint = Endpoint::new(first.health()).full_for_bearer(TOKEN);
    let text = "text/plain; charset=utf-8";
    let unhealthy = "[-]database failed: rejected\n[+]cache ok\n[+]worker ok (degraded)\nreadyz check failed\n";
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
            "There is no such format: use json, health, html, text or svg.",
        ),
        (State::Starting, sent("GET", "/startupz"), 503, text, "[-]database failed: pending\nstartupz check failed\n"),
        (State::Starting, sent("GET", "/livez"), 200, text, "ok"),
        (
            State::Draining,
            sent("GET", "/readyz"),
            503,
            text,
            "[+]database ok\n[+]cache ok\n[+]worker ok\n[-]shutdown failed: draining\nreadyz check failed\n",
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
        let frozen_again = frozen(false);
        let endpoint = if state == State::Unhealthy || state == State::Draining {
            // The times in the bodies count from a fresh start.
            enter(&frozen_again, state);
            Endpoint::new(frozen_again.health()).full_for_bearer(TOKEN)
        } else {
            enter(&first, state);
            endpoint.clone()
        };
        let answer = expected(&endpoint, &sent).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{state:?} {sent:?}");
        assert_eq!(answer.header("content-type"), Some(content_type), "{sent:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let allow = (status == 405).then_some("GET, HEAD, OPTIONS");
        assert_eq!(answer.header("allow"), allow);
        // The answer has no header that the contract does not name.
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
fn options_has_the_status_code_of_the_probe_and_no_body() {
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
fn answers_close_the_connection_only_while_draining() {
    let frozen = frozen(false);
    let endpoint = Endpoint::new(frozen.health());
    for (state, close) in [(State::Healthy, false), (State::Unhealthy, false), (State::Draining, true)] {
        enter(&frozen, state);
        assert_eq!(ask(&endpoint, "GET", "/livez").close, close, "{state:?}");
    }
}

#[test]
fn render_with_runs_once_per_snapshot_and_its_panic_fails_no_other_page() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use health_core::Rendered;

    let frozen = frozen(false);
    enter(&frozen, State::Unhealthy);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let endpoint = Endpoint::new(frozen.health()).render_with(move |report, visibility| {
        counted.fetch_add(1, Ordering::SeqCst);
        let messages = report.checks().iter().filter(|check| check.message().is_some()).count();
        Rendered::new("text/x-own", format!("{visibility} {} {messages}", report.status()))
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
fn invalid_endpoint_options_are_refused() {
    let endpoint = || Endpoint::new(frozen(false).health());
    for (endpoint, words) in [
        (endpoint().base_path("health"), "must begin with '/'"),
        (endpoint().base_path("/health/"), "no '/' at its end"),
        (endpoint().base_path("/{x}"), "use letters"),
        (endpoint().base_path("/livez"), "Kubernetes"),
        (endpoint().unhealthy_code(200), "400 to 599"),
        (endpoint().degraded_code(503), "200 to 299"),
        (endpoint().degraded_code(204), "except 204 and 205"),
        (endpoint().full_for_bearer("fifteen-bytes-x"), "16 bytes"),
        (endpoint().full_for_bearer(""), "16 bytes"),
    ] {
        // A mounted endpoint has the default in place of an invalid option.
        assert!(endpoint.owns("/health") && endpoint.owns("/livez"));
        let error = endpoint.validated().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(endpoint().base_path("/internal/health").degraded_code(429).validated().is_ok());
}
