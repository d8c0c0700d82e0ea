//! The `Uptime` check.

use health_core::{Status, Uptime};
use tokio::time::sleep;

use health_tests::support::{checked, observed, rerun, secs};

#[tokio::test(start_paused = true)]
async fn the_uptime_of_the_process_and_the_host_is_observed() {
    let health = checked(Uptime::new()).await;
    sleep(secs(90)).await;
    let report = rerun(&health).await;
    assert_eq!(report.status(), Status::Healthy);
    assert!((observed(&report, "process") - 90.0).abs() < 0.2, "{report:?}");
    if cfg!(target_os = "linux") {
        assert!(observed(&report, "host") > 0.0);
    }
}
