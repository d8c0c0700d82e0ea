//! Defaults, and settings without a rebuild.

use health_core::{
    BuildError, CheckExt as _, CheckFn, Defaults, Health, Impact, Settings, Status, check_fn,
    testing::{Frozen, scripted},
};
use serde_json::{Value, json};

use crate::support::{millis, secs};

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
        (check.interval, check.timeout, check.impact)
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
    assert_eq!((database.timeout, database.interval, database.impact), (secs(1), secs(9), Impact::Optional));
    assert_eq!(database.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["sql", "main"]);
    let cache = report.check("my-cache.2").unwrap();
    assert_eq!((cache.interval, cache.kind), (secs(30), health_core::Kind::Local));
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
