//! The `ErrorRate` check.

use health_core::{ErrorRate, Reason, Status};
use tokio::time::sleep;

use health_tests::support::{checked, invalid, millis, observed, rerun, secs, verdict};

#[tokio::test(start_paused = true)]
async fn the_failure_share_is_judged_from_the_minimum_of_calls_on() {
    let rate = ErrorRate::new().window(secs(60)).minimum(10).warn_above(0.1).fail_above(0.5);
    let health = checked(rate.check()).await;
    for _ in 0..9 {
        rate.failure();
    }
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "fewer calls than the minimum");
    rate.record(&Err::<(), ()>(()));
    assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Threshold)));
    for _ in 0..20 {
        rate.clone().success();
    }
    let report = rerun(&health).await;
    assert_eq!(report.status(), Status::Degraded, "10 of 30 calls failed");
    assert_eq!((observed(&report, "calls"), observed(&report, "failures")), (30.0, 10.0));
    sleep(secs(58)).await;
    rate.record(&Ok::<(), ()>(()));
    assert_eq!(observed(&*rerun(&health).await, "calls"), 31.0, "still in the window");
    sleep(secs(3)).await;
    let report = rerun(&health).await;
    assert_eq!(
        (report.status(), observed(&report, "calls"), observed(&report, "failures")),
        (Status::Healthy, 1.0, 0.0)
    );
    sleep(secs(10_000)).await;
    assert_eq!(observed(&*rerun(&health).await, "calls"), 0.0);
}

#[test]
fn invalid_options_are_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    assert!(invalid(ErrorRate::new().window(millis(10)).check()).contains("at least 1 s"));
    assert!(invalid(ErrorRate::new().minimum(0).check()).contains("1 or more"));
    assert!(invalid(ErrorRate::new().warn_above(0.9).check()).contains("less than"));
}
