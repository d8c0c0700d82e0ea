//! The same request in the same state gets the same bytes from the core and from every framework in every form.

use std::collections::BTreeSet;

use health_core::{Endpoint, Request};
use health_tests::{
    http::{self, Answer},
    mount::{self, Server},
    support::long,
    wire_contract::{STATES, Sent, State, TOKEN, endpoints, enter, expected, frozen, sent, with},
};

/// Returns the requests to the endpoints with the default paths.
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
        table.extend(["text", "health", "html", "svg"].map(|format| sent("GET", format!("{path}?format={format}"))));
    }
    table.extend(["GET", "HEAD", "OPTIONS", "POST"].map(|method| sent(method, "/health/metrics")));
    table.push(sent("GET", "/health/metrics?format=nope&verbose"));
    table.extend(["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"].map(|method| sent(method, "/health/ready")));
    table.extend(["POST", "DELETE"].map(|method| sent(method, "/readyz/database")));
    // Names that do not exist, that are not in the probe, that are encoded, and that are too long.
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
    // Query parameters that the Kubernetes paths read, and others that they ignore.
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
    // The format chosen by the query.
    for query in ["format=json", "format=nope", "format=", "format", "format=text&format=json", "format=jso%6e", "x=1"]
    {
        table.extend(["GET", "HEAD", "OPTIONS"].map(|method| sent(method, format!("/health?{query}"))));
    }
    // The format chosen by the Accept headers that real probers send.
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
    // The header that excludes checks of other services.
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
    // HAProxy's default probe, and long queries.
    for path in ["/health", "/readyz", "/livez"] {
        table.extend(["OPTIONS", "GET", "HEAD"].map(|method| Sent { http_1_0: true, ..sent(method, path) }));
    }
    table.push(sent("GET", format!("/readyz?verbose&x={}", "y".repeat(60_000))));
    table.push(sent("GET", format!("/health?{}format=health", "x=1&".repeat(15_000))));
    // A repeated Accept header, a repeated Authorization header, and a header that is not ASCII.
    let twice = |header, one: &str, two: &str| Sent {
        headers: vec![(header, one.to_owned()), (header, two.to_owned())],
        ..sent("GET", "/health")
    };
    table.push(twice("accept", "application/health+json", "application/json"));
    table.push(twice("accept", "application/json", "application/health+json"));
    table.push(twice("authorization", "Bearer nobody-has-this-one", &format!("Bearer {TOKEN}")));
    table.push(with("/health", "accept", "ä, application/health+json"));
    // Paths that do not belong to the endpoint in any framework.
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

/// Returns the requests to the endpoint with its own base path and options.
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

/// Returns a server's answer without the headers that the server adds itself.
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
    // The closure of `full_for` panics when a request asks for it. Its panics are not printed.
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
                // In one state every request goes to every server. In the other states each request goes to one server
                // in turn. The long form sends every request to every server in all states.
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
                        None => assert_eq!(received.status, server.elsewhere, "{name} {state:?} {server:?} {sent:?}"),
                    }
                }
            }
        }
    }
    assert!(pairs.len() >= 60 && compared >= 60 * 3 * mount::EVERY.len(), "{} pairs, {compared} answers", pairs.len());
    println!("{} pairs of a request and a state, {compared} answers compared", pairs.len());
}

#[test]
fn every_server_passes_on_the_callers_address() {
    let frozen = frozen(false);
    enter(&frozen, State::Healthy);
    let asked = |request: &Request<'_>| request.peer().is_some_and(|peer| peer.ip().is_loopback());
    let endpoint = Endpoint::new(frozen.health()).full_for(asked);
    for (framework, form) in mount::EVERY {
        let server = mount::serve(framework, form, endpoint.clone());
        let answer = http::get(server.address, &format!("{}/health", server.prefix), &[]);
        assert_eq!(answer.json()["version"], "1.4.2", "{server:?}");
    }
}

#[test]
fn every_server_closes_connections_only_while_draining() {
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

/// RFC 9110, 5.3: several Accept lines form one list. A line that is not UTF-8 is ignored.
#[test]
fn every_server_reads_every_accept_header() {
    let frozen = frozen(false);
    enter(&frozen, State::Healthy);
    let endpoint = Endpoint::new(frozen.health());
    for (framework, form) in mount::EVERY {
        let server = mount::serve(framework, form, endpoint.clone());
        let ask = |lines: &[&[u8]]| {
            let prefix = server.prefix;
            let mut request = format!("GET {prefix}/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n").into_bytes();
            for line in lines {
                request.extend_from_slice(b"accept: ");
                request.extend_from_slice(line);
                request.extend_from_slice(b"\r\n");
            }
            request.extend_from_slice(b"\r\n");
            let answer = http::exchange(server.address, &request);
            let value = answer.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone());
            value.unwrap_or_else(|| panic!("{framework:?} {form:?}: {}", answer.text()))
        };
        let two: [&[u8]; 2] = [b"text/plain", b"application/health+json"];
        assert_eq!(ask(&two), "application/health+json", "{framework:?} {form:?}");
        let one_of_them: [&[u8]; 3] = [b"application/json;q=0.5", b"\xff", b"application/health+json"];
        assert_eq!(ask(&one_of_them), "application/health+json", "{framework:?} {form:?}");
    }
}
