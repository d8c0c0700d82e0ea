//! `Health::apply` on a running service: which settings take effect, which need a restart, and that a mistake changes
//! nothing.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use health_core::{
    Applied, BuildError, CheckExt as _, CheckFn, Gauge, Health, Outcome, Reason, Settings, SettingsLoader, Status,
    check_fn,
    testing::{Frozen, scripted},
};
use health_tests::support::{code, millis, secs, settle, verdict};
use serde_json::{Value, json};
use tokio::time::sleep;

fn ok() -> CheckFn {
    check_fn(|| async { Ok(()) })
}

fn settings(value: Value) -> Settings {
    serde_json::from_value(value).unwrap()
}

fn apply(health: &Health, value: Value) -> Applied {
    health.apply(settings(value)).unwrap()
}

fn changed(applied: &Applied) -> Vec<String> {
    applied.changed().iter().map(ToString::to_string).collect()
}

fn needs_restart(applied: &Applied) -> Vec<String> {
    applied.needs_restart().iter().map(ToString::to_string).collect()
}

/// Returns the interval and the timeout of a check.
fn pace(health: &Health, name: &str) -> Option<(Duration, Duration)> {
    health.report().check(name).map(|check| (check.interval(), check.timeout()))
}

fn past_results(health: &Health, name: &str) -> usize {
    health.report().check(name).unwrap().history().results().len()
}

#[test]
fn every_option_is_applied_and_reverts_to_the_value_of_the_code() {
    let builder = Health::builder().check("up", ok().local()).check("x", ok().local());
    let frozen = Frozen::new(builder).unwrap();
    for name in ["up", "x", "x"] {
        frozen.record(name, Outcome::healthy(), millis(1)).unwrap();
    }
    let health = frozen.health();
    let options = [
        ("every", json!("10s"), "5s -> 10s"),
        ("recheck", json!("500ms"), "1s -> 500ms"),
        ("max_age", json!("2s"), "1s -> 2s"),
        ("timeout", json!("1s"), "2s -> 1s"),
        ("stale_after", json!("1m"), "17s -> 60s"),
        ("slow_above", json!("100ms"), "none -> 100ms"),
        ("failures", json!(3), "1 -> 3"),
        ("successes", json!("2"), "1 -> 2"),
        ("impact", json!("optional"), "critical -> optional"),
        ("local", json!(false), "true -> false"),
        ("liveness", json!(true), "false -> true"),
        ("readiness", json!(false), "true -> false"),
        ("startup", json!(true), "false -> true"),
        ("no_metrics", json!(true), "false -> true"),
        ("depends_on", json!("up"), "none -> up"),
        ("tags", json!("a, b"), "none -> a, b"),
    ];
    for (option, value, text) in options {
        let applied = apply(&health, json!({"checks": {"x": {option: value}}}));
        let expected = format!("x: {option} {text}");
        assert!(changed(&applied).contains(&expected), "{expected} is not in {:?}", changed(&applied));
        assert!(applied.needs_restart().is_empty(), "{option}");
        let back = apply(&health, json!({}));
        assert_eq!(back.changed().len(), applied.changed().len(), "{option}: {:?}", changed(&back));
        assert_eq!(changed(&apply(&health, json!({}))), [""; 0], "{option}");
        let report = health.report();
        let x = report.check("x").unwrap();
        assert_eq!((x.consecutive_successes(), x.history().results().len(), x.is_pending()), (2, 2, false));
    }
}

#[test]
fn thresholds_apply_from_the_next_result_on() {
    let frozen = Frozen::new(Health::builder().check("x", ok())).unwrap();
    let health = frozen.health();
    let record = |outcome| {
        frozen.record("x", outcome, millis(200)).unwrap();
        verdict(health.report().check("x").unwrap()).0
    };
    record(Outcome::healthy());
    apply(&health, json!({"checks": {"x": {"failures": 3}}}));
    assert_eq!(record(Outcome::unhealthy("down")), Status::Degraded);
    assert_eq!(record(Outcome::unhealthy("down")), Status::Degraded);
    // The third failure in a row reaches the threshold.
    assert_eq!(record(Outcome::unhealthy("down")), Status::Unhealthy);
    apply(&health, json!({"checks": {"x": {"successes": 2}}}));
    assert_eq!(record(Outcome::healthy()), Status::Unhealthy);
    assert_eq!(record(Outcome::healthy()), Status::Healthy);
    apply(&health, json!({"checks": {"x": {"slow_above": "100ms"}}}));
    assert_eq!(record(Outcome::healthy()), Status::Degraded);
}

