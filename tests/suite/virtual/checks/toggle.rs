//! The `Toggle` check.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use health_core::{
    Check, CheckExt as _, CheckHandle, CheckResult, Endpoint, Health, Latch, Outcome, Probe, Reason, Status, Toggle,
    all_of, async_trait, check_fn, testing::Frozen,
};

use health_tests::support::{ask, checked, code, millis, rerun, secs, settle, shown};

#[tokio::test(start_paused = true)]
async fn the_check_has_the_status_that_the_toggle_was_set_to() {
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
async fn setting_a_toggle_publishes_before_the_call_returns() {
    let toggle = Toggle::new();
    let (first, second) = (checked(toggle.check()).await, checked(toggle.check()).await);
    let mut changes = first.subscribe();
    toggle.unhealthy("now");
    assert_eq!((code(&first, "/readyz"), code(&second, "/readyz")), (503, 503), "no task has run");
    toggle.healthy();
    assert_eq!((code(&first, "/readyz"), code(&second, "/readyz")), (200, 200));
    assert!(changes.next().await.is_some() && changes.next().await.is_some(), "each setting is a change");
    // A dropped `Health` and a removed check do not disturb the toggle.
    drop(second);
    first.remove("x").unwrap();
    toggle.unhealthy("again");
    assert_eq!(code(&first, "/readyz"), 200);
}

/// Sets a toggle outside of a runtime, also on another thread.
#[test]
fn setting_a_toggle_needs_no_runtime() {
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

/// A run that began before the toggle was set and ends after it does not undo the setting.
#[tokio::test(start_paused = true)]
async fn a_run_in_progress_does_not_undo_a_toggle() {
    struct Slow(Toggle, Arc<AtomicBool>);

    #[async_trait]
    impl Check for Slow {
        async fn check(&self) -> CheckResult {
            let outcome = self.0.check().check().await;
            if self.1.load(Ordering::Relaxed) {
                tokio::time::sleep(secs(1)).await;
            }
            outcome
        }

        fn attach(&self, handle: CheckHandle) {
            self.0.check().attach(handle);
        }
    }

    let toggle = Toggle::new();
    let slow = Arc::new(AtomicBool::new(true));
    let health = Health::builder().check("slow", Slow(toggle.clone(), Arc::clone(&slow))).start().unwrap();
    assert!(health.ready().await);
    let shows = || health.report().check("slow").unwrap().reason();
    let refreshed = {
        let health = health.clone();
        tokio::spawn(async move { health.refresh("slow").await })
    };
    // The run has begun at this moment of the clock and has read the old state. Now it waits.
    tokio::task::yield_now().await;
    tokio::time::sleep(millis(1)).await;
    slow.store(false, Ordering::Relaxed);
    toggle.unhealthy("now");
    assert_eq!(shows(), Some(Reason::Maintenance), "before any task has run");
    refreshed.await.unwrap().unwrap();
    assert_eq!(shows(), Some(Reason::Maintenance), "the run that read the old state is over");
    health.stop().await;
}

/// If two threads set a toggle at once, the later setting is shown, whichever thread publishes last.
#[test]
fn of_two_concurrent_settings_the_later_is_shown() {
    /// Signals that it has read the state, and waits before it returns the state, if `pause` is set.
    struct Paused {
        state: Arc<Mutex<Status>>,
        pause: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>,
        handle: Arc<Mutex<Option<CheckHandle>>>,
    }

    #[async_trait]
    impl Check for Paused {
        async fn check(&self) -> CheckResult {
            let read = *self.state.lock().unwrap();
            let pause = self.pause.lock().unwrap().take();
            if let Some((has_read, go_on)) = pause {
                has_read.send(()).unwrap();
                go_on.recv().unwrap();
            }
            Ok(if read == Status::Healthy { Outcome::healthy() } else { Outcome::unhealthy("closed") })
        }

        fn attach(&self, handle: CheckHandle) {
            *self.handle.lock().unwrap() = Some(handle);
        }
    }

    let (state, handle) = (Arc::new(Mutex::new(Status::Unhealthy)), Arc::default());
    let ((has_read, read), (go_on, wait)) = (mpsc::channel(), mpsc::channel());
    let pause = Mutex::new(Some((has_read, wait)));
    let check = Paused { state: Arc::clone(&state), pause, handle: Arc::clone(&handle) };
    let frozen = Frozen::new(Health::builder().check("switch", check)).unwrap();
    let handle: CheckHandle = handle.lock().unwrap().clone().unwrap();
    let first = {
        let handle = handle.clone();
        std::thread::spawn(move || handle.run_now())
    };
    read.recv().unwrap();
    *state.lock().unwrap() = Status::Healthy;
    handle.run_now();
    let shows = || frozen.health().report().check("switch").unwrap().status();
    assert_eq!(shows(), Status::Healthy);
    go_on.send(()).unwrap();
    first.join().unwrap();
    assert_eq!(shows(), Status::Healthy, "the first thread read the state before it was changed");
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_toggle_is_rechecked_at_the_recheck_interval() {
    let toggle = Toggle::new();
    let check = toggle.check().every(secs(3_600)).recheck(secs(2)).failures(3);
    let health = checked(check).await;
    toggle.unhealthy("moving");
    assert_eq!((shown(&health).status(), shown(&health).reason()), (Status::Degraded, Some(Reason::Maintenance)));
    tokio::time::sleep(secs(6)).await;
    assert_eq!(shown(&health).status(), Status::Unhealthy, "three failed runs at the recheck interval");
}

#[tokio::test(start_paused = true)]
async fn setting_a_toggle_in_a_group_runs_the_group() {
    let (toggle, latch) = (Toggle::new(), Latch::new());
    let members: [(&str, Box<dyn Check>); 2] =
        [("switch", Box::new(toggle.check())), ("latch", Box::new(latch.check()))];
    let health = checked(all_of(members).every(secs(3_600))).await;
    assert_eq!(shown(&health).reason(), Some(Reason::Starting));
    drop(latch);
    settle().await;
    assert_eq!(shown(&health).status(), Status::Healthy);
    toggle.unhealthy("moving");
    settle().await;
    assert_eq!((shown(&health).status(), shown(&health).reason()), (Status::Unhealthy, Some(Reason::Maintenance)));
}
