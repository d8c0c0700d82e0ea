//! Leaving: drain and stop.

use std::time::Duration;

use health_core::{BuildError, CheckExt as _, Health, Lifecycle, Outcome, Probe, Reason, Status, testing::scripted};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{body, code, poll_once, secs, settle};

#[tokio::test(start_paused = true)]
async fn readiness_falls_at_once_and_nothing_else_does() {
    let (check, prompter) = scripted();
    let health = Health::builder().check("x", check.local().liveness().startup().tag("t")).start().unwrap();
    assert!(health.ready().await);
    let began = Instant::now();
    let drained = health.drain(secs(10));
    // Before the future is polled.
    for (path, expected) in [
        ("/readyz", 503),
        ("/health", 503),
        ("/health/tags/t", 503),
        ("/livez", 200),
        ("/startupz", 200),
        ("/health/checks/x", 200),
    ] {
        assert_eq!(code(&health, path), expected, "{path}");
    }
    assert!(body(&health, "/health").starts_with(r#"{"status":"unhealthy","reason":"draining","checks""#));
    assert_eq!(body(&health, "/readyz"), "[+]x ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n");
    drained.await;
    assert_eq!(began.elapsed(), secs(10));
    assert!(prompter.runs() >= 2, "checks go on");
    prompter.answer(Outcome::unhealthy("broken"));
    health.refresh("x").await.unwrap();
    assert_eq!(code(&health, "/livez"), 503, "liveness keeps its verdict");
}

#[tokio::test(start_paused = true)]
async fn it_is_idempotent_one_way_and_cannot_be_undone_by_dropping() {
    let (check, _prompter) = scripted();
    let health = Health::builder().check("x", check).start().unwrap();
    assert!(health.ready().await);
    drop(health.drain(secs(10)));
    assert_eq!(health.report().lifecycle, Lifecycle::Draining);
    sleep(secs(4)).await;
    let again = Instant::now();
    health.drain(Duration::from_secs(3600)).await;
    assert_eq!(again.elapsed(), secs(6), "the first call's delay holds");
    health.refresh("x").await.unwrap();
    assert_eq!(code(&health, "/readyz"), 503);
    assert!(!timeout(secs(1), health.ready()).await.unwrap(), "it will not become ready any more");
}

#[test]
fn it_can_be_begun_without_a_runtime_and_for_ever() {
    let frozen = health_core::testing::Frozen::new(Health::builder()).unwrap();
    drop(frozen.health().drain(Duration::MAX));
    assert_eq!(code(&frozen.health(), "/readyz"), 503);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_given_up_has_stopped_all_the_same() {
    let (one, one_says) = scripted();
    let (two, two_says) = scripted();
    let health = Health::builder().check("one", one.every(secs(60))).check("two", two.every(secs(60))).start().unwrap();
    assert!(health.ready().await);
    let _ = poll_once(health.stop());
    sleep(secs(600)).await;
    assert_eq!((one_says.runs(), two_says.runs()), (1, 1));
    // Nor does anyone wait for what will not run.
    assert_eq!(timeout(secs(1), health.refresh("one")).await.unwrap(), Ok(Status::Healthy));
    let never_polled = Health::builder().check("x", scripted().0).start().unwrap();
    never_polled.stop().await;
    assert!(timeout(secs(1), never_polled.refresh("x")).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_drain_before_the_first_results_is_a_drain() {
    let (check, prompter) = scripted();
    prompter.hang();
    let health = Health::builder().check("x", check).start().unwrap();
    let ready = tokio::spawn({
        let health = health.clone();
        async move { health.ready().await }
    });
    settle().await;
    health.drain(Duration::ZERO).await;
    assert!(!ready.await.unwrap());
    assert_eq!(health.probe(Probe::Readiness).reason, Some(Reason::Draining));
}

#[tokio::test(start_paused = true)]
async fn stopped_keeps_the_last_verdicts_and_is_never_stale() {
    let (check, prompter) = scripted();
    let health = Health::builder().check("x", check.local().liveness()).start().unwrap();
    assert!(health.ready().await);
    health.stop().await;
    let runs = prompter.runs();
    sleep(secs(3600)).await;
    assert_eq!(prompter.runs(), runs);
    assert_eq!((code(&health, "/livez"), code(&health, "/health/checks/x"), code(&health, "/readyz")), (200, 200, 503));
    assert_eq!(health.report().reason, Some(Reason::Stopped));
    assert_eq!(health.report().check("x").unwrap().status, Status::Healthy);
    let (late, _prompter) = scripted();
    assert_eq!(health.insert("late", late), Err(BuildError::Stopped));
    health.stop().await;
    health.drain(secs(1)).await;
    assert_eq!(health.report().lifecycle, Lifecycle::Stopped);
}
