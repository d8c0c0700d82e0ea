//! How long the core takes for one cached answer. Run by `tests/bench`.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use health_core::{Endpoint, Health, Outcome, Request, check_fn, testing::Frozen};

/// Answers per measurement.
const ANSWERS: u32 = 200_000;

fn main() {
    println!("one cached answer, median of five:");
    for checks in [1, 10, 100] {
        let mut builder = Health::builder();
        for number in 0..checks {
            builder = builder.check(format!("check-{number}"), check_fn(|| async { Ok(()) }));
        }
        let frozen = Frozen::new(builder).expect("names that differ");
        for number in 0..checks {
            let name = format!("check-{number}");
            frozen.record(&name, Outcome::healthy(), Duration::from_micros(1420)).expect("a check of ours");
        }
        let endpoint = Endpoint::new(frozen.health()).full_for_bearer("the-token-of-the-benchmark");
        for (method, path, headers) in [
            ("GET", "/livez", &[][..]),
            ("GET", "/health", &[]),
            ("HEAD", "/health", &[]),
            ("GET", "/health", &[("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")]),
            ("GET", "/health", &[("authorization", "Bearer the-token-of-the-benchmark")]),
            ("GET", "/health/checks/check-0", &[]),
        ] {
            let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            let lines = |name: &str, line: usize| header(name).filter(|_| line == 0);
            let request = Request::new(method, path, None, None, &lines);
            let header = headers.first().map_or("", |(name, _)| *name);
            println!("{checks:4} checks  {method:4} {path:22} {header:13} {:6.0} ns", nanoseconds(&endpoint, &request));
        }
    }
}

fn nanoseconds(endpoint: &Endpoint, request: &Request<'_>) -> f64 {
    let mut measured: Vec<f64> = (0..5)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..ANSWERS {
                black_box(endpoint.respond(black_box(request)));
            }
            began.elapsed().as_secs_f64() * 1e9 / f64::from(ANSWERS)
        })
        .collect();
    measured.sort_by(f64::total_cmp);
    measured[2]
}
