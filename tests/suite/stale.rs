//! Old results: when they stop being believed.

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use health_core::{CheckExt as _, Health, Impact, Outcome, Probe, Reason, Status, check_fn, testing::Frozen};
use health_tests::http;

use crate::support::{body, code, get, millis, poll_once, secs, settle};

#[test]
fn a_result_is_stale_from_its_time_on_under_its_own_impact() {
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
    let state = || (health.report().status, health.status(Probe::Liveness), code(&health, "/readyz"));
    frozen.advance(millis(30_999));
    assert_eq!(state(), (Status::Healthy, Status::Healthy, 200));
    frozen.advance(millis(1));
    assert_eq!(state(), (Status::Unhealthy, Status::Healthy, 503));
    assert_eq!(body(&health, "/readyz/database"), "[-]database failed: stale\n");
    assert!(body(&health, "/health").starts_with(r#"{"status":"unhealthy","root_causes":["database"],"checks""#));
    assert_eq!(health.report().check("database").unwrap().reason, Some(Reason::Stale));

    frozen.record("database", Outcome::healthy(), Duration::ZERO).unwrap();
    frozen.advance(millis(30_998));
    assert_eq!(state().0, Status::Healthy);
    frozen.advance(secs(40));
    frozen.record("database", Outcome::healthy(), Duration::ZERO).unwrap();
    assert_eq!(state(), (Status::Degraded, Status::Healthy, 200), "an Optional one only degrades");
    assert_eq!(health.report().check("cache").unwrap().impact, Impact::Optional);
    frozen.advance(secs(1000));
    assert_eq!(state(), (Status::Unhealthy, Status::Unhealthy, 503));
}

/// One after the other, without a change between: what was worked out for the first is not taken for the second's.
#[test]
fn each_result_grows_old_at_its_own_time() {
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
        let shown = |name: &str| report.check(name).unwrap().reason == Some(Reason::Stale);
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
    // Three intervals and a timeout go by in one step, before any task can run.
    assert!(!poll_once(tokio::time::advance(millis(16_900))));
    assert_eq!((code(&health, "/livez"), code(&health, "/readyz")), (200, 200));
    assert!(!poll_once(tokio::time::advance(millis(101))));
    assert_eq!((code(&health, "/livez"), code(&health, "/readyz")), (503, 503));
    assert_eq!(body(&health, "/readyz/x"), "[-]x failed: stale\n");
    settle().await;
    assert_eq!((code(&health, "/livez"), code(&health, "/readyz")), (200, 200));
}

#[test]
fn a_blocked_runtime_cannot_leave_a_green_page_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let health = runtime.block_on(async {
        let quick = check_fn(|| async { Ok(()) }).every(millis(100)).timeout(millis(50)).stale_after(millis(400));
        let health = Health::builder().check("worker", quick.local().liveness()).start().unwrap();
        assert!(health.ready().await);
        health
    });
    // The only worker is blocked; answering does not need it.
    runtime.spawn(async { thread::sleep(secs(2)) });
    let began = Instant::now();
    while code(&health, "/livez") == 200 {
        assert!(began.elapsed() < millis(1900), "still green");
        thread::sleep(millis(10));
    }
    assert_eq!(body(&health, "/livez/worker"), "[-]worker failed: stale\n");
    assert_eq!(code(&health, "/readyz"), 503);
    // It recovers with the runtime.
    while code(&health, "/livez") == 503 {
        assert!(began.elapsed() < secs(10), "still red");
        thread::sleep(millis(10));
    }
    drop(health);
}

/// Both in real time, as outside a runtime there is no paused clock, and side by side.
#[test]
#[ignore = "takes 40 seconds: tests/run"]
fn a_dead_scheduler_turns_every_view_red() {
    thread::scope(|scope| {
        scope.spawn(a_runtime_that_is_gone);
        scope.spawn(a_runtime_whose_workers_are_all_blocked);
    });
}

fn a_runtime_that_is_gone() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let health = runtime.block_on(async {
        let rare = check_fn(|| async { Ok(()) }).every(secs(3600));
        let health = Health::builder().check("license", rare.local().liveness().startup()).start().unwrap();
        assert!(health.ready().await);
        health
    });
    drop(runtime);
    let died = Instant::now();
    assert_eq!(get(&health, "/livez").status, 200);
    thread::sleep(secs(29).saturating_sub(died.elapsed()));
    assert_eq!(get(&health, "/livez").status, 200);
    thread::sleep(millis(31_200).saturating_sub(died.elapsed()));
    for path in ["/livez", "/readyz", "/health", "/startupz", "/health/checks/license"] {
        assert_eq!(code(&health, path), 503, "{path}");
    }
    assert!(body(&health, "/health").starts_with(r#"{"status":"unhealthy","reason":"stale","#));
}

/// Asked from a plain thread, and over the servers apart of every framework.
fn a_runtime_whose_workers_are_all_blocked() {
    const BLOCKED: Duration = secs(36);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let health = runtime.block_on(async {
        let ok = || check_fn(|| async { Ok(()) });
        let health = Health::builder()
            .check("database", ok().every(millis(200)).timeout(millis(100)).stale_after(secs(2)))
            .check("worker", ok().local().liveness().every(secs(3600)))
            .start()
            .unwrap();
        assert!(health.ready().await);
        health
    });
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let apart = [
        health_actix::serve_apart(health.clone(), listener()).unwrap(),
        health_axum::serve_apart(health.clone(), listener()).unwrap(),
        health_warp::serve_apart(health.clone(), listener()).unwrap(),
    ];
    // One after the other, so that at the moment of a change they may differ; not longer.
    let codes = |path: &str| {
        let asked = Instant::now();
        loop {
            let mut codes: Vec<u16> = apart.iter().map(|apart| http::get(apart.address(), path, &[]).status).collect();
            codes.push(code(&health, path));
            codes.dedup();
            if let [code] = codes[..] {
                return code;
            }
            assert!(asked.elapsed() < secs(1), "{path}: {codes:?}");
        }
    };
    let began = Instant::now();
    assert_eq!((codes("/livez"), codes("/readyz")), (200, 200));
    for _ in 0..2 {
        runtime.spawn(async { thread::sleep(BLOCKED) });
    }
    let blocked = Instant::now();
    let until = |path: &str, expected: u16| {
        while codes(path) != expected {
            assert!(began.elapsed() < BLOCKED + secs(10), "{path} is not {expected}");
            thread::sleep(millis(20));
        }
        blocked.elapsed()
    };
    // Readiness by its results' age, liveness by that of the runtime itself.
    let readiness = until("/readyz", 503);
    assert!((secs(1)..secs(4)).contains(&readiness), "{readiness:?}");
    assert_eq!(body(&health, "/readyz/database"), "[-]database failed: stale\n");
    assert_eq!(codes("/livez"), 200);
    let liveness = until("/livez", 503);
    assert!((secs(28)..secs(32)).contains(&liveness), "{liveness:?}");
    assert!(body(&health, "/health/live").starts_with(r#"{"status":"unhealthy","reason":"stale","#));
    assert_eq!(codes("/health/checks/worker"), 503);
    // Both recover with the runtime.
    until("/livez", 200);
    until("/readyz", 200);
    assert!(blocked.elapsed() >= BLOCKED);
    drop((apart, health));
}
