//! `Health::suspect`, by which a failed call of the application runs its check at once.

use health_core::{CheckExt as _, Health, Outcome, Status, testing::scripted};
use tokio::time::sleep;

use health_tests::support::{millis, secs, settle};

#[tokio::test(start_paused = true)]
async fn suspect_runs_the_check_at_once_and_1000_calls_run_it_once() {
    let (check, says) = scripted();
    let health = Health::builder().check("x", check.every(secs(3_600)).timeout(secs(10))).start().unwrap();
    settle().await;
    assert_eq!(says.runs(), 1);
    sleep(secs(5)).await;
    says.answer(Outcome::unhealthy("down"));
    for _ in 0..1_000 {
        assert!(health.suspect("x"));
    }
    settle().await;
    assert_eq!((says.runs(), health.report().status()), (2, Status::Unhealthy));
    sleep(millis(500)).await;
    health.suspect("x");
    settle().await;
    assert_eq!(says.runs(), 2, "at most once a second");
    sleep(millis(600)).await;
    health.suspect("x");
    settle().await;
    assert_eq!(says.runs(), 3);
    assert!(!health.suspect("nothing"));
}

#[tokio::test(start_paused = true)]
async fn suspect_ignores_the_backoff_after_ten_failures() {
    let (check, says) = scripted();
    says.answer(Outcome::unhealthy("down"));
    let health = Health::builder().check("x", check.every(secs(600)).recheck(secs(10))).start().unwrap();
    sleep(secs(4_000)).await;
    let runs = says.runs();
    says.answer(Outcome::healthy());
    health.suspect("x");
    settle().await;
    assert_eq!((says.runs(), health.report().status()), (runs + 1, Status::Healthy));
}

#[tokio::test(start_paused = true)]
async fn suspect_starts_no_second_run_during_a_run() {
    let (check, says) = scripted();
    says.delay(secs(1));
    let health = Health::builder().check("x", check.timeout(secs(5)).every(secs(60))).start().unwrap();
    sleep(millis(500)).await;
    health.suspect("x");
    sleep(secs(2)).await;
    assert_eq!(says.runs(), 1);
}