#[test]
fn probes_tags_and_impact_follow_the_settings() {
    let frozen = Frozen::new(Health::builder().check("up", ok()).check("x", ok())).unwrap();
    frozen.record("up", Outcome::healthy(), millis(1)).unwrap();
    frozen.record("x", Outcome::unhealthy("down"), millis(1)).unwrap();
    let health = frozen.health();
    let codes = || ["/readyz", "/livez", "/health", "/health/tags/a"].map(|path| code(&health, path));
    assert_eq!(codes(), [503, 200, 503, 404]);
    for (options, expected) in [
        (json!({"readiness": false}), [200, 200, 503, 404]),
        (json!({"impact": "optional", "tags": ["a"]}), [200, 200, 200, 200]),
        (json!({"liveness_despite_dependency": true, "tags": ["a"]}), [503, 503, 503, 503]),
        (json!({"report_only": true}), [200, 200, 503, 404]),
        (json!({}), [503, 200, 503, 404]),
    ] {
        apply(&health, json!({"checks": {"x": options.clone()}}));
        assert_eq!(codes(), expected, "{options}");
    }
    // A later result counts in the probes and tags of the new settings.
    apply(&health, json!({"checks": {"x": {"liveness_despite_dependency": true, "tags": ["a", "b"]}}}));
    frozen.record("x", Outcome::healthy(), millis(1)).unwrap();
    assert_eq!(codes(), [200; 4]);
}

#[test]
fn changed_dependencies_apply_at_once() {
    let builder = Health::builder().check("x", ok()).check("y", ok().depends_on("x")).check("up", ok());
    let frozen = Frozen::new(builder).unwrap();
    for name in ["x", "y"] {
        frozen.record(name, Outcome::healthy(), millis(1)).unwrap();
    }
    frozen.record("up", Outcome::unhealthy("down"), millis(1)).unwrap();
    let health = frozen.health();
    let of = |name: &str| verdict(health.report().check(name).unwrap());
    // "x" was registered before the check that it depends on now.
    apply(&health, json!({"checks": {"x": {"depends_on": ["up"]}}}));
    for name in ["x", "y"] {
        assert_eq!(of(name), (Status::Unhealthy, Some(Reason::Dependency)), "{name}");
    }
    assert_eq!(health.report().root_causes().len(), 1);
    frozen.record("up", Outcome::healthy(), millis(1)).unwrap();
    assert_eq!((of("x").0, of("y").0), (Status::Healthy, Status::Healthy));
    let error = health.apply(settings(json!({"checks": {"x": {"depends_on": ["y"]}}}))).unwrap_err();
    assert!(matches!(error, BuildError::DependencyCycle { .. }), "{error}");
    // Nothing depends on "x" any more, so it can be removed.
    apply(&health, json!({"checks": {"y": {"depends_on": []}}}));
    health.remove("x").unwrap();
    // A dependency of the code on a removed check is no mistake of the settings.
    assert_eq!(changed(&apply(&health, json!({}))), [""; 0]);
}

#[test]
fn settings_with_one_mistake_change_nothing() {
    let code = || ok().tag("code");
    let frozen = Frozen::new(Health::builder().check("a", code()).check("b", code()).check("jobs", Gauge::new(|| 1)));
    let frozen = frozen.unwrap();
    let health = frozen.health();
    let before = format!("{:?}", health.report());
    let good = json!({"timeout": "1s", "every": "9s", "tags": ["new"], "impact": "optional"});
    for (mistakes, words) in [
        (json!({"failures": 0}), "failures(0)"),
        (json!({"timeot": "1s"}), "did you mean \"timeout\"?"),
        (json!({"timeout": "soon"}), "soon"),
        (json!({"depends_on": ["nothing"]}), "depends on \"nothing\""),
        (json!({"depends_on": ["a"]}), "the optional \"a\""),
        (json!({"liveness": true}), ".liveness() is refused"),
        (json!({"recheck": "1h"}), "recheck("),
    ] {
        let value = json!({"defaults": {"every": "8s"}, "checks": {"a": good.clone(), "b": mistakes}});
        let error = health.apply(settings(value)).unwrap_err();
        assert!(error.to_string().contains(words), "{words} is not in {error}");
        assert_eq!(format!("{:?}", health.report()), before, "{words}");
    }
    // All mistakes are reported at once.
    let several = json!({
        "defaults": {"interval": "1s"},
        "checks": {"c": {}, "b": {"failures": 0}, "jobs": {"warn_abov": 1}},
        "inserted": {"a": {}},
    });
    let error = health.apply(settings(several)).unwrap_err();
    assert!(matches!(&error, BuildError::Several { mistakes } if mistakes.len() == 5), "{error}");
    // Refused settings do not apply to inserted checks.
    health.insert("later", ok()).unwrap();
    assert_eq!(pace(&health, "later"), Some((secs(5), secs(2))));
}

