//! A blocked or stopped runtime in real time: the endpoint must not stay healthy.

use health_core::{CheckExt as _, Health, check_fn};
use health_tests::{
    support::{Blocked, body, code, millis},
    wait,
};

/// Starts a runtime with one worker, and a service on it whose results are stale after 400 ms.
fn service() -> (tokio::runtime::Runtime, Health) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let health = runtime.block_on(async {
        let quick = check_fn(|| async { Ok(()) }).every(millis(100)).timeout(millis(50)).stale_after(millis(400));
        let health = Health::builder().check("worker", quick.local().liveness()).start().unwrap();
        assert!(health.ready().await);
        health
    });
    (runtime, health)
}

#[test]
fn a_blocked_runtime_turns_the_probes_unhealthy_until_it_recovers() {
    let (runtime, health) = service();
    // The only worker is blocked. Answering does not need it.
    let blocked = Blocked::workers(runtime.handle(), 1);
    wait::equals("blocked", &503, || code(&health, "/livez"));
    assert_eq!(body(&health, "/livez/worker"), "[-]worker failed: stale\n");
    assert_eq!(code(&health, "/readyz"), 503);
    // The probes recover with the runtime.
    drop(blocked);
    wait::equals("free again", &200, || code(&health, "/livez"));
    drop(health);
}

#[test]
fn a_runtime_that_was_shut_down_turns_liveness_unhealthy() {
    let (runtime, health) = service();
    drop(runtime);
    wait::equals("gone", &503, || code(&health, "/livez"));
    assert_eq!(body(&health, "/livez/worker"), "[-]worker failed: stale\n");
}
