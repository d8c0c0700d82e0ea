//! Every order in which the three frameworks let an application mount the endpoint. In each order a probe gets the
//! bytes of the endpoint, or the program does not start, or the documentation of the adapter calls the order wrong. For
//! a wrong order the test asserts what happens.

mod actix;
mod axum;
mod warp;

use health_core::{CheckExt as _, Endpoint, Health, Outcome, Request, check_fn, testing::Frozen};
use health_tests::support::secs;

/// The answer of an application that has a page for every path.
const PAGE: &str = "the application's page";

/// The targets that are requested in each order.
const TARGETS: [&str; 6] =
    ["/readyz", "/livez", "/startupz?verbose", "/health", "/health/checks/database", "/health/checks/nope"];

/// The result of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The endpoint answers below this prefix.
    Endpoint(&'static str),
    /// The documentation calls the order wrong: the application answers `/readyz` below this prefix with its page.
    ApplicationsPage(&'static str),
    /// The documentation calls the order wrong: the path `/readyz` below this prefix is not found.
    NotFound(&'static str),
    /// The documentation calls the order wrong: the application hides only this path.
    Hidden(&'static str),
}

/// The parts of an answer that probers read.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    kind: Option<String>,
    caching: Option<String>,
    body: String,
}

/// Returns a service whose answers never change, not even their times.
fn endpoint() -> (Frozen, Endpoint) {
    let builder = Health::builder().check("database", check_fn(|| async { Ok(()) }).startup_despite_dependency());
    let frozen = Frozen::new(builder).unwrap();
    frozen.record("database", Outcome::unhealthy("gone"), secs(0)).unwrap();
    let endpoint = Endpoint::new(frozen.health());
    (frozen, endpoint)
}

/// Returns the answer of the core.
fn of_the_core(endpoint: &Endpoint, target: &str) -> Answer {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let response = endpoint.respond(&Request::new("GET", path, query, None, &|_, _| None)).unwrap();
    let header = |wanted: &str| {
        let mut headers = response.headers.iter();
        headers
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Answer {
        status: response.status,
        kind: header("content-type"),
        caching: header("cache-control"),
        body: String::from_utf8(response.body.to_vec()).unwrap(),
    }
}

/// Asserts that an order has its expected result.
async fn hold(order: &str, endpoint: &Endpoint, expected: Expected, ask: impl AsyncFn(String) -> Answer) {
    match expected {
        Expected::Endpoint(prefix) => {
            for target in TARGETS {
                let answer = ask(format!("{prefix}{target}")).await;
                assert_eq!(answer, of_the_core(endpoint, target), "{order}: {prefix}{target}");
            }
        }
        Expected::ApplicationsPage(prefix) => {
            let answer = ask(format!("{prefix}/readyz")).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, PAGE), "{order}");
        }
        Expected::NotFound(prefix) => {
            let answer = ask(format!("{prefix}/readyz")).await;
            assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{order}");
        }
        Expected::Hidden(path) => {
            let answer = ask(path.to_owned()).await;
            assert_eq!(answer.status, 404, "{order}: {path}");
            assert_eq!(ask("/readyz".to_owned()).await, of_the_core(endpoint, "/readyz"), "{order}");
        }
    }
}

/// Asserts that the documentation of an adapter names each wrong order in these words.
fn is_documented(adapter: &str, orders: &[&str]) {
    let file = health_tests::tools::repository().join(adapter).join("src/lib.rs");
    let text = std::fs::read_to_string(file).unwrap();
    let text: String = text.lines().map(|line| line.trim_start_matches("///").trim_start_matches("//!")).collect();
    for order in orders {
        assert!(text.contains(order), "{adapter} does not call {order} wrong");
    }
}