#[test]
fn an_error_names_the_variables_with_the_mistake() {
    let health = Frozen::new(Health::builder().check("x", ok())).unwrap().health();
    let variables = [("HEALTH_CHECKS__X__EVERY", "2s"), ("HEALTH_CHECKS__X__RECHECK", "3s")];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let loaded = SettingsLoader::new().variables("HEALTH", variables).load().unwrap();
    let error = health.apply(loaded).unwrap_err();
    let BuildError::Located { at, .. } = &error else { panic!("{error}") };
    assert_eq!(at, &["HEALTH_CHECKS__X__RECHECK", "HEALTH_CHECKS__X__EVERY"]);
}

#[test]
fn settings_apply_to_inserted_checks() {
    let before = json!({"inserted": {"tenant-*": {"every": "30s"}, "tenant-9": {"enabled": false}}});
    let health = Frozen::new(Health::builder().settings(settings(before)).check("tenant-0", ok())).unwrap().health();
    for name in ["tenant-1", "tenant-2", "tenant-9"] {
        health.insert(name, ok().timeout(secs(3))).unwrap();
    }
    assert_eq!(pace(&health, "tenant-1"), Some((secs(30), secs(3))));
    assert_eq!(pace(&health, "tenant-9"), None);
    let applied = apply(
        &health,
        json!({"inserted": {"tenant-*": {"timeout": "1s"}, "tenant-2": {"every": "40s"}}, "defaults": {"failures": 4}}),
    );
    assert!(changed(&applied).contains(&"tenant-1: every 30s -> 5s".to_owned()), "{:?}", changed(&applied));
    assert_eq!(pace(&health, "tenant-0"), Some((secs(5), secs(2))), "a check of the builder");
    assert_eq!(pace(&health, "tenant-1"), Some((secs(5), secs(1))));
    assert_eq!(pace(&health, "tenant-2"), Some((secs(40), secs(1))));
    // The settings apply to checks that are inserted later.
    health.insert("tenant-9", ok()).unwrap();
    assert_eq!(pace(&health, "tenant-9"), Some((secs(5), secs(1))));
    health.remove("tenant-1").unwrap();
    health.remove("tenant-0").unwrap();
    // The name of a check of the builder stays known after its removal.
    let applied = apply(&health, json!({"checks": {"tenant-0": {"timeout": "7s"}}}));
    assert!(changed(&applied).contains(&"tenant-2: timeout 1s -> 3s".to_owned()), "{:?}", changed(&applied));
    health.insert("tenant-0", ok()).unwrap();
    assert_eq!(pace(&health, "tenant-0"), Some((secs(5), secs(7))));
}

#[test]
fn options_that_a_running_check_cannot_change_need_a_restart() {
    let before = json!({"checks": {"off": {"enabled": false}, "jobs": {"warn_above": 12}}});
    let builder = Health::builder()
        .check("jobs", Gauge::new(|| 15).warn_above(10).fail_above(20))
        .check("on", ok())
        .check("off", ok())
        .check("z", ok().depends_on("off"));
    let health = Frozen::new(builder.settings(settings(before.clone()))).unwrap().health();
    let applied = apply(
        &health,
        json!({"checks": {
            // The same value as a string, as it comes from a variable.
            "jobs": {"warn_above": "12", "fail_above": 30, "once": true},
            "on": {"enabled": false, "timeout": "1s"},
        }}),
    );
    assert_eq!(needs_restart(&applied), ["jobs: once", "jobs: fail_above", "on: enabled", "off: enabled"]);
    let times = ["on: timeout 2s -> 1s", "on: stale_after 17s -> 16s"];
    assert_eq!(changed(&applied).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(times.map(str::to_owned)));
    let names: Vec<String> = health.report().checks().iter().map(|check| check.name().to_owned()).collect();
    assert_eq!(names, ["jobs", "on", "z"]);
    // A setting that is taken back reverts to the value of the code only after a restart.
    assert_eq!(needs_restart(&apply(&health, json!({"checks": {"off": {"enabled": false}}}))), ["jobs: warn_above"]);
    assert_eq!(needs_restart(&apply(&health, before)), [""; 0]);
    assert_eq!(pace(&health, "on"), Some((secs(5), secs(2))));
}

