//! A metrics page with hostile names and numbers.

use std::time::Duration;

use health_core::{CheckExt as _, Endpoint, Health, Outcome, Request, Response, check_fn, testing::Frozen};

use crate::support::{millis, secs};

/// Returns the page with which an endpoint answers this `Accept` header.
///
/// # Panics
///
/// Panics if `/health/metrics` is not a path of the endpoint.
#[must_use]
pub fn page(endpoint: &Endpoint, accept: &str) -> Response {
    let header = |name: &str| (name == "accept").then_some(accept);
    let lines = |name: &str, line: usize| header(name).filter(|_| line == 0);
    let request = Request::new("GET", "/health/metrics", None, None, &lines);
    endpoint.respond(&request).expect("a path of the endpoint")
}

/// Returns a frozen health with names and numbers that break a page that does not escape or limit them.
///
/// # Panics
///
/// Panics if a check is refused.
#[must_use]
pub fn hostile() -> Frozen {
    let ok = || check_fn(|| async { Ok(()) });
    let builder = Health::builder()
        .service("orders \"east\"\\\n# EOF")
        .version("1\n")
        .check("database", ok())
        .check("cache", ok().optional())
        .check("later", ok().report_only().optional());
    let frozen = Frozen::new(builder).expect("checks that are accepted");
    let numbers = Outcome::degraded("x")
        .observe("a \"quoted\"\nname", f64::MAX, "unit\\with{braces}")
        .observe("a \"quoted\"\nname", 1, "unit\\with{braces}")
        .observe("not", f64::NAN, "")
        .observe("small", 1e-300, "s")
        .observe("large", i64::MIN, "\u{1F600}");
    frozen.record("database", numbers, Duration::from_nanos(1)).expect("checks that are accepted");
    frozen.record("database", Outcome::unhealthy("password=hunter2"), secs(3_600)).expect("checks that are accepted");
    frozen.record("cache", Outcome::healthy(), millis(30)).expect("checks that are accepted");
    frozen
}
