//! A request for the status page takes about as long as one for the JSON document.

use std::time::{Duration, Instant};

use health_core::{Endpoint, Health, Request, Visibility, check_fn};

const CHECKS: usize = 20;
const ASKED: usize = 20_000;
/// The number of rounds. Other work of the machine can spoil a round.
const ROUNDS: usize = 5;

/// Returns the 99th percentile.
fn p99(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_p99_of_the_status_page_is_at_most_twice_that_of_json() {
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
        // The requests alternate, so that a disturbance affects both.
        let round = || {
            let (html, json) = (0..ASKED).map(|_| (took("format=html"), took("format=json"))).unzip();
            (p99(html), p99(json))
        };
        let rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
        assert!(rounds.iter().any(|(html, json)| *html <= *json * 2), "{visibility}: {rounds:?}");
    }
}
