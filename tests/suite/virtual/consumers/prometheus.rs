//! The counters and the visibility of the metrics page. The tests in `real` parse the page with Prometheus and other
//! scrapers.

use health_core::{CheckExt as _, Endpoint, Health, Lifecycle, Outcome, Visibility, check_fn, testing::Frozen};
use health_tests::{
    metrics_page::{hostile, page},
    support::{millis, secs},
};

fn text(endpoint: &Endpoint) -> String {
    String::from_utf8(page(endpoint, "*/*").body.to_vec()).unwrap()
}

/// Returns the value of a sample as the page writes it.
fn value(endpoint: &Endpoint, series: &str) -> String {
    let text = text(endpoint);
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).to_owned()
}

#[test]
fn the_severity_tells_unhealthy_from_unknown_and_ignores_the_lifecycle() {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check("database", ok()).check("cache", ok().optional())).unwrap();
    let endpoint = Endpoint::new(frozen.health());
    let severity = || value(&endpoint, "health_severity");
    let status = |word: &str| value(&endpoint, &format!("health_status{{status=\"{word}\"}}"));
    let record = |check, outcome| frozen.record(check, outcome, millis(1)).unwrap();
    assert_eq!((severity(), status("unhealthy")), ("3".into(), "1".into()), "nothing has run");
    record("database", Outcome::healthy());
    assert_eq!((severity(), status("degraded")), ("3".into(), "1".into()), "only the cache is unknown");
    record("cache", Outcome::healthy());
    assert_eq!((severity(), status("healthy")), ("0".into(), "1".into()));
    for phase in [Lifecycle::Starting, Lifecycle::Draining, Lifecycle::Stopped] {
        frozen.lifecycle(phase);
        // A frozen `Health` without pending checks becomes Ready by itself.
        let phase = if phase == Lifecycle::Starting { Lifecycle::Ready } else { phase };
        assert_eq!((severity(), status("healthy")), ("0".into(), "1".into()), "{phase}");
        assert_eq!(value(&endpoint, &format!("health_lifecycle{{state=\"{phase}\"}}")), "1");
        assert_eq!(value(&endpoint, "health_probe_status{probe=\"readiness\",status=\"healthy\"}"), "1");
    }
    frozen.lifecycle(Lifecycle::Ready);
    record("cache", Outcome::unhealthy("gone"));
    assert_eq!((severity(), status("degraded")), ("1".into(), "1".into()));
    record("database", Outcome::unhealthy("gone"));
    assert_eq!((severity(), status("unhealthy")), ("2".into(), "1".into()));
    assert_eq!(page(&endpoint, "*/*").status, 200);
    record("database", Outcome::healthy());
    record("cache", Outcome::healthy());
    frozen.advance(secs(3_600));
    assert_eq!((severity(), status("unhealthy")), ("3".into(), "1".into()), "all results are stale");
    let last = value(&endpoint, "health_check_last_success_timestamp_seconds{check=\"database\"}");
    assert!(last.parse::<f64>().unwrap() > 1e9, "{last}");
}

#[test]
fn runs_transitions_and_durations_are_counted() {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check("a", ok())).unwrap();
    let endpoint = Endpoint::new(frozen.health());
    assert_eq!(value(&endpoint, "health_check_last_success_timestamp_seconds{check=\"a\"}"), "0");
    let outcomes = [Outcome::unhealthy("x"), Outcome::healthy(), Outcome::degraded("y"), Outcome::unhealthy("z")];
    for outcome in outcomes {
        frozen.record("a", outcome, millis(20)).unwrap();
    }
    for (series, expected) in [
        ("health_check_runs_total{check=\"a\",status=\"healthy\"}", "1"),
        ("health_check_runs_total{check=\"a\",status=\"degraded\"}", "1"),
        ("health_check_runs_total{check=\"a\",status=\"unhealthy\"}", "2"),
        ("health_check_transitions_total{check=\"a\"}", "3"),
        ("health_check_duration_seconds_bucket{check=\"a\",le=\"0.01\"}", "0"),
        ("health_check_duration_seconds_bucket{check=\"a\",le=\"0.025\"}", "4"),
        ("health_check_duration_seconds_bucket{check=\"a\",le=\"+Inf\"}", "4"),
        ("health_check_duration_seconds_count{check=\"a\"}", "4"),
        ("health_check_duration_seconds_sum{check=\"a\"}", "0.08"),
    ] {
        assert_eq!(value(&endpoint, series), expected, "{series}");
    }
    // A run that took longer than the last bound counts only in the bucket `+Inf`.
    frozen.record("a", Outcome::healthy(), secs(60)).unwrap();
    for (series, expected) in [
        ("health_check_duration_seconds_bucket{check=\"a\",le=\"5.0\"}", "4"),
        ("health_check_duration_seconds_bucket{check=\"a\",le=\"+Inf\"}", "5"),
        ("health_check_duration_seconds_count{check=\"a\"}", "5"),
    ] {
        assert_eq!(value(&endpoint, series), expected, "{series}");
    }
}

#[test]
fn the_metrics_page_keeps_to_its_visibility() {
    let frozen = hostile();
    let endpoint = |visibility| Endpoint::new(frozen.health()).visibility(visibility);
    assert!(!text(&endpoint(Visibility::Status)).contains("database"));
    let checks = text(&endpoint(Visibility::Checks));
    assert!(checks.contains("check=\"database\"") && !checks.contains("observed") && !checks.contains("orders"));
    let full = text(&endpoint(Visibility::Full));
    assert!(full.contains("health_build_info{service=\"orders") && !full.contains("hunter2"));
    // `metrics_visibility` can raise and lower the visibility, and `full_for` overrides it.
    let both = Endpoint::new(frozen.health()).visibility(Visibility::Status).metrics_visibility(Visibility::Full);
    assert_eq!(text(&both), full);
    let terse = endpoint(Visibility::Full).metrics_visibility(Visibility::Status).full_for(|_| true);
    assert_eq!(text(&terse), full);
    assert!(!text(&endpoint(Visibility::Full).metrics_visibility(Visibility::Status)).contains("database"));
}
