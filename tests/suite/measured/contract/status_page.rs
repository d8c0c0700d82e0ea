//! The status page costs a request about as much as the document in JSON.

use std::time::{Duration, Instant};

use health_core::{Endpoint, Health, Request, Visibility, check_fn};

const CHECKS: usize = 20;
const ASKED: usize = 20_000;
/// How often it is measured: a machine that does something else meanwhile spoils a round.
const ROUNDS: usize = 5;

/// The 99th percentile.
fn p99(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn its_slowest_answers_take_at_most_twice_as_long_as_those_in_json() {
    let builder = (0..CHECKS).fold(Health::builder(), |builder, number| {
        builder.check(format!("check-{number}"), check_fn(|| async { Ok(()) }))
    });
    let health = builder.start().unwrap();
    health.ready().await;
    for visibility in [Visibility::Checks, Visibility::Full] {
        let endpoint = Endpoint::new(health.clone()).visibility(visibility);
        let took = |query: &'static str| {
            let request = Request::new("GET", "/health", Some(query), None, &|_, _| None);
            let began = Instant::now();
            let answer = endpoint.respond(&request).unwrap();
            let took = began.elapsed();
            assert!(answer.body.len() > 1_000);
            took
        };
        // In turn, so that whatever disturbs one disturbs the other.
        let round = || {
            let (html, json) = (0..ASKED).map(|_| (took("format=html"), took("format=json"))).unzip();
            (p99(html), p99(json))
        };
        let rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
        assert!(rounds.iter().any(|(html, json)| *html <= *json * 2), "{visibility}: {rounds:?}");
    }
}
