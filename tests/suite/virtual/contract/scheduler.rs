//! The moments at which checks run. They are exact, because the tests use Tokio's paused clock.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use health_core::{
    Change, CheckError, CheckExt as _, Endpoint, Health, Outcome, Probe, Reason, Registration, Status, check_blocking,
    check_fn, testing::scripted, time_left,
};
use tokio::time::{Instant, sleep, timeout};

use health_tests::{
    support::{ask, body, checked, checked_within, code, get, millis, rerun, secs, settle, shown},
    wait,
};

/// Returns a check that fails or succeeds, and the recorded moments of its runs.
fn noting(fails: bool) -> (Registration, Arc<Mutex<Vec<Instant>>>) {
    let starts = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&starts);
    let check = check_fn(move || {
        noted.lock().unwrap().push(Instant::now());
        async move { if fails { Err(CheckError::new("as scripted")) } else { Ok(()) } }
    });
    (check.into(), starts)
}

fn spacings(starts: &Mutex<Vec<Instant>>) -> Vec<Duration> {
    starts.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Returns the report of a check that is registered.
fn check(health: &Health, name: &str) -> health_core::CheckReport {
    health.report().check(name).unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn all_checks_run_at_once_and_concurrently() {
    let began = Instant::now();
    let slow = || {
        check_fn(|| async {
            sleep(secs(1)).await;
            Ok(())
        })
    };
    let health = Health::builder().check("a", slow()).check("b", slow()).check("c", slow()).start().unwrap();
    assert_eq!(code(&health, "/readyz"), 503);
    assert!(body(&health, "/readyz").contains("[-]starting failed"));
    assert!(health.ready().await);
    assert_eq!(began.elapsed(), secs(1));
    assert_eq!(code(&health, "/readyz"), 200);
}

#[tokio::test(start_paused = true)]
async fn the_interval_has_10_percent_of_jitter() {
    let (check, starts) = noting(false);
    let health = Health::builder().check("x", check).start().unwrap();
    sleep(secs(1000)).await;
    let spacings = spacings(&starts);
    assert!((180..=222).contains(&spacings.len()), "{}", spacings.len());
    assert!(spacings.iter().all(|spacing| (millis(4500)..=millis(5502)).contains(spacing)), "{spacings:?}");
    let distinct: HashSet<Duration> = spacings.into_iter().collect();
    assert!(distinct.len() > 50, "only {} different spacings", distinct.len());
    drop(health);
}

#[tokio::test(start_paused = true)]
async fn a_failing_check_runs_at_the_recheck_interval_and_then_backs_off() {
    let (check, starts) = noting(true);
    let health = Health::builder().check("x", check.every(secs(60)).recheck(secs(2))).start().unwrap();
    sleep(secs(600)).await;
    let spacings = spacings(&starts);
    let around =
        |spacing: &Duration, expected: u64| (millis(expected * 900)..=millis(expected * 1100 + 2)).contains(spacing);
    assert!(spacings[..9].iter().all(|spacing| around(spacing, 2)), "{spacings:?}");
    for (spacing, expected) in spacings[9..14].iter().zip([4, 8, 16, 32, 60]) {
        assert!(around(spacing, expected), "{spacing:?} is not around {expected} s");
    }
    assert!(spacings[14..].iter().all(|spacing| around(spacing, 60)), "{spacings:?}");
    drop(health);
}

#[tokio::test(start_paused = true)]
async fn a_request_wakes_a_check_at_most_once_per_max_age() {
    let (check, starts) = noting(false);
    let (unread, unread_starts) = noting(false);
    let health = Health::builder()
        .check("read", check.liveness_despite_dependency())
        .check("unread", unread.report_only())
        .start()
        .unwrap();
    let endpoint = Endpoint::from(health.clone());
    settle().await;
    for request in 0..2000 {
        let target = ["/livez", "/health/live", "/readyz?verbose", "/livez/read", "/health/checks/read"][request % 5];
        ask(&endpoint, ["GET", "HEAD", "OPTIONS"][request % 3], target);
        sleep(millis(5)).await;
    }
    let spacings = spacings(&starts);
    assert!((9..=10).contains(&spacings.len()), "{} runs in ten seconds", spacings.len());
    assert!(spacings.iter().all(|spacing| *spacing >= secs(1)), "{spacings:?}");
    assert!(unread_starts.lock().unwrap().len() <= 3, "a request for one check does not wake another one");
}

#[tokio::test(start_paused = true)]
async fn refused_requests_and_explicit_intervals_wake_no_check() {
    let (default, default_starts) = noting(false);
    let (paced, paced_starts) = noting(false);
    let health = Health::builder().check("default", default).check("paced", paced.every(secs(20))).start().unwrap();
    let endpoint = Endpoint::from(health);
    settle().await;
    for _ in 0..1000 {
        ask(&endpoint, "POST", "/readyz");
        ask(&endpoint, "GET", "/health/checks/nope");
        ask(&endpoint, "GET", "/livez");
        ask(&endpoint, "GET", "/health/checks/paced");
        sleep(millis(10)).await;
    }
    assert!(default_starts.lock().unwrap().len() <= 3, "{}", default_starts.lock().unwrap().len());
    assert_eq!(paced_starts.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watched_service_shows_its_recovery_from_a_long_outage_at_once() {
    let (check, prompter) = scripted();
    prompter.answer(Outcome::unhealthy("refused"));
    let health = Health::builder().check("x", check).start().unwrap();
    for _ in 0..10_000 {
        assert_eq!(get(&health, "/readyz").status, 503);
        sleep(millis(20)).await;
    }
    let runs = prompter.runs();
    assert!((150..=201).contains(&runs), "{runs} runs in 200 s: one per max_age");
    prompter.answer(Outcome::healthy());
    let recovered = Instant::now();
    while get(&health, "/readyz").status == 503 {
        sleep(millis(20)).await;
    }
    assert!(recovered.elapsed() <= millis(1100), "{:?}", recovered.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_published_at_the_deadline_and_the_run_cancelled() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let cancelled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&cancelled);
    let health = Health::builder()
        .check(
            "x",
            check_fn(move || {
                let guard = Dropped(Arc::clone(&counted));
                async move {
                    let _guard = guard;
                    std::future::pending::<Result<(), CheckError>>().await
                }
            }),
        )
        .start()
        .unwrap();
    sleep(millis(1999)).await;
    assert!(check(&health, "x").is_pending());
    sleep(millis(2)).await;
    let report = check(&health, "x");
    assert_eq!((report.status(), report.reason()), (Status::Unhealthy, Some(Reason::Timeout)));
    assert_eq!(report.duration().unwrap().as_millis(), 2000);
    assert_eq!(cancelled.load(Ordering::SeqCst), 1);
    // Runs do not overlap, and each deadline is followed by a pause of at least a quarter of the spacing.
    sleep(secs(60)).await;
    assert!((10..=27).contains(&cancelled.load(Ordering::SeqCst)), "{}", cancelled.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_the_deadline_counts() {
    let (check, prompter) = scripted();
    prompter.delay(secs(2));
    let health = Health::builder().check("x", check).start().unwrap();
    assert!(health.ready().await, "an answer at the deadline is no timeout");
}

#[tokio::test(start_paused = true)]
async fn a_blocking_check_that_never_returns_runs_once_and_shows_for_how_long() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let blocking = check_blocking(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        loop {
            std::thread::park();
        }
        #[expect(unreachable_code, reason = "the type of a closure that never returns")]
        Ok(())
    });
    let health = Health::builder().check("x", blocking.local().liveness()).start().unwrap();
    settle().await;
    // The thread starts in real time.
    wait::until("its only run", || runs.load(Ordering::SeqCst) == 1);
    sleep(secs(120)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let report = check(&health, "x");
    assert_eq!((report.status(), report.reason()), (Status::Unhealthy, Some(Reason::Timeout)));
    let message = report.message().unwrap();
    assert!(message.contains("still blocks its thread, for 1"), "{message}");
    assert!(report.consecutive_failures() > 10);
    timeout(millis(1), health.stop()).await.expect("the blocked thread does not delay the stop");
}

#[tokio::test(start_paused = true)]
async fn a_panic_on_the_thread_of_a_blocking_check_is_an_outcome() {
    let health = checked(check_blocking(|| -> Result<(), CheckError> { panic!("as scripted") })).await;
    for _ in 0..3 {
        assert_eq!(rerun(&health).await.reason(), Some(Reason::Panicked), "the thread runs again after a panic");
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocking_check_runs_on_a_named_thread_and_knows_its_deadline() {
    let blocking = check_blocking(|| {
        let thread = std::thread::current();
        let left = time_left().map_or(0, |left| left.as_millis());
        Ok(Outcome::healthy().detail("thread", thread.name().unwrap_or_default()).observe("left", left as u64, "ms"))
    });
    let report = shown(&checked_within(secs(2), blocking).await);
    assert_eq!(report.details().next().unwrap().1, "health-x");
    let left = report.observed()[0].value.as_f64();
    assert!((1.0..=2000.0).contains(&left), "the thread uses the real clock: {report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_outcome_before_and_after_the_first_await() {
    let before = check_fn(|| -> std::future::Ready<Result<(), CheckError>> { panic!("as scripted") });
    let after = check_fn(|| async {
        sleep(millis(10)).await;
        if time_left().is_some() {
            panic!("as scripted")
        }
        Ok(())
    });
    let (fine, _prompter) = scripted();
    let health = Health::builder().check("before", before).check("after", after).check("fine", fine).start().unwrap();
    for name in ["before", "after"] {
        health.refresh(name).await.unwrap();
        let report = check(&health, name);
        assert_eq!((report.status(), report.reason()), (Status::Unhealthy, Some(Reason::Panicked)), "{name}");
        assert!(!report.message().unwrap().contains("as scripted"), "the payload goes to the log only");
    }
    assert_eq!(check(&health, "fine").status(), Status::Healthy);
    // The check goes on running.
    let failures = check(&health, "before").consecutive_failures();
    sleep(secs(5)).await;
    assert!(check(&health, "before").consecutive_failures() > failures);
}

#[tokio::test(start_paused = true)]
async fn thresholds_apply_in_both_directions() {
    let (scripted, prompter) = scripted();
    let health = Health::builder().check("x", scripted.failures(3).successes(2)).start().unwrap();
    let mut seen = Vec::new();
    for healthy in [true, false, false, true, false, false, false, true, false, true, true] {
        prompter.answer(if healthy {
            Outcome::healthy()
        } else {
            Outcome::unhealthy("refused").reason(Reason::Unreachable)
        });
        let status = health.refresh("x").await.unwrap();
        seen.push((status, check(&health, "x").reason()));
    }
    let (good, shaky, bad) = (
        (Status::Healthy, None),
        (Status::Degraded, Some(Reason::Unreachable)),
        (Status::Unhealthy, Some(Reason::Unreachable)),
    );
    assert_eq!(seen, [good, shaky, shaky, good, shaky, shaky, bad, bad, bad, bad, good]);
    assert_eq!(check(&health, "x").history().flaps(), 2);
}

#[tokio::test(start_paused = true)]
async fn refresh_waits_for_a_run_that_starts_after_the_call() {
    let (check, prompter) = scripted();
    prompter.delay(secs(1));
    let health = Health::builder().check("x", check.every(secs(100))).start().unwrap();
    // The run that is already in progress does not count.
    settle().await;
    prompter.answer(Outcome::unhealthy("now"));
    let began = Instant::now();
    assert_eq!(health.refresh("x").await, Ok(Status::Unhealthy));
    assert!((millis(1900)..=millis(2001)).contains(&began.elapsed()), "{:?}", began.elapsed());
    // Concurrent callers share one run.
    let runs = prompter.runs();
    let (one, two) = tokio::join!(health.refresh("x"), health.refresh("x"));
    assert_eq!((one, two), (Ok(Status::Unhealthy), Ok(Status::Unhealthy)));
    assert_eq!(prompter.runs(), runs + 1);
    assert_eq!(health.refresh("nope").await.unwrap_err().to_string(), "there is no check called \"nope\"");
    health.stop().await;
    assert_eq!(health.refresh("x").await, Ok(Status::Unhealthy), "after a stop refresh returns the last status");
}

#[tokio::test(start_paused = true)]
async fn a_once_check_runs_until_its_first_success_and_keeps_it() {
    let (check_once, prompter) = scripted();
    prompter.answer(Outcome::unhealthy("not migrated"));
    let health = Health::builder().check("migrations", check_once.once().startup_despite_dependency()).start().unwrap();
    sleep(secs(3)).await;
    assert!(prompter.runs() >= 3);
    assert_eq!(code(&health, "/startupz"), 503);
    prompter.answer(Outcome::healthy());
    health.refresh("migrations").await.unwrap();
    let runs = prompter.runs();
    prompter.answer(Outcome::unhealthy("never asked"));
    for _ in 0..100 {
        assert_eq!(code(&health, "/readyz"), 200, "the kept result is never stale");
        sleep(secs(1000)).await;
    }
    assert_eq!(prompter.runs(), runs);
    assert_eq!(health.refresh("migrations").await, Ok(Status::Healthy));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_degraded() {
    let (slow, prompter) = scripted();
    prompter.delay(millis(600));
    let health = Health::builder().check("x", slow.slow_above(millis(500))).start().unwrap();
    assert!(health.ready().await);
    assert_eq!((check(&health, "x").status(), check(&health, "x").reason()), (Status::Degraded, Some(Reason::Slow)));
    assert_eq!(code(&health, "/readyz"), 200);
}

#[tokio::test(start_paused = true)]
async fn a_run_knows_how_much_time_it_has_left() {
    assert_eq!(time_left(), None);
    let asking = check_fn(|| async {
        sleep(millis(300)).await;
        let left = time_left().unwrap_or_default();
        Ok(Outcome::healthy().observe("left", left.as_secs_f64(), "s"))
    });
    let health = Health::builder().check("x", asking.timeout(secs(1))).start().unwrap();
    assert!(health.ready().await);
    let left = check(&health, "x").observed()[0].value.as_f64();
    assert!((0.69..=0.7).contains(&left), "{left}");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_stops_the_tasks() {
    let (check, prompter) = scripted();
    let health = Health::builder().check("x", check).start().unwrap();
    let other = health.clone();
    drop(health);
    sleep(secs(20)).await;
    let runs = prompter.runs();
    assert!(runs >= 3);
    drop(other);
    sleep(secs(100)).await;
    assert_eq!(prompter.runs(), runs);
}

#[tokio::test(start_paused = true)]
async fn subscribers_get_every_change_once_and_in_order() {
    let (scripted, prompter) = scripted();
    let health = Health::builder().check("x", scripted).start().unwrap();
    let mut changes = health.subscribe();
    settle().await;
    prompter.answer(Outcome::unhealthy("refused").reason(Reason::Unreachable));
    health.refresh("x").await.unwrap();
    health.refresh("x").await.unwrap();
    prompter.answer(Outcome::healthy());
    health.refresh("x").await.unwrap();
    let drained = health.drain(Duration::ZERO);
    drained.await;
    let mut told = Vec::new();
    while let Ok(Some(change)) = timeout(millis(1), changes.next()).await {
        told.push(match change {
            Change::Check(change) => {
                let from = change.from.map_or("pending", Status::as_str);
                format!("{} {from}->{} {}", change.check, change.to, change.reason.map_or("", Reason::as_str))
            }
            Change::Lifecycle(change) => format!("{}->{}", change.from, change.to),
            _ => unreachable!("there are two kinds"),
        });
    }
    assert_eq!(
        told,
        [
            "x pending->healthy ",
            "starting->ready",
            "x healthy->unhealthy unreachable",
            "x unhealthy->healthy ",
            "ready->draining"
        ]
    );
    assert_eq!(changes.missed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_gets_the_number_of_missed_changes() {
    let (scripted, prompter) = scripted();
    let health = Health::builder().check("x", scripted).start().unwrap();
    settle().await;
    let mut changes = health.subscribe();
    for run in 0..1500 {
        prompter.answer(if run % 2 == 0 { Outcome::unhealthy("") } else { Outcome::healthy() });
        health.refresh("x").await.unwrap();
    }
    assert!(changes.next().await.is_some());
    assert_eq!(changes.missed(), 1500 - 1024);
    drop(health);
    let mut rest = 0;
    while changes.next().await.is_some() {
        rest += 1;
    }
    assert_eq!(rest, 1023);
}

#[tokio::test(start_paused = true)]
async fn checks_are_inserted_and_removed_while_running() {
    let (first, _first) = scripted();
    let health = Health::builder().check("first", first).start().unwrap();
    assert!(health.ready().await);

    // Inserted while Ready, a failing or slow check counts only from its first result.
    let (slow, prompter) = scripted();
    prompter.delay(secs(1));
    prompter.answer(Outcome::unhealthy("refused"));
    health.insert("second", slow).unwrap();
    settle().await;
    assert_eq!(code(&health, "/readyz"), 200);
    assert!(check(&health, "second").is_pending());
    assert_eq!(code(&health, "/health/checks/second"), 503);
    sleep(millis(1100)).await;
    assert_eq!(code(&health, "/readyz"), 503);

    let (third, _third) = scripted();
    health.insert("third", third.depends_on("second").optional()).unwrap();
    let stays = health.remove("second").unwrap_err().to_string();
    assert!(stays.contains("third"), "{stays}");
    health.remove("third").unwrap();
    health.remove("second").unwrap();
    assert_eq!(code(&health, "/readyz"), 200);
    assert_eq!(code(&health, "/health/checks/second"), 404);
    let runs = prompter.runs();
    sleep(secs(60)).await;
    assert_eq!(prompter.runs(), runs, "the task of a removed check has ended");
    assert!(health.remove("second").unwrap_err().to_string().contains("no check called"));

    let (again, _again) = scripted();
    assert!(health.insert("first", again).unwrap_err().to_string().contains("two checks"));
    let (again, _again) = scripted();
    health.insert("second", again).unwrap();
    assert_eq!(health.refresh("second").await, Ok(Status::Healthy));
}

#[tokio::test(start_paused = true)]
async fn removing_a_check_ends_waiting_refreshes() {
    let (check, prompter) = scripted();
    prompter.hang();
    let health = Health::builder().check("x", check).start().unwrap();
    let waiting = tokio::spawn({
        let health = health.clone();
        async move { health.refresh("x").await }
    });
    settle().await;
    health.remove("x").unwrap();
    assert!(timeout(millis(10), waiting).await.unwrap().unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn ready_waits_for_the_probe_to_pass() {
    let (check, prompter) = scripted();
    prompter.answer(Outcome::unhealthy("refused"));
    let health = Health::builder().check("x", check).start().unwrap();
    assert!(timeout(secs(5), health.ready()).await.is_err(), "the lifecycle is Ready, but the probe fails");
    prompter.answer(Outcome::degraded("slow"));
    assert!(timeout(secs(5), health.ready()).await.unwrap());
    assert_eq!(health.status(Probe::Readiness), Status::Degraded);
}
