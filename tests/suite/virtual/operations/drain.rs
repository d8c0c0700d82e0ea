//! `Health::drain` and `Health::stop`.

use std::time::Duration;

use health_core::{
    BuildError, CheckExt as _, Drained, Endpoint, EndpointError, Health, Lifecycle, Outcome, Probe, Reason, Response,
    Status,
    testing::{Frozen, scripted},
};
use tokio::time::{Instant, sleep, timeout};

use health_tests::support::{ask, body, code, millis, poll_once, secs, settle};

#[tokio::test(start_paused = true)]
async fn a_drain_fails_readiness_at_once_but_not_liveness_or_startup() {
    let (check, prompter) = scripted();
    let health = Health::builder().check("x", check.local().liveness().startup().tag("t")).start().unwrap();
    assert!(health.ready().await);
    let began = Instant::now();
    let drained = health.drain(secs(10));
    // The drain begins before its future is polled.
    for (path, expected) in [
        ("/readyz", 503),
        ("/health", 503),
        ("/health/tags/t", 503),
        ("/livez", 200),
        ("/startupz", 200),
        ("/health/checks/x", 200),
    ] {
        assert_eq!(code(&health, path), expected, "{path}");
    }
    assert!(body(&health, "/health").starts_with(r#"{"status":"unhealthy","reason":"draining","checks""#));
    assert_eq!(body(&health, "/readyz"), "[+]x ok\n[-]shutdown failed: draining\nreadyz check failed\n");
    drained.await;
    assert_eq!(began.elapsed(), secs(10));
    assert!(prompter.runs() >= 2, "the checks go on running");
    prompter.answer(Outcome::unhealthy("broken"));
    health.refresh("x").await.unwrap();
    assert_eq!(code(&health, "/livez"), 503, "liveness keeps its verdict");
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_idempotent_and_one_way_and_dropping_it_does_not_undo_it() {
    let (check, _prompter) = scripted();
    let health = Health::builder().check("x", check).start().unwrap();
    assert!(health.ready().await);
    drop(health.drain(secs(10)));
    assert_eq!(health.report().lifecycle(), Lifecycle::Draining);
    sleep(secs(4)).await;
    let again = Instant::now();
    health.drain(Duration::from_secs(3600)).await;
    assert_eq!(again.elapsed(), secs(6), "the delay of the first call holds");
    health.refresh("x").await.unwrap();
    assert_eq!(code(&health, "/readyz"), 503);
    assert!(!timeout(secs(1), health.ready()).await.unwrap(), "it will not become ready any more");
}

#[test]
fn a_drain_can_begin_without_a_runtime_and_last_for_ever() {
    let frozen = Frozen::new(Health::builder()).unwrap();
    drop(frozen.health().drain(Duration::MAX));
    assert_eq!(code(&frozen.health(), "/readyz"), 503);
}

#[tokio::test(start_paused = true)]
async fn a_stop_whose_future_is_dropped_still_stops_the_checks() {
    let (one, one_says) = scripted();
    let (two, two_says) = scripted();
    let health = Health::builder().check("one", one.every(secs(60))).check("two", two.every(secs(60))).start().unwrap();
    assert!(health.ready().await);
    let _ = poll_once(health.stop());
    sleep(secs(600)).await;
    assert_eq!((one_says.runs(), two_says.runs()), (1, 1));
    // A refresh does not wait for a run that will not happen.
    assert_eq!(timeout(secs(1), health.refresh("one")).await.unwrap(), Ok(Status::Healthy));
    let never_polled = Health::builder().check("x", scripted().0).start().unwrap();
    never_polled.stop().await;
    assert!(timeout(secs(1), never_polled.refresh("x")).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_drain_before_the_first_results_ends_the_wait_for_ready() {
    let (check, prompter) = scripted();
    prompter.hang();
    let health = Health::builder().check("x", check).start().unwrap();
    let ready = tokio::spawn({
        let health = health.clone();
        async move { health.ready().await }
    });
    settle().await;
    health.drain(Duration::ZERO).await;
    assert!(!ready.await.unwrap());
    assert_eq!(health.probe(Probe::Readiness).reason(), Some(Reason::Draining));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_service_keeps_its_last_verdicts_and_is_never_stale() {
    let (check, prompter) = scripted();
    let health = Health::builder().check("x", check.local().liveness()).start().unwrap();
    assert!(health.ready().await);
    health.stop().await;
    let runs = prompter.runs();
    sleep(secs(3600)).await;
    assert_eq!(prompter.runs(), runs);
    assert_eq!((code(&health, "/livez"), code(&health, "/health/checks/x"), code(&health, "/readyz")), (200, 200, 503));
    assert_eq!(health.report().reason(), Some(Reason::Stopped));
    assert_eq!(health.report().check("x").unwrap().status(), Status::Healthy);
    let (late, _prompter) = scripted();
    assert_eq!(health.insert("late", late), Err(BuildError::Stopped));
    health.stop().await;
    health.drain(secs(1)).await;
    assert_eq!(health.report().lifecycle(), Lifecycle::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_work_in_progress_up_to_its_limit() {
    let health = Health::builder().start().unwrap();
    let job = health.in_flight();
    let part_of_it = job.clone();
    let began = Instant::now();
    let drained = tokio::spawn(health.drain(secs(5)).limit(secs(20)));
    sleep(secs(8)).await;
    drop(job);
    settle().await;
    assert!(!drained.is_finished(), "a clone counts");
    // Work that begins during the drain counts, too.
    let late = health.in_flight();
    drop(part_of_it);
    sleep(secs(4)).await;
    drop(late);
    assert_eq!(drained.await.unwrap(), Drained::Finished);
    assert_eq!(began.elapsed().as_secs(), 12);

    let _stuck = (health.in_flight(), health.in_flight());
    assert_eq!(health.drain(secs(99)).limit(secs(60)).await, Drained::LimitReached { in_flight: 2 });
    assert_eq!(began.elapsed().as_secs(), 65, "the limit counts from the end of the delay of the first call");
    assert_eq!(health.drain(secs(99)).limit(Duration::ZERO).await, Drained::LimitReached { in_flight: 2 });
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_work_lasts_its_delay_and_the_limit_has_a_default() {
    let health = Health::builder().start().unwrap();
    let began = Instant::now();
    assert_eq!(health.drain(secs(5)).await, Drained::Finished);
    assert_eq!(began.elapsed(), secs(5));
    let _stuck = health.in_flight();
    assert_eq!(health.drain(Duration::ZERO).await, Drained::LimitReached { in_flight: 1 });
    assert_eq!(began.elapsed(), secs(20));
}

fn header(response: &Response, name: &str) -> Option<String> {
    let value = response.headers.iter().find(|(known, _)| *known == name)?.1;
    Some(String::from_utf8(value.as_bytes().to_vec()).unwrap())
}

const FAIL: &str = "x-envoy-immediate-health-check-fail";
const DEGRADED: &str = "x-envoy-degraded";

#[test]
fn envoy_headers_are_sent_only_if_enabled() {
    let frozen = Frozen::new(Health::builder().check("x", scripted().0.local().liveness())).unwrap();
    let health = frozen.health();
    let (plain, envoy) = (Endpoint::new(health.clone()), Endpoint::new(health.clone()).envoy_headers(true));
    let told = |endpoint: &Endpoint, method: &str, path: &str| {
        let response = ask(endpoint, method, path);
        (header(&response, DEGRADED).is_some(), header(&response, FAIL).is_some())
    };
    frozen.record("x", Outcome::healthy(), Duration::ZERO).unwrap();
    assert_eq!(told(&envoy, "GET", "/readyz"), (false, false));
    frozen.record("x", Outcome::degraded("slow"), Duration::ZERO).unwrap();
    for (method, path) in [("GET", "/readyz"), ("HEAD", "/health"), ("OPTIONS", "/livez"), ("GET", "/health/checks/x")]
    {
        assert_eq!(told(&envoy, method, path), (true, false), "{method} {path}");
        assert_eq!(told(&plain, method, path), (false, false));
    }
    assert_eq!(header(&ask(&envoy, "GET", "/readyz"), DEGRADED).as_deref(), Some("true"));
    assert_eq!(told(&envoy, "GET", "/readyz?exclude=x"), (false, false));
    assert_eq!(told(&envoy, "GET", "/health?format=none"), (false, false), "a refused request has no status");
    let broken = envoy.clone().render_with(|_, _| panic!("as scripted"));
    assert_eq!(told(&broken, "GET", "/health"), (false, false), "a failed renderer has no status");
    frozen.record("x", Outcome::unhealthy("no"), Duration::ZERO).unwrap();
    assert_eq!(told(&envoy, "GET", "/readyz"), (false, false), "the status code shows it");
    assert!(envoy.response_extras(200).is_none());
    drop(health.drain(secs(1)));
    for (method, path) in [("GET", "/readyz"), ("GET", "/livez"), ("OPTIONS", "/health"), ("POST", "/health")] {
        assert_eq!(told(&envoy, method, path), (false, true), "{method} {path}");
        assert_eq!(told(&plain, method, path), (false, false));
    }
    // The header is also added to the answers of the application.
    let on_an_answer =
        |endpoint: &Endpoint| endpoint.response_extras(200).unwrap().headers.iter().next().map(|it| it.0);
    assert_eq!((on_an_answer(&envoy), on_an_answer(&plain)), (Some(FAIL), None));
}

#[test]
fn draining_code_404_is_sent_only_while_draining() {
    let frozen = Frozen::new(Health::builder().check("x", scripted().0.local().liveness().tag("t"))).unwrap();
    let health = frozen.health();
    let endpoint = Endpoint::new(health.clone()).draining_code(404).unhealthy_code(500);
    frozen.record("x", Outcome::unhealthy("no"), Duration::ZERO).unwrap();
    assert_eq!(ask(&endpoint, "GET", "/readyz").status, 500, "the service does not drain");
    frozen.record("x", Outcome::healthy(), Duration::ZERO).unwrap();
    drop(health.drain(secs(1)));
    for (path, code) in [
        ("/readyz", 404),
        ("/readyz?verbose", 404),
        ("/health/ready", 404),
        ("/health", 404),
        ("/health/tags/t", 404),
        ("/livez", 200),
        ("/health/checks/x", 200),
    ] {
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert_eq!(ask(&endpoint, method, path).status, code, "{method} {path}");
        }
    }
    assert!(String::from_utf8_lossy(&ask(&endpoint, "GET", "/health").body).contains(r#""reason":"draining""#));
    let refused = Endpoint::new(health).draining_code(200).validated().unwrap_err();
    assert_eq!(refused, EndpointError::DrainingCode(200));
    assert!(refused.to_string().contains("400 to 599"), "{refused}");
}

/// A drain begins at once, also if its future is awaited later.
#[tokio::test(start_paused = true)]
async fn a_drain_that_is_awaited_late_ends_on_time() {
    let health = Health::builder().start().unwrap();
    let drain = health.drain(secs(5));
    sleep(millis(7_000)).await;
    let began = Instant::now();
    drain.await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}