#[test]
fn a_shorter_stale_after_does_not_expire_a_fresh_result() {
    let frozen = Frozen::new(Health::builder().check("x", ok().every(secs(3_600)))).unwrap();
    let health = frozen.health();
    frozen.record("x", Outcome::healthy(), millis(1)).unwrap();
    frozen.advance(secs(1_800));
    let of_x = || verdict(health.report().check("x").unwrap());
    apply(&health, json!({"checks": {"x": {"every": "10s"}}}));
    assert_eq!(of_x(), (Status::Healthy, None), "the task has had no time for a run");
    frozen.advance(secs(31));
    assert_eq!(of_x(), (Status::Healthy, None));
    frozen.advance(secs(1));
    assert_eq!(of_x(), (Status::Unhealthy, Some(Reason::Stale)));
    // A longer `stale_after` applies to the existing result.
    apply(&health, json!({}));
    assert_eq!(of_x(), (Status::Healthy, None));
    assert_eq!(past_results(&health, "x"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_interval_ends_the_current_wait() {
    let (check, says) = scripted();
    let health = Health::builder().check("x", check.every(secs(3_600))).start().unwrap();
    assert!(health.ready().await);
    sleep(secs(60)).await;
    assert_eq!(says.runs(), 1);
    apply(&health, json!({"checks": {"x": {"every": "2s"}}}));
    sleep(secs(20)).await;
    assert!((10..=12).contains(&says.runs()), "{} runs", says.runs());
    // The last result may wait to be published.
    assert!(past_results(&health, "x") >= 9, "{} results", past_results(&health, "x"));
    // The run that is due comes, then one run per hour.
    apply(&health, json!({}));
    sleep(secs(5)).await;
    let runs = says.runs();
    sleep(secs(1_800)).await;
    assert_eq!((says.runs(), health.report().status()), (runs, Status::Healthy));
    health.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_in_progress_keeps_its_deadline() {
    let (check, says) = scripted();
    let health = Health::builder().check("x", check.every(secs(60)).timeout(secs(20))).start().unwrap();
    assert!(health.ready().await);
    says.delay(secs(10));
    let running = health.clone();
    let run = tokio::spawn(async move { running.refresh("x").await });
    settle().await;
    assert_eq!(says.runs(), 2);
    apply(&health, json!({"checks": {"x": {"timeout": "1s"}}}));
    // The settings were published before the call returned.
    assert_eq!(pace(&health, "x"), Some((secs(60), secs(1))));
    assert_eq!(run.await.unwrap(), Ok(Status::Healthy));
    assert_eq!(health.refresh("x").await, Ok(Status::Unhealthy));
    assert_eq!(health.report().check("x").unwrap().reason(), Some(Reason::Timeout));
    health.stop().await;
    assert_eq!(health.apply(Settings::default()).unwrap_err(), BuildError::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_check_without_its_former_dependency_runs_at_once() {
    let (check, says) = scripted();
    let down = check_fn(|| async { Ok(Outcome::unhealthy("down")) });
    let builder = Health::builder().check("up", down).check("x", check.depends_on("up").every(secs(3_600)));
    let health = builder.start().unwrap();
    sleep(secs(10)).await;
    let held = says.runs();
    apply(&health, json!({"checks": {"x": {"depends_on": []}}}));
    settle().await;
    assert_eq!(says.runs(), held + 1);
    health.stop().await;
}

/// While results arrive, a reader sees all settings of one call of `apply`, never a mixture of two.
#[test]
fn no_reader_sees_half_applied_settings() {
    const CHECKS: usize = 40;
    let name = |number: usize| format!("check-{number}");
    let builder = (0..CHECKS).fold(Health::builder(), |builder, number| builder.check(name(number), ok()));
    let frozen = Frozen::new(builder).unwrap();
    let health = frozen.health();
    let has_ended = AtomicBool::new(false);
    let goes_on = || !has_ended.load(Ordering::Relaxed);
    let seen = || -> BTreeSet<(Duration, Duration)> {
        health.report().checks().iter().map(|check| (check.interval(), check.timeout())).collect()
    };
    thread::scope(|scope| {
        let readers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut torn = None;
                while goes_on() {
                    torn = torn.or(Some(seen()).filter(|seen| seen.len() != 1));
                }
                torn
            })
        });
        scope.spawn(|| {
            for number in (0..CHECKS).cycle().take_while(|_| goes_on()) {
                let _ = frozen.record(&name(number), Outcome::healthy(), Duration::ZERO);
            }
        });
        let turns: Vec<bool> = (0..200)
            .map(|turn| {
                let (every, timeout) = if turn % 2 == 0 { (7, 1) } else { (9, 3) };
                let defaults = json!({"every": format!("{every}s"), "timeout": format!("{timeout}s")});
                let applied = health.apply(settings(json!({"defaults": defaults})));
                applied.is_ok() && seen() == BTreeSet::from([(secs(every), secs(timeout))])
            })
            .collect();
        has_ended.store(true, Ordering::Relaxed);
        assert!(turns.into_iter().all(|is_whole| is_whole));
        for reader in readers {
            assert_eq!(reader.join().unwrap(), None);
        }
    });
}
