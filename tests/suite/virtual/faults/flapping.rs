//! A dependency that fails every other run.

use health_core::{CheckExt as _, Health, Outcome, Probe, Reason, Status, testing::scripted};

/// What readiness said after each of these runs, and what the check's history counts.
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
async fn with_thresholds_it_never_turns_the_probe() {
    let (said, flaps, transitions) = every_other_run(3, 2, 40).await;
    assert!(said.iter().all(|status| *status < Status::Unhealthy), "{said:?}");
    // Healthy at first, then Degraded and Healthy in turn.
    assert_eq!((flaps, transitions), (0, 41));
}

#[tokio::test(start_paused = true)]
async fn without_thresholds_it_turns_the_probe_each_time() {
    let (said, flaps, transitions) = every_other_run(1, 1, 40).await;
    let expected: Vec<Status> = [Status::Unhealthy, Status::Healthy].into_iter().cycle().take(40).collect();
    assert_eq!(said, expected);
    assert_eq!((flaps, transitions), (40, 41));
}

/// Three in a row turn it, and two in a row turn it back: nothing less.
#[tokio::test(start_paused = true)]
async fn what_lasts_turns_it_once() {
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
