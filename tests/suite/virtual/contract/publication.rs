//! The delayed publication of results: which results wait, how long, and which never wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use health_core::{CheckExt as _, Endpoint, Health, Outcome, Probe, Registration, Status, check_fn, testing::scripted};
use health_tests::support::{body, code, millis, secs, settle};
use tokio::time::{Instant, advance, sleep};

/// The longest delay of a result.
const LONGEST_WAIT: Duration = millis(20);

/// Returns a check that observes the number of its runs and is Unhealthy from a given run on.
fn counter(bad_from: u64) -> Registration {
    let runs = Arc::new(AtomicU64::new(0));
    check_fn(move || {
        let run = runs.fetch_add(1, Ordering::Relaxed) + 1;
        let outcome = if run < bad_from { Outcome::healthy() } else { Outcome::unhealthy("as scripted") };
        async move { Ok(outcome.observe("run", run, "")) }
    })
    .every(secs(5))
}

fn run(health: &Health, name: &str) -> f64 {
    health.report().check(name).unwrap().observed()[0].value.as_f64()
}

#[tokio::test(start_paused = true)]
async fn a_delayed_result_is_published_within_20_ms() {
    let health = Health::builder().check("a", counter(u64::MAX)).check("b", counter(u64::MAX)).start().unwrap();
    assert!(health.ready().await);
    sleep(secs(1)).await;
    // The first result after a pause is published at once, and the next result is delayed.
    assert!(health.suspect("a"));
    settle().await;
    assert!(health.suspect("b"));
    settle().await;
    assert_eq!(
        (run(&health, "a"), run(&health, "b")),
        (2.0, 1.0),
        "the first result is published and the second one is delayed"
    );
    let began = Instant::now();
    while run(&health, "b") < 2.0 {
        sleep(millis(1)).await;
        assert!(began.elapsed() <= LONGEST_WAIT, "not published after {:?}", began.elapsed());
    }
    health.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_verdict_is_published_at_once() {
    let health = Health::builder().check("a", counter(u64::MAX)).check("b", counter(2)).start().unwrap();
    assert!(health.ready().await);
    sleep(secs(1)).await;
    let mut changes = health.subscribe();
    assert!(health.suspect("a"));
    settle().await;
    assert!(health.suspect("b"));
    settle().await;
    // The verdict is published at the same moment, together with the delayed result.
    assert_eq!(health.status(Probe::Readiness), Status::Unhealthy);
    assert_eq!(code(&health, "/readyz"), 503);
    assert!(matches!(changes.next().await, Some(health_core::Change::Check(change)) if &*change.check == "b"));
    health.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_publishes_before_it_returns() {
    let health = Health::builder().check("a", counter(u64::MAX)).check("b", counter(u64::MAX)).start().unwrap();
    assert!(health.ready().await);
    sleep(secs(1)).await;
    for expected in [2.0, 3.0, 4.0] {
        health.refresh("a").await.unwrap();
        health.refresh("b").await.unwrap();
        assert_eq!((run(&health, "a"), run(&health, "b")), (expected, expected));
    }
    health.stop().await;
}

/// A change by the operator or the application is published before the call returns, together with delayed results.
#[tokio::test(start_paused = true)]
async fn insertions_removals_mutes_and_the_lifecycle_are_published_at_once() {
    let health = Health::builder().check("a", counter(u64::MAX)).check("b", counter(u64::MAX)).start().unwrap();
    assert!(health.ready().await);
    sleep(secs(1)).await;
    assert!(health.suspect("a"));
    settle().await;
    assert!(health.suspect("b"));
    settle().await;
    assert_eq!(run(&health, "b"), 1.0);
    health.insert("c", counter(u64::MAX)).unwrap();
    assert_eq!(run(&health, "b"), 2.0);
    assert!(health.report().check("c").is_some());
    health.remove("c").unwrap();
    assert!(health.report().check("c").is_none());
    health.mute("a", std::time::SystemTime::now() + secs(60), "known").unwrap();
    assert!(health.report().check("a").unwrap().muted().is_some());
    drop(health.drain(secs(1)));
    assert_eq!(code(&health, "/readyz"), 503);
    health.stop().await;
    assert!(body(&health, "/health").contains("stopped"));
}

/// The scheduler searches a large view for old results, so a request for it wakes their checks, too.
#[tokio::test(start_paused = true)]
async fn a_request_for_a_large_view_wakes_its_old_checks() {
    let mut builder = Health::builder();
    for number in 0..200 {
        builder = builder.check(format!("c{number}"), counter(u64::MAX).max_age(secs(1)));
    }
    let health = builder.start().unwrap();
    assert!(health.ready().await);
    settle().await;
    let endpoint = Endpoint::from(health.clone());
    advance(secs(2)).await;
    health_tests::support::ask(&endpoint, "GET", "/readyz");
    settle().await;
    sleep(LONGEST_WAIT).await;
    let woken = (0..200).filter(|number| run(&health, &format!("c{number}")) == 2.0).count();
    assert_eq!(woken, 200);
    health.stop().await;
}

/// A check that was woken and hangs does not prevent the wake of another check of its view.
#[tokio::test(start_paused = true)]
async fn a_hanging_check_does_not_prevent_the_wake_of_others() {
    let ((first, hangs), (second, answers)) = (scripted(), scripted());
    let health = Health::builder().check("first", first).check("second", second).start().unwrap();
    assert!(health.ready().await);
    sleep(millis(500)).await;
    health.refresh("second").await.unwrap();
    hangs.hang();
    // The first result is older than its `max_age` of a second, the second one is not.
    sleep(millis(600)).await;
    assert_eq!(code(&health, "/readyz"), 200);
    settle().await;
    assert_eq!((hangs.runs(), answers.runs()), (2, 2));
    sleep(millis(500)).await;
    assert_eq!(code(&health, "/readyz"), 200);
    settle().await;
    assert_eq!(answers.runs(), 3);
    health.stop().await;
}
