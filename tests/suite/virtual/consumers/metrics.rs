//! The `metrics` facade through its most used recorder: the exported samples are those of the metrics page.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use health_core::{CheckExt as _, Durations, Endpoint, Health, Metrics, Outcome, Status, Toggle, Visibility, check_fn};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use health_tests::support::{ask, millis};

fn recorder() -> PrometheusRecorder {
    let bounds = Durations::bounds().iter().map(Duration::as_secs_f64).collect::<Vec<_>>();
    PrometheusBuilder::new().set_buckets(&bounds).unwrap().build_recorder()
}

/// Returns every sample of a page by its name and sorted labels.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let mut labels: Vec<_> =
            labels.trim_end_matches('}').split_inclusive("\",").map(|it| it.trim_end_matches(',')).collect();
        labels.sort_unstable();
        // `5.0` and `5` are the same bound.
        let labels: Vec<_> = labels.iter().map(|it| it.replace(".0\"", "\"")).collect();
        (format!("{name}{{{}}}", labels.join(",")), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

fn kinds(page: &str) -> BTreeMap<String, String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split_once(' ')).map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

fn same(health: &Health, handle: &PrometheusHandle, visibility: Visibility) {
    let endpoint = Endpoint::new(health.clone()).metrics_visibility(visibility);
    let page = String::from_utf8(ask(&endpoint, "GET", "/health/metrics").body.to_vec()).unwrap();
    let exported = handle.render();
    let (ours, theirs) = (samples(&page), samples(&exported));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (series, value) in &ours {
        assert!(
            (value - theirs[series]).abs() < 1e-9,
            "{series}: {value} on the page, but {} exported",
            theirs[series]
        );
    }
    assert_eq!(kinds(&page), kinds(&exported));
}

#[tokio::test(start_paused = true)]
async fn exported_samples_are_those_of_the_metrics_page() {
    for visibility in Visibility::ALL {
        let recorder = recorder();
        let handle = recorder.handle();
        let toggle = Toggle::new();
        let slow = || async {
            tokio::time::sleep(millis(3)).await;
            Ok(Outcome::degraded("slow").observe("length", 42, "messages").observe("x", 0.5, ""))
        };
        let health = Health::builder()
            .service("orders")
            .version("1.4.2")
            .check("switch", toggle.check())
            .check("slow", check_fn(slow).every(millis(100)).optional())
            .group("lanes")
            .check("lane-0", check_fn(|| async { Ok(()) }).tag("lanes"))
            .check("lane-1", check_fn(slow).tag("lanes"))
            .start()
            .unwrap();
        health.publish(Metrics::to(recorder).visibility(*visibility).every(millis(100)));
        assert!(health.ready().await);
        for _ in 0..3 {
            toggle.unhealthy("x");
            health.refresh("switch").await.unwrap();
            toggle.healthy();
            health.refresh("switch").await.unwrap();
        }
        tokio::time::sleep(millis(300)).await;
        toggle.unhealthy("x");
        health.refresh("switch").await.unwrap();
        health.stop().await;
        assert_eq!(health.report().check("switch").unwrap().history().totals().transitions(), 7);
        same(&health, &handle, *visibility);
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_check_has_no_status_and_its_counters_continue_when_it_returns() {
    let recorder = recorder();
    let handle = recorder.handle();
    let health = Health::builder().check("stays", check_fn(|| async { Ok(()) })).start().unwrap();
    health.publish(Metrics::to(recorder).label("instance", "a").every(millis(100)));
    let insert = || health.insert("guest", check_fn(|| async { Ok(()) })).unwrap();
    let value = |series: &str| samples(&handle.render()).get(series).copied();
    insert();
    for _ in 0..3 {
        assert_eq!(health.refresh("guest").await.unwrap(), Status::Healthy);
    }
    tokio::time::sleep(millis(1_000)).await;
    let healthy = "health_check_status{check=\"guest\",instance=\"a\",status=\"healthy\"}";
    let runs = "health_check_runs_total{check=\"guest\",instance=\"a\",status=\"healthy\"}";
    let took = "health_check_duration_seconds_count{check=\"guest\",instance=\"a\"}";
    let counted = value(runs).unwrap();
    assert!(value(healthy) == Some(1.0) && counted >= 3.0 && value(took) == value(runs), "{}", handle.render());
    health.remove("guest").unwrap();
    tokio::time::sleep(millis(1_000)).await;
    assert_eq!(value(healthy), Some(0.0));
    insert();
    health.refresh("guest").await.unwrap();
    tokio::time::sleep(millis(1_000)).await;
    assert!(value(healthy) == Some(1.0) && value(runs) > Some(counted), "{}", handle.render());
    // The lifecycle changes no status.
    drop(health.drain(millis(10)));
    tokio::time::sleep(millis(1_000)).await;
    assert_eq!(value("health_lifecycle{instance=\"a\",state=\"draining\"}"), Some(1.0));
    assert_eq!(value("health_status{instance=\"a\",status=\"healthy\"}"), Some(1.0));
    assert_eq!(value("health_severity{instance=\"a\"}"), Some(0.0));
    health.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_recorder_may_be_installed_later_or_never() {
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) })).start().unwrap();
    health.publish(Metrics::new().every(millis(100)));
    for _ in 0..5 {
        health.refresh("x").await.unwrap();
    }
    tokio::time::sleep(millis(1_000)).await;
    // The recorder of the process. No other test installs one.
    let handle = PrometheusBuilder::new().install_recorder().unwrap();
    tokio::time::sleep(millis(1_000)).await;
    let page = handle.render();
    assert_eq!(samples(&page).get("health_check_status{check=\"x\",status=\"healthy\"}"), Some(&1.0), "{page}");
    assert!(page.contains("# HELP health_check_status "), "{page}");
    let runs = samples(&page)["health_check_runs_total{check=\"x\",status=\"healthy\"}"];
    assert!(runs >= 5.0, "runs before the installation are counted: {page}");
    health.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_no_longer_observed_is_nan() {
    let recorder = recorder();
    let handle = recorder.handle();
    let is_well = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&is_well);
    let check = check_fn(move || {
        let number = Outcome::healthy().observe("length", 42, "");
        let outcome = if seen.load(Ordering::Relaxed) { number } else { Outcome::unhealthy("x") };
        async move { Ok(outcome) }
    });
    let health = Health::builder().check("queue", check).start().unwrap();
    health.publish(Metrics::to(recorder).visibility(Visibility::Full).every(Duration::MAX));
    let length = || samples(&handle.render())["health_check_observed{check=\"queue\",name=\"length\",unit=\"\"}"];
    assert!(health.ready().await);
    tokio::time::sleep(millis(1_000)).await;
    assert_eq!(length(), 42.0);
    is_well.store(false, Ordering::Relaxed);
    health.refresh("queue").await.unwrap();
    tokio::time::sleep(millis(1_000)).await;
    assert!(length().is_nan(), "{}", handle.render());
    is_well.store(true, Ordering::Relaxed);
    health.refresh("queue").await.unwrap();
    tokio::time::sleep(millis(1_000)).await;
    assert_eq!(length(), 42.0);
    health.stop().await;
}
