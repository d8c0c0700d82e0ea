//! Defaults, and settings without a rebuild.

use health_core::{
    BuildError, CheckExt as _, CheckFn, Defaults, Health, Impact, Settings, Status, check_fn,
    testing::{Frozen, scripted},
};
use serde_json::{Value, json};

use health_tests::support::{millis, secs};

fn ok() -> CheckFn {
    check_fn(|| async { Ok(()) })
}

fn settings(value: Value) -> Settings {
    serde_json::from_value(value).unwrap()
}

fn frozen(builder: health_core::Builder) -> Health {
    Frozen::new(builder).unwrap().health()
}

#[test]
fn defaults_hold_where_nothing_else_is_said() {
    let defaults = Defaults::new().every(secs(10)).timeout(secs(1)).failures(3).impact(Impact::Optional);
    let health = frozen(
        Health::builder()
            .check("own", ok().every(secs(20)).timeout(millis(500)).critical())
            .check("default", ok())
            .defaults(defaults),
    );
    let report = health.report();
    let of = |name: &str| {
        let check = report.check(name).unwrap();
        (check.interval(), check.timeout(), check.impact())
    };
    assert_eq!(of("own"), (secs(20), millis(500), Impact::Critical));
    assert_eq!(of("default"), (secs(10), secs(1), Impact::Optional));
}

#[tokio::test(start_paused = true)]
async fn defaults_hold_for_what_is_inserted_later() {
    let (check, says) = scripted();
    let health = Health::builder().defaults(Defaults::new().failures(2)).start().unwrap();
    health.insert("x", check).unwrap();
    health.refresh("x").await.unwrap();
    says.answer(health_core::Outcome::unhealthy("down"));
    assert_eq!(health.refresh("x").await, Ok(Status::Degraded), "one failure of two");
    assert_eq!(health.refresh("x").await, Ok(Status::Unhealthy));
}

#[test]
fn settings_overrule_the_code_by_name() {
    let builder = Health::builder()
        .check("database", ok().timeout(secs(9)).every(secs(9)))
        .check("my-cache.2", ok().depends_on("extra"))
        .check("extra", ok())
        .settings(settings(json!({
            "defaults": {"every": "30s", "failures": "2"},
            "checks": {
                "database": {"timeout": "1s", "impact": "optional", "tags": "sql, main", "liveness_despite_dependency": true,
                             "stale_after": "5m", "max_age": "2s", "recheck": "1500ms", "slow_above": "800ms",
                             "successes": 2, "once": false},
                "MY_CACHE_2": {"local": "true", "liveness": true, "readiness": false, "startup": "false"},
                "extra": {"enabled": "false"},
            },
        })));
    let health = frozen(builder);
    let report = health.report();
    let database = report.check("database").unwrap();
    assert_eq!((database.timeout(), database.interval(), database.impact()), (secs(1), secs(9), Impact::Optional));
    assert_eq!(database.tags().iter().map(|tag| &**tag).collect::<Vec<_>>(), ["sql", "main"]);
    let cache = report.check("my-cache.2").unwrap();
    assert_eq!((cache.interval(), cache.kind()), (secs(30), health_core::Kind::Local));
    // What is not enabled is not there, and nothing waits for it.
    assert!(report.check("extra").is_none());
}

fn refused(checks: Value) -> String {
    let builder = Health::builder().check("database", ok()).check("cache", ok());
    let error = Frozen::new(builder.settings(settings(checks))).unwrap_err();
    let named = matches!(error, BuildError::UnknownSetting { .. } | BuildError::InvalidSetting { .. });
    assert!(named, "{error:?}");
    error.to_string()
}

