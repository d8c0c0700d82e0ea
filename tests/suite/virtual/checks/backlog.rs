//! The `Backlog` check.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use health_core::{Backlog, CheckError, CheckExt as _, Gauge, Health, Membership, Outcome, Reason, Status, check_fn};
use tokio::time::sleep;

use health_tests::support::{invalid, observed, secs, shown, verdict};

fn watched() -> (Arc<AtomicU64>, Health) {
    let length = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&length);
    let gauge = Gauge::new(move || read.load(Ordering::SeqCst)).fail_above(1_000_000);
    let backlog = Backlog::new(gauge).growing_for(secs(300));
    (length, Health::builder().check("x", backlog).start().unwrap())
}

#[tokio::test(start_paused = true)]
async fn steady_growth_is_degraded_below_the_limit() {
    let (length, health) = watched();
    let mut warned = 0;
    for second in 0..600_u64 {
        length.fetch_add(1, Ordering::SeqCst);
        sleep(secs(1)).await;
        if shown(&health).status() == Status::Degraded {
            warned = second;
            break;
        }
    }
    assert!((295..=420).contains(&warned), "after {warned} s");
    let report = shown(&health);
    assert_eq!(verdict(&report), (Status::Degraded, Some(Reason::Threshold)));
    assert!(observed(&report, "growing_for") >= 300.0 && observed(&report, "value") > 0.0);
    // The queue is empty again.
    length.store(0, Ordering::SeqCst);
    sleep(secs(12)).await;
    assert_eq!(shown(&health).status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn bursts_and_a_constant_length_do_not_warn() {
    let (length, health) = watched();
    for second in 0..1_500_u64 {
        // A burst every half minute, then nothing for a while.
        length.store(if second % 30 < 10 { second % 30 * 50 } else { 0 }, Ordering::SeqCst);
        sleep(secs(1)).await;
        assert_eq!(shown(&health).status(), Status::Healthy, "after {second} s");
    }
    length.store(500, Ordering::SeqCst);
    for second in 0..1_500 {
        sleep(secs(1)).await;
        assert_eq!(shown(&health).status(), Status::Healthy, "constant for {second} s");
    }
}

#[tokio::test(start_paused = true)]
async fn the_verdict_of_the_inner_check_is_kept_and_an_unknown_number_is_degraded() {
    let named = check_fn(|| async { Ok(Outcome::healthy().observe("waiting", 7, "jobs")) });
    assert!(invalid(Backlog::new(named).growing_for(secs(0))).contains("tolerable"));
    let other = || check_fn(|| async { Ok(Outcome::healthy().observe("waiting", 7, "jobs")) });
    let health = Health::builder().check("x", Backlog::new(other())).start().unwrap();
    health.refresh("x").await.unwrap();
    assert_eq!(
        verdict(&shown(&health)),
        (Status::Degraded, Some(Reason::Failed)),
        "no observed number has a known name"
    );
    let health = Health::builder().check("x", Backlog::new(other()).observed("waiting")).start().unwrap();
    health.refresh("x").await.unwrap();
    assert_eq!((shown(&health).status(), observed(&shown(&health), "growing_for")), (Status::Healthy, 0.0));
    let failing = check_fn(|| async { Ok(Outcome::unhealthy("refused").reason(Reason::Unreachable)) });
    let health = Health::builder().check("x", Backlog::new(failing).observed("waiting").optional()).start().unwrap();
    health.refresh("x").await.unwrap();
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Unreachable)));
    let gauge = || Gauge::new(|| 1);
    assert_eq!(health_core::Check::membership(&Backlog::new(gauge())), Membership::ReportOnly);
}

/// A failed run gives no measurement, so the time of growth begins again after it.
#[tokio::test(start_paused = true)]
async fn an_error_restarts_the_time_of_growth() {
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let check = check_fn(move || {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        // The length grows with every run, and every 40th run fails.
        async move {
            if run % 40 == 39 {
                Err(CheckError::new("away"))
            } else {
                Ok(Outcome::healthy().observe("length", run, ""))
            }
        }
    });
    let backlog = Backlog::new(check).growing_for(secs(300));
    let health = Health::builder().check("x", backlog.every(secs(5)).recheck(secs(5))).start().unwrap();
    let mut longest = 0.0_f64;
    while runs.load(Ordering::SeqCst) < 400 {
        sleep(secs(5)).await;
        let report = shown(&health);
        if report.status() != Status::Unhealthy {
            longest = longest.max(observed(&report, "growing_for"));
        }
    }
    // 40 runs take 200 seconds.
    assert!((100.0..=200.0).contains(&longest), "{longest} s");
}
