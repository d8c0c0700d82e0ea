//! Stale results: the moment at which a result expires, and the effects on the report.

use std::time::Duration;

use health_core::{CheckExt as _, Health, Impact, Outcome, Probe, Reason, Status, check_fn, testing::Frozen};
use health_tests::support::{body, code, millis, poll_once, secs, settle};

#[test]
fn a_result_is_stale_from_stale_after_on_and_counts_by_its_impact() {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(
        Health::builder()
            .check("database", ok().every(secs(10)).timeout(secs(1)))
            .check("cache", ok().optional().every(secs(60)).stale_after(secs(100)))
            .check("worker", ok().local().liveness().every(secs(300))),
    )
    .unwrap();
    let health = frozen.health();
    for check in ["database", "cache", "worker"] {
        frozen.record(check, Outcome::healthy(), Duration::ZERO).unwrap();
    }
    let state = || (health.report().status(), health.status(Probe::Liveness), code(&health, "/readyz"));
    frozen.advance(millis(30_999));
    assert_eq!(state(), (Status::Healthy, Status::Healthy, 200));
    frozen.advance(millis(1));
    assert_eq!(state(), (Status::Unhealthy, Status::Healthy, 503));
    assert_eq!(body(&health, "/readyz/database"), "[-]database failed: stale\n");
    assert!(body(&health, "/health").starts_with(r#"{"status":"unhealthy","root_causes":["database"],"checks""#));
    assert_eq!(health.report().check("database").unwrap().reason(), Some(Reason::Stale));

    frozen.record("database", Outcome::healthy(), Duration::ZERO).unwrap();
    frozen.advance(millis(30_998));
    assert_eq!(state().0, Status::Healthy);
    frozen.advance(secs(40));
    frozen.record("database", Outcome::healthy(), Duration::ZERO).unwrap();
    assert_eq!(state(), (Status::Degraded, Status::Healthy, 200), "an Optional check only degrades");
    assert_eq!(health.report().check("cache").unwrap().impact(), Impact::Optional);
    frozen.advance(secs(1000));
    assert_eq!(state(), (Status::Unhealthy, Status::Unhealthy, 503));
}

/// Two results expire one after the other without a change between them. The page of the first is not reused for the
/// second.
#[test]
fn each_result_becomes_stale_at_its_own_time() {
    let ok = || check_fn(|| async { Ok(()) }).every(secs(10)).timeout(secs(1));
    let frozen = Frozen::new(
        Health::builder().check("a", ok().stale_after(secs(50))).check("b", ok().optional().stale_after(secs(60))),
    )
    .unwrap();
    frozen.record("a", Outcome::healthy(), Duration::ZERO).unwrap();
    frozen.record("b", Outcome::degraded("slow"), Duration::ZERO).unwrap();
    let health = frozen.health();
    let reasons = || {
        let report = health.report();
        let page = body(&health, "/health");
        let shown = |name: &str| report.check(name).unwrap().reason() == Some(Reason::Stale);
        assert_eq!(page.matches("stale").count(), usize::from(shown("a")) + usize::from(shown("b")), "{page}");
        (shown("a"), shown("b"), health.serving("a"), health.serving("b"))
    };
    assert_eq!(reasons(), (false, false, Some(true), Some(true)));
    frozen.advance(secs(50));
    (0..2).for_each(|_| assert_eq!(reasons(), (true, false, Some(false), Some(true))));
    frozen.advance(secs(10));
    (0..2).for_each(|_| assert_eq!(reasons(), (true, true, Some(false), Some(false))));
    frozen.record("a", Outcome::healthy(), Duration::ZERO).unwrap();
    assert_eq!(reasons(), (false, true, Some(true), Some(false)));
}

#[tokio::test(start_paused = true)]
async fn time_that_passes_without_a_run_makes_results_stale() {
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) }).local().liveness()).start().unwrap();
    assert!(health.ready().await);
    // Three intervals and a timeout pass in one step, before any task can run.
    assert!(!poll_once(tokio::time::advance(millis(16_900))));
    assert_eq!((code(&health, "/livez"), code(&health, "/readyz")), (200, 200));
    assert!(!poll_once(tokio::time::advance(millis(101))));
    assert_eq!((code(&health, "/livez"), code(&health, "/readyz")), (503, 503));
    assert_eq!(body(&health, "/readyz/x"), "[-]x failed: stale\n");
    settle().await;
    assert_eq!((code(&health, "/livez"), code(&health, "/readyz")), (200, 200));
}

/// The scheduler has a heartbeat. A heartbeat that is 30 seconds old makes every view Unhealthy, liveness included.
#[tokio::test(start_paused = true)]
async fn a_dead_scheduler_makes_every_view_unhealthy() {
    let rare = check_fn(|| async { Ok(()) }).every(secs(3600));
    let health = Health::builder().check("license", rare.local().liveness().startup()).start().unwrap();
    assert!(health.ready().await);
    let paths = ["/livez", "/readyz", "/health", "/startupz", "/health/checks/license"];
    let codes = || paths.map(|path| code(&health, path));
    // The heartbeat comes once a second. Time that passes in one step, before any task can run, looks like a dead
    // scheduler.
    tokio::time::sleep(millis(100)).await;
    assert!(!poll_once(tokio::time::advance(millis(29_800))));
    assert_eq!(codes(), [200; 5]);
    assert!(!poll_once(tokio::time::advance(millis(1_200))));
    assert_eq!(codes(), [503; 5]);
    assert!(body(&health, "/health").starts_with(r#"{"status":"unhealthy","reason":"stale","#));
    assert!(body(&health, "/health/live").starts_with(r#"{"status":"unhealthy","reason":"stale","#));
    // The scheduler runs again, and every view is healthy again.
    settle().await;
    assert_eq!(codes(), [200; 5]);
}
