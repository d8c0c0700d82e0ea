//! Muted checks: a known failure counts as Degraded until the mute ends.

use std::time::SystemTime;

use health_core::{
    CheckExt as _, Health, MuteError, Outcome, Probe, Reason, Status, Visibility, check_fn,
    testing::{Frozen, scripted},
};
use tokio::time::sleep;

use health_tests::support::{ask, body, code, millis, secs, verdict};

fn failing() -> (Frozen, Health) {
    let ok = || check_fn(|| async { Ok(()) });
    let builder =
        Health::builder().secret("opensesame").check("database", ok()).check("orders", ok().depends_on("database"));
    let frozen = Frozen::new(builder).unwrap();
    frozen.record("database", Outcome::unhealthy("refused").reason(Reason::Unreachable), millis(1)).unwrap();
    let health = frozen.health();
    (frozen, health)
}

/// Returns the moment that is this number of seconds after the start of the frozen clock.
fn moment(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + secs(1_767_600_000 + seconds)
}

#[test]
fn a_muted_failure_is_degraded_shown_and_explained() {
    let (_frozen, health) = failing();
    assert_eq!(code(&health, "/readyz"), 503);
    health.mute("database", moment(60), "moving | by opensesame").unwrap();
    let report = health.report();
    let check = report.check("database").unwrap();
    assert_eq!(verdict(check), (Status::Degraded, Some(Reason::Unreachable)));
    assert_eq!((report.status(), code(&health, "/health/checks/database")), (Status::Degraded, 200));
    let shown = body(&health, "/health/checks/database");
    assert!(shown.contains(r#""muted_until":"2026-01-05T08:01:00.000Z""#) && !shown.contains("moving"), "{shown}");
    let full = health_core::Endpoint::new(health.clone()).visibility(Visibility::Full);
    let shown = String::from_utf8(ask(&full, "GET", "/health/checks/database").body.to_vec()).unwrap();
    assert!(shown.contains(r#""mute_note":"moving / by ***""#), "{shown}");
    assert!(!shown.contains("opensesame"), "{shown}");
    let other = body(&health, "/health?format=health");
    assert!(other.contains(r#""mutedUntil":"2026-01-05T08:01:00.000Z""#), "{other}");
    // A check that depends on it still waits, and its cause is the muted check.
    let report = health.report();
    let orders = report.check("orders").unwrap();
    assert_eq!((verdict(orders), orders.caused_by().len()), ((Status::Degraded, Some(Reason::Dependency)), 1));
    assert_eq!((code(&health, "/readyz"), report.root_causes().len()), (200, 0));
    health.unmute("database").unwrap();
    assert_eq!(health.report().check("database").unwrap().status(), Status::Unhealthy);
}

#[test]
fn muting_an_unknown_check_or_until_a_past_moment_is_an_error() {
    let (_frozen, health) = failing();
    assert!(matches!(health.mute("nothing", moment(60), ""), Err(MuteError::Unknown(_))));
    let past = health.mute("database", moment(0), "").unwrap_err();
    assert!(matches!(past, MuteError::Past { .. }) && past.to_string().contains("later time"), "{past}");
    assert!(health.unmute("nothing").is_err());
}

#[test]
fn a_mute_beyond_the_year_9999_is_written_as_its_last_day() {
    let (_frozen, health) = failing();
    health
        .mute("database", SystemTime::UNIX_EPOCH + secs(1_767_600_000_000), "milliseconds, taken for seconds")
        .unwrap();
    for path in ["/health", "/health?format=health", "/health/checks/database"] {
        assert!(body(&health, path).contains("9999-12-31"), "{path}");
    }
}

#[test]
fn a_muted_member_does_not_fail_startup() {
    let check = check_fn(|| async { Ok(()) }).local().startup().liveness();
    let frozen = Frozen::new(Health::builder().check("migration", check)).unwrap();
    let health = frozen.health();
    frozen.record("migration", Outcome::unhealthy("not yet"), millis(1)).unwrap();
    assert_eq!((code(&health, "/startupz"), code(&health, "/livez")), (503, 503));
    health.mute("migration", moment(3_600), "known").unwrap();
    assert_eq!((code(&health, "/startupz"), code(&health, "/livez")), (200, 200));
    health.unmute("migration").unwrap();
    assert_eq!(code(&health, "/startupz"), 503, "startup has not passed");
}

#[tokio::test]
async fn muting_after_the_stop_is_an_error() {
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) })).start().unwrap();
    health.stop().await;
    assert_eq!(health.mute("x", SystemTime::now() + secs(60), "late"), Err(MuteError::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_mute_expires_within_a_second_and_leaves_a_healthy_check_healthy() {
    let (check, says) = scripted();
    let health = Health::builder().check("x", check).start().unwrap();
    health.refresh("x").await.unwrap();
    health.mute("x", SystemTime::now() + secs(30), "planned").unwrap();
    assert_eq!(health.status(Probe::Readiness), Status::Healthy);
    says.answer(Outcome::unhealthy("down"));
    health.refresh("x").await.unwrap();
    assert_eq!(health.status(Probe::Readiness), Status::Degraded);
    sleep(secs(28)).await;
    assert_eq!(health.status(Probe::Readiness), Status::Degraded);
    sleep(secs(4)).await;
    assert_eq!(health.status(Probe::Readiness), Status::Unhealthy);
    assert_eq!(health.report().check("x").unwrap().muted(), None);
}

/// No run happens that could publish the end of the mute.
#[tokio::test(start_paused = true)]
async fn a_mute_ends_within_a_second_without_a_run() {
    let (check, says) = scripted();
    says.answer(Outcome::unhealthy("down"));
    let health = Health::builder().check("x", check.every(secs(3_600)).recheck(secs(3_600))).start().unwrap();
    health.refresh("x").await.unwrap();
    let runs = says.runs();
    health.mute("x", SystemTime::now() + secs(30), "planned").unwrap();
    sleep(secs(28)).await;
    assert_eq!(health.status(Probe::Readiness), Status::Degraded);
    sleep(secs(4)).await;
    assert_eq!((health.status(Probe::Readiness), says.runs()), (Status::Unhealthy, runs));
}

#[tokio::test(start_paused = true)]
async fn a_stale_result_of_a_muted_check_is_degraded() {
    let (check, says) = scripted();
    let health =
        Health::builder().check("x", check.every(secs(1)).timeout(secs(60)).stale_after(secs(62))).start().unwrap();
    health.refresh("x").await.unwrap();
    health.mute("x", SystemTime::now() + secs(3_600), "known").unwrap();
    says.hang();
    sleep(secs(500)).await;
    assert_eq!(health.status(Probe::Readiness), Status::Degraded);
}