#[test]
fn unknown_names_and_bad_values_are_named() {
    for (value, words) in [
        (json!({"checks": {"databse": {}}}), vec!["databse", "does not exist", "database, cache"]),
        (json!({"checks": {"database": {"timeot": "1s"}}}), vec!["database", "timeot", "use one of", "timeout"]),
        (json!({"checks": {"database": {"timeout": "soon"}}}), vec!["database", "timeout", "soon", "500ms"]),
        (json!({"checks": {"database": {"timeout": 5}}}), vec!["timeout", "5 is not usable", "unit"]),
        (json!({"checks": {"database": {"failures": -1}}}), vec!["failures", "-1", "whole number"]),
        (json!({"checks": {"database": {"enabled": "perhaps"}}}), vec!["enabled", "perhaps", "true or false"]),
        (json!({"checks": {"database": {"impact": "high"}}}), vec!["impact", "high", "critical", "optional"]),
        (json!({"checks": {"database": {"tags": 3}}}), vec!["tags", "list of names"]),
        (json!({"defaults": {"interval": "1s"}}), vec!["defaults", "interval", "every"]),
    ] {
        let text = refused(value);
        for word in words {
            assert!(text.contains(word), "{word:?} is not in {text:?}");
        }
    }
    assert!(serde_json::from_value::<Settings>(json!({"cheks": {}})).unwrap_err().to_string().contains("cheks"));
    // What contradicts itself is refused as if the code had said it.
    let builder =
        Health::builder().check("database", ok()).settings(settings(json!({"checks": {"database": {"failures": 0}}})));
    assert!(matches!(Frozen::new(builder).unwrap_err(), BuildError::InvalidThreshold { .. }));
}

/// One option after the other, by what it does.
#[test]
fn every_option_has_its_effect() {
    let report = |checks: Value| {
        let builder = Health::builder().check("x", ok().local()).check("up", ok());
        let builder = builder.settings(settings(json!({"checks": {"x": checks}})));
        Frozen::new(builder).map(|frozen| format!("{:?}", frozen.health().report().checks()[0]))
    };
    for (option, value, shown) in [
        ("every", json!("21s"), "interval: 21s"),
        ("timeout", json!("1s"), "timeout: 1s"),
        ("impact", json!("optional"), "impact: Optional"),
        ("local", json!(false), "kind: Dependency"),
        ("tags", json!(["a"]), "tags: [\"a\"]"),
    ] {
        let text = report(json!({option: value})).unwrap();
        assert!(text.contains(shown), "{option}: {text}");
    }
    // What shows in no report shows in what contradicts it.
    for (options, words) in [
        (json!({"recheck": "6s"}), "recheck(6s)"),
        (json!({"max_age": "0s"}), "max_age(0ns)"),
        (json!({"stale_after": "1s"}), "stale_after(1s)"),
        (json!({"slow_above": "5s"}), "slow_above(5s)"),
        (json!({"failures": 0}), "failures(0)"),
        (json!({"successes": "0"}), "successes(0)"),
        (json!({"liveness": true, "local": false}), ".liveness() is refused"),
        (json!({"startup": true, "local": false}), ".startup() is refused"),
        (json!({"depends_on": "nothing"}), "depends on \"nothing\""),
        (json!({"depends_on": ["up"], "liveness": true}), "would wait for \"up\""),
        (json!({"report_only": false}), "say readiness"),
    ] {
        let text = report(options.clone()).unwrap_err().to_string();
        assert!(text.contains(words), "{options}: {text}");
    }
    let members = |checks: Value| {
        let builder = Health::builder().check("x", ok().local()).check("up", ok().report_only());
        let frozen = Frozen::new(builder.settings(settings(json!({"checks": {"x": checks}})))).unwrap();
        frozen.record("up", health_core::Outcome::healthy(), millis(1)).unwrap();
        frozen.record("x", health_core::Outcome::unhealthy("down"), millis(1)).unwrap();
        frozen.lifecycle(health_core::Lifecycle::Ready);
        ["/readyz", "/livez", "/startupz"].map(|path| health_tests::support::code(&frozen.health(), path) == 503)
    };
    for (options, counts_for) in [
        (json!({}), [true, false, false]),
        (json!({"readiness": false}), [false, false, false]),
        (json!({"liveness": true}), [true, true, false]),
        (json!({"startup": true}), [true, false, true]),
        (json!({"liveness_despite_dependency": true, "startup_despite_dependency": "true"}), [true, true, true]),
        // Neither the order nor the other spelling matters.
        (json!({"liveness": true, "liveness_despite_dependency": false}), [true, true, false]),
        (json!({"report_only": true, "liveness": true}), [false, true, false]),
        (json!({"report_only": true, "startup": true, "readiness": true}), [true, false, true]),
    ] {
        assert_eq!(members(options.clone()), counts_for, "{options}");
    }
}

#[tokio::test(start_paused = true)]
async fn once_is_an_option_too() {
    let (check, says) = scripted();
    let settings = settings(json!({"checks": {"x": {"once": "true"}}}));
    let health = Health::builder().check("x", check).settings(settings).start().unwrap();
    tokio::time::sleep(secs(60)).await;
    assert_eq!((says.runs(), health.report().status()), (1, Status::Healthy));
}
