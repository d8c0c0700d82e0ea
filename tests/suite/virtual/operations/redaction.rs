//! No secret in any dialect or wrapper survives in a body, a log line or a notification.

use std::time::Duration;

use health_core::{Change, Endpoint, Health, Outcome, Visibility, check_fn, testing::Frozen};
use health_tests::{
    secret_dialects::{Numbers, sample},
    support::{Lines, ask},
};

/// The number of secrets.
const SECRETS: usize = 100_000;

/// Returns what leaked if a text has the secret, or five of its characters in a row.
fn leak(text: &str, secret: &str, from: &str, place: &str) -> Option<String> {
    let around = from.replacen(secret, "", 8);
    let leaks = |part: &&[u8]| {
        let part = std::str::from_utf8(part).expect("ASCII");
        // A part that also occurs around the secret is no leak.
        text.contains(part) && !around.contains(part)
    };
    secret.as_bytes().windows(5).find(leaks).map(|_| format!("{place}: {secret:?} of {from:?} in {text}"))
}

/// Records this number of random secrets, which depend on the seed. Returns the leaks.
fn write(seed: u64, count: usize) -> Vec<String> {
    let lines = Lines::default();
    let _logging = tracing::dispatcher::set_default(&lines.logging());
    let frozen = Frozen::new(Health::builder().check("x", check_fn(|| async { Ok(()) }))).unwrap();
    let health = frozen.health();
    let endpoints = Visibility::ALL.iter().map(|visibility| Endpoint::new(health.clone()).visibility(*visibility));
    let endpoints: Vec<Endpoint> = endpoints.collect();
    let mut changes = health.subscribe();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut numbers = Numbers::new(seed);
    let mut leaks = Vec::new();
    for _ in 0..count {
        let (text, secret) = sample(&mut numbers);
        frozen.record("x", Outcome::unhealthy(text.clone()).detail("said", text.clone()), Duration::ZERO).unwrap();
        for endpoint in &endpoints {
            let body = ask(endpoint, "GET", "/health").body;
            leaks.extend(leak(std::str::from_utf8(&body).unwrap(), &secret, &text, "a body"));
        }
        leaks.extend(leak(&lines.take(), &secret, &text, "the log"));
        let Some(Change::Check(change)) = runtime.block_on(changes.next()) else { panic!("no change of a check") };
        leaks.extend(leak(&format!("{change:?} {:?}", change.message), &secret, &text, "a notification"));
        frozen.record("x", Outcome::healthy(), Duration::ZERO).unwrap();
        assert!(runtime.block_on(changes.next()).is_some());
        drop(lines.take());
        if leaks.len() > 20 {
            break;
        }
    }
    leaks
}

#[test]
fn no_secret_in_any_dialect_survives() {
    let leaks = std::thread::scope(|scope| {
        let halves = [0x5eed, 0x5eed_5eed].map(|seed| scope.spawn(move || write(seed, SECRETS / 2)));
        halves.map(|half| half.join().unwrap()).concat()
    });
    assert!(leaks.is_empty(), "{leaks:#?}");
}
