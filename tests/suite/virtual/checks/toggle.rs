//! The `Toggle` check.

use health_core::{Endpoint, Health, Probe, Reason, Status, Toggle, check_fn, testing::Frozen};

use health_tests::support::{ask, checked, code, millis, rerun, secs, shown};

#[tokio::test(start_paused = true)]
async fn it_stands_as_it_was_turned() {
    let toggle = Toggle::new();
    let health = checked(toggle.check()).await;
    assert_eq!(shown(&health).status(), Status::Healthy);
    toggle.clone().unhealthy("moving");
    for report in [shown(&health), rerun(&health).await] {
        assert_eq!(
            (report.status(), report.reason(), report.message()),
            (Status::Unhealthy, Some(Reason::Maintenance), Some("moving"))
        );
    }
    assert_eq!(health.status(Probe::Readiness), Status::Unhealthy);
    toggle.degraded("half");
    assert_eq!((shown(&health).status(), shown(&health).reason()), (Status::Degraded, Some(Reason::Maintenance)));
    toggle.healthy();
    assert_eq!((shown(&health).status(), shown(&health).message()), (Status::Healthy, None));
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_published_before_the_call_returns() {
    let toggle = Toggle::new();
    let (first, second) = (checked(toggle.check()).await, checked(toggle.check()).await);
    let mut changes = first.subscribe();
    toggle.unhealthy("now");
    assert_eq!((code(&first, "/readyz"), code(&second, "/readyz")), (503, 503), "no task has run");
    toggle.healthy();
    assert_eq!((code(&first, "/readyz"), code(&second, "/readyz")), (200, 200));
    assert!(changes.next().await.is_some() && changes.next().await.is_some(), "each turn is a change");
    // A service that is gone, and a check that was removed, hinder nobody.
    drop(second);
    first.remove("x").unwrap();
    toggle.unhealthy("again");
    assert_eq!(code(&first, "/readyz"), 200);
}

/// Outside of any runtime, and on another thread.
#[test]
fn a_turn_needs_no_runtime() {
    let toggle = Toggle::new();
    let frozen =
        Frozen::new(Health::builder().check("switch", toggle.check()).check("x", check_fn(|| async { Ok(()) })))
            .unwrap();
    toggle.healthy();
    let handle = toggle.clone();
    std::thread::spawn(move || handle.unhealthy("closed")).join().unwrap();
    let health = frozen.health();
    assert_eq!(health.report().check("switch").unwrap().reason(), Some(Reason::Maintenance));
    let text = String::from_utf8(ask(&Endpoint::new(health), "GET", "/readyz").body.to_vec()).unwrap();
    assert!(text.starts_with("[-]switch failed: maintenance\n"), "{text}");
}

/// A run that began before the turn, and ends after it, does not undo it.
#[tokio::test(start_paused = true)]
async fn a_run_under_way_does_not_undo_a_turn() {
    struct Slow(Toggle);

    #[health_core::async_trait]
    impl health_core::Check for Slow {
        async fn check(&self) -> health_core::CheckResult {
            let outcome = self.0.check().check().await;
            tokio::time::sleep(secs(1)).await;
            outcome
        }

        fn attach(&self, handle: health_core::CheckHandle) {
            self.0.check().attach(handle);
        }
    }

    let toggle = Toggle::new();
    let health = Health::builder().check("slow", Slow(toggle.clone())).start().unwrap();
    assert!(health.ready().await);
    // This one waits, so that its task runs it: once more if it has begun already.
    tokio::time::sleep(millis(5_400)).await;
    toggle.unhealthy("now");
    tokio::time::sleep(secs(2)).await;
    assert_eq!(health.report().check("slow").unwrap().reason(), Some(Reason::Maintenance));
    health.stop().await;
}
