//! Situations that are no outage, on the paused clock: slow answers up to the deadline, and a stalled runtime.

use std::sync::atomic::{AtomicU64, Ordering};

use health_core::{Change, CheckExt as _, Health, Probe, Registration, Status, check_fn};
use health_tests::support::{millis, poll_once, secs, settle};
use tokio::time::sleep;

/// Waits for readiness, then panics if a check becomes Unhealthy before the future ends.
async fn stays_good(health: &Health, during: impl Future<Output = ()>) {
    assert!(health.ready().await);
    let mut changes = health.subscribe();
    let bad = async {
        while let Some(change) = changes.next().await {
            if let Change::Check(change) = change {
                assert!(change.to < Status::Unhealthy, "{change:?}");
            }
        }
    };
    tokio::select! {
        biased;
        () = bad => panic!("the subscription has ended"),
        () = during => {}
    }
    assert_eq!(health.status(Probe::Readiness), Status::Healthy, "{:?}", health.report());
}

/// Returns a check whose answers take any time up to the deadline, and on average every 16th exactly the deadline.
fn slow(seed: u64) -> Registration {
    let state = AtomicU64::new(seed);
    check_fn(move || {
        let random =
            state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20;
        let latency = if random.is_multiple_of(16) { secs(2) } else { millis(random / 16 % 2000) };
        async move {
            sleep(latency).await;
            Ok(())
        }
    })
    .timeout(secs(2))
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_answers_up_to_the_deadline_is_no_outage() {
    let health = Health::builder().check("a", slow(1)).check("b", slow(2)).check("c", slow(3).every(secs(1))).start();
    let health = health.unwrap();
    stays_good(&health, sleep(secs(3600))).await;
    let runs: usize = health.report().checks().iter().map(|check| check.history().results().len()).sum();
    assert_eq!(runs, 180, "the last 60 results of each check");
}

/// Both timers of a run expire before any task runs. The answer that has arrived counts.
#[tokio::test(start_paused = true)]
async fn a_stall_of_the_whole_runtime_is_no_outage() {
    let answers = check_fn(|| async {
        sleep(millis(10)).await;
        Ok(())
    });
    let health = Health::builder().check("x", answers.timeout(millis(50)).every(secs(3600))).start().unwrap();
    stays_good(&health, async {
        for _ in 0..8 {
            let stall = async {
                // The run has begun when this returns.
                settle().await;
                assert!(!poll_once(tokio::time::advance(millis(400))), "no task runs meanwhile");
            };
            let (refreshed, ()) = tokio::join!(health.refresh("x"), stall);
            assert_eq!(refreshed, Ok(Status::Healthy));
        }
    })
    .await;
}
