//! A dependency that fails every other run.

use health_core::{CheckExt as _, Health, Outcome, Probe, Reason, Status, testing::scripted};

/// Returns readiness after each run, and the numbers of flaps and transitions in the history of the check.
async fn every_other_run(failures: u32, successes: u32, runs: u64) -> (Vec<Status>, u64, usize) {
    let (check, prompter) = scripted();
    let check = check.failures(failures).successes(successes).every(health_tests::support::secs(3600));
    let health = Health::builder().check("x", check).start().unwrap();
    assert!(health.ready().await);
    let mut said = Vec::new();
    for run in 0..runs {
        prompter.answer(if run % 2 == 0 {
            Outcome::unhealthy("refused").reason(Reason::Unreachable)
        } else {
            Outcome::healthy()
        });
        health.refresh("x").await.unwrap();
        said.push(health.status(Probe::Readiness));
    }
    let report = health.report();
    let history = &report.check("x").unwrap().history();
    (said, history.flaps(), history.transitions().len())
}

#[tokio::test(start_paused = true)]
async fn with_thresholds_a_flapping_check_never_fails_readiness() {
    let (said, flaps, transitions) = every_other_run(3, 2, 40).await;
    assert!(said.iter().all(|status| *status < Status::Unhealthy), "{said:?}");
    // The check is Healthy at first, then Degraded and Healthy alternately.
    assert_eq!((flaps, transitions), (0, 41));
}

#[tokio::test(start_paused = true)]
async fn without_thresholds_a_flapping_check_changes_readiness_each_time() {
    let (said, flaps, transitions) = every_other_run(1, 1, 40).await;
    let expected: Vec<Status> = [Status::Unhealthy, Status::Healthy].into_iter().cycle().take(40).collect();
    assert_eq!(said, expected);
    assert_eq!((flaps, transitions), (40, 41));
}

/// Three failures in a row fail the probe, and two successes in a row restore it. Fewer change nothing.
#[tokio::test(start_paused = true)]
async fn a_lasting_outage_changes_readiness_once() {
    let (check, prompter) = scripted();
    let check = check.failures(3).successes(2).every(health_tests::support::secs(3600));
    let health = Health::builder().check("x", check).start().unwrap();
    assert!(health.ready().await);
    let script = "-++-+---+--+-++++";
    let mut said = String::from("");
    for run in script.chars() {
        let bad = || Outcome::unhealthy("refused").reason(Reason::Unreachable);
        prompter.answer(if run == '-' { bad() } else { Outcome::healthy() });
        let status = health.refresh("x").await.unwrap();
        said.push(match status {
            Status::Healthy => 'h',
            Status::Degraded => 'd',
            Status::Unhealthy => 'u',
        });
    }
    assert_eq!(said, "dhhdhdduuuuuuuhhh");
    assert_eq!(health.report().check("x").unwrap().history().flaps(), 2);
}
