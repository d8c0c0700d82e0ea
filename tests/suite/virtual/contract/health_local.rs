//! The request header `Health-Local: 1`: with it, services that check each other cannot lock each other out.

use health_core::{
    CheckExt as _, Endpoint, Health, Outcome, Reason, Request, Response, Visibility, check_fn, testing::Frozen,
};

use health_tests::support::{Asks, millis};

fn ask(endpoint: &Endpoint, target: &str, local: Option<&str>) -> Response {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let header = |name: &str| local.filter(|_| name == "health-local");
    let lines = |name: &str, line: usize| header(name).filter(|_| line == 0);
    endpoint.respond(&Request::new("GET", path, query, None, &lines)).unwrap()
}

#[test]
fn a_health_local_request_leaves_out_upstream_checks() {
    let builder = Health::builder()
        .check("database", check_fn(|| async { Ok(()) }).tag("all"))
        .check("billing", Asks.critical().tag("all"));
    let frozen = Frozen::new(builder).unwrap();
    frozen.record("database", Outcome::healthy(), millis(1)).unwrap();
    frozen.record("billing", Outcome::unhealthy("down").reason(Reason::Unreachable), millis(1)).unwrap();
    let endpoint = Endpoint::new(frozen.health());
    let count =
        |report: &health_core::Report, _| health_core::Rendered::new("text/plain", report.checks().len().to_string());
    let custom = endpoint.clone().render_with(count);
    for path in ["/health", "/health/ready", "/health/tags/all", "/readyz", "/healthz?verbose", "/health?format=health"]
    {
        for (local, code, billing) in [(None, 503, true), (Some("0"), 503, true), (Some("1"), 200, false)] {
            let answer = ask(&endpoint, path, local);
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            assert_eq!((answer.status, text.contains("billing")), (code, billing), "{path} {local:?} {text}");
        }
    }
    // The two answers are cached separately.
    for _ in 0..2 {
        assert_eq!(ask(&custom, "/health", None).body, "2");
        assert_eq!(ask(&custom, "/health", Some("1")).body, "1");
    }
    assert_eq!(ask(&endpoint, "/health/checks/billing", None).status, 503);
    assert_eq!(ask(&endpoint, "/health/checks/billing", Some("1")).status, 404);
    assert_eq!(ask(&endpoint.visibility(Visibility::Status), "/health", Some("1")).body, r#"{"status":"healthy"}"#);
}

#[test]
fn without_upstream_checks_health_local_changes_no_answer() {
    let frozen = Frozen::new(Health::builder().check("database", check_fn(|| async { Ok(()) }))).unwrap();
    let endpoint = Endpoint::new(frozen.health());
    assert_eq!(ask(&endpoint, "/health", None).body, ask(&endpoint, "/health", Some("1")).body);
}

/// Services cannot lock each other out through a check that depends on an upstream check, either.
#[test]
fn health_local_leaves_out_checks_that_only_wait_for_an_upstream_check() {
    let ok = || check_fn(|| async { Ok(()) });
    let builder = Health::builder()
        .check("billing", Asks.critical())
        .check("database", ok())
        .check("orders", ok().depends_on("billing"))
        .check("both", ok().depends_on("billing").depends_on("database"));
    let frozen = Frozen::new(builder).unwrap();
    for check in ["database", "orders", "both"] {
        frozen.record(check, Outcome::healthy(), millis(1)).unwrap();
    }
    frozen.record("billing", Outcome::unhealthy("down").reason(Reason::Unreachable), millis(1)).unwrap();
    let endpoint = Endpoint::new(frozen.health());
    assert_eq!((ask(&endpoint, "/readyz", None).status, ask(&endpoint, "/readyz", Some("1")).status), (503, 200));
    frozen.record("database", Outcome::unhealthy("down"), millis(1)).unwrap();
    let text = String::from_utf8(ask(&endpoint, "/readyz", Some("1")).body.to_vec()).unwrap();
    assert!(text.contains("[-]both") && text.contains("[-]database") && !text.contains("orders"), "{text}");
}
