//! `Defaults` of the builder, and `Settings`, which change options without a rebuild.

use std::sync::Arc;

use health_core::{
    Backlog, BuildError, Certificate, Check, CheckExt as _, CheckFn, CheckResult, Cpu, Defaults, DiskSpace, Dns,
    ErrorRate, FileDescriptors, Gauge, Health, Heartbeat, Http, Impact, InvalidCheck, Kafka, KafkaLag, Memory, Outcome,
    Postgres, RabbitMq, RabbitMqQueue, Redis, RedisQueue, Registration, RuntimeLag, Setting, Settings, SpoolDirectory,
    Sqlx, Status, async_trait, check_fn,
    testing::{Frozen, scripted},
};
use serde_json::{Value, json};

use health_tests::{
    kafka, mariadb, postgres, rabbitmq, redis,
    support::{client, millis, secs},
};

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
fn defaults_apply_where_a_check_sets_no_option() {
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
async fn defaults_apply_to_inserted_checks() {
    let (check, says) = scripted();
    let health = Health::builder().defaults(Defaults::new().failures(2)).start().unwrap();
    health.insert("x", check).unwrap();
    health.refresh("x").await.unwrap();
    says.answer(Outcome::unhealthy("down"));
    assert_eq!(health.refresh("x").await, Ok(Status::Degraded), "one failure of two");
    assert_eq!(health.refresh("x").await, Ok(Status::Unhealthy));
}

#[test]
fn settings_override_the_code_by_the_name_of_the_check() {
    let builder = Health::builder()
        .check("database", ok().timeout(secs(9)).every(secs(9)))
        .check("my-cache.2", ok().depends_on("extra"))
        .check("extra", ok())
        .settings(settings(json!({
            "defaults": {"every": "30s", "failures": "2"},
            "checks": {
                "database": {"timeout": "1s", "impact": "optional", "tags": "sql, main",
                             "liveness_despite_dependency": true, "stale_after": "5m", "max_age": "2s",
                             "recheck": "1500ms", "slow_above": "800ms", "successes": 2, "once": false},
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
    // A disabled check does not exist, and no check waits for it.
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
fn an_error_names_an_unknown_name_or_an_unusable_value() {
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
    // An invalid value is refused as it would be in the code.
    let builder =
        Health::builder().check("database", ok()).settings(settings(json!({"checks": {"database": {"failures": 0}}})));
    assert!(matches!(Frozen::new(builder).unwrap_err(), BuildError::InvalidThreshold { .. }));
}

/// Tests each option by its effect.
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
    // An option that no report shows is visible in the error of an invalid value.
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
        (json!({"depends_on": ["up"], "liveness": true}), "through other checks, on \"up\""),
        (json!({"report_only": false}), "set readiness"),
    ] {
        let text = report(options.clone()).unwrap_err().to_string();
        assert!(text.contains(words), "{options}: {text}");
    }
    let members = |checks: Value| {
        let builder = Health::builder().check("x", ok().local()).check("up", ok().report_only());
        let frozen = Frozen::new(builder.settings(settings(json!({"checks": {"x": checks}})))).unwrap();
        frozen.record("up", Outcome::healthy(), millis(1)).unwrap();
        frozen.record("x", Outcome::unhealthy("down"), millis(1)).unwrap();
        frozen.lifecycle(health_core::Lifecycle::Ready);
        ["/readyz", "/livez", "/startupz"].map(|path| health_tests::support::code(&frozen.health(), path) == 503)
    };
    for (options, counts_for) in [
        (json!({}), [true, false, false]),
        (json!({"readiness": false}), [false, false, false]),
        (json!({"liveness": true}), [true, true, false]),
        (json!({"startup": true}), [true, false, true]),
        (json!({"liveness_despite_dependency": true, "startup_despite_dependency": "true"}), [true, true, true]),
        // The order of the options does not matter, and `liveness_despite_dependency: false` undoes nothing.
        (json!({"liveness": true, "liveness_despite_dependency": false}), [true, true, false]),
        (json!({"report_only": true, "liveness": true}), [false, true, false]),
        (json!({"report_only": true, "startup": true, "readiness": true}), [true, false, true]),
    ] {
        assert_eq!(members(options.clone()), counts_for, "{options}");
    }
}

#[tokio::test(start_paused = true)]
async fn once_can_be_set_by_settings() {
    let (check, says) = scripted();
    let settings = settings(json!({"checks": {"x": {"once": "true"}}}));
    let health = Health::builder().check("x", check).settings(settings).start().unwrap();
    tokio::time::sleep(secs(60)).await;
    assert_eq!((says.runs(), health.report().status()), (1, Status::Healthy));
}

/// Returns the error of the builder for invalid options of a check. If the error names an option, the option was read.
fn contradiction(check: Registration, options: &Value) -> String {
    let builder = Health::builder().check("x", check).settings(settings(json!({"checks": {"x": options}})));
    Frozen::new(builder)
        .map(|frozen| format!("{options} was accepted: {frozen:?}"))
        .unwrap_or_else(|error| error.to_string())
}

/// Tests the specific options of every check, each by the error for an invalid value.
#[tokio::test]
async fn every_check_takes_settings_for_its_own_options() {
    let directory = tempfile::tempdir().unwrap();
    let above = ("warn_above", json!(2), "fail_above", json!("1"), "warn_above(2) must be less than fail_above(1)");
    let below = ("warn_below", json!("1"), "fail_below", json!(2), "fail_below(2) must be less than warn_below(1)");
    let limits = || vec![above.clone(), below.clone()];
    let pair = |warn, fail| (warn, json!(2), fail, json!(1), "warn_above(2) must be less than fail_above(1)");
    let lower = |warn, fail| (warn, json!(1), fail, json!(2), "fail_below(2) must be less than warn_below(1)");
    let alone = |option, value: Value, words| (option, value.clone(), option, value, words);
    let saturated = || alone("saturated_for", json!("0s"), "saturated_for(0 s)");
    let with = |mut limits: Vec<_>, more: Vec<_>| {
        limits.extend(more);
        limits
    };
    let resp = || redis::pool("redis://127.0.0.1:1/0", 1);
    let amqp = || rabbitmq::pool(&rabbitmq::url(1, "guest"), 1);
    let sql = || {
        let mut config = deadpool_postgres::tokio_postgres::Config::new();
        config.host("127.0.0.1").port(1).user("app");
        postgres::pool(config, 1)
    };
    let consumer = || Arc::new(kafka::consumer(1, "group"));
    let rate = ErrorRate::new();
    let heart = Heartbeat::new();
    let mut count = 0;
    type Rows = Vec<(&'static str, Value, &'static str, Value, &'static str)>;
    let mut kind = |make: &dyn Fn() -> Registration, rows: Rows| {
        for (one, value, other, second, words) in rows {
            let text = contradiction(make(), &json!({one: value, other: second}));
            assert!(text.contains(words), "{one}, {other}: {words:?} is not in {text:?}");
            count += 1;
        }
    };
    kind(&|| Gauge::new(|| 1).into(), limits());
    kind(&|| FileDescriptors::new().into(), limits());
    kind(&|| Memory::new().into(), with(limits(), vec![pair("warn_pressure_above", "fail_pressure_above")]));
    kind(&|| Cpu::new().into(), with(limits(), vec![pair("warn_throttled_above", "fail_throttled_above")]));
    let disk = vec![lower("warn_bytes_below", "fail_bytes_below"), lower("warn_inodes_below", "fail_inodes_below")];
    kind(&|| DiskSpace::new(directory.path()).into(), with(limits(), disk));
    let older = ("warn_older_than", json!("2s"), "fail_older_than", json!("1s"), "warn_above(2) must be less");
    let spool = vec![pair("warn_bytes_above", "fail_bytes_above"), older];
    kind(&|| SpoolDirectory::new(directory.path()).into(), with(limits(), spool));
    kind(&|| Certificate::pem_file("/nowhere.pem").into(), limits());
    kind(&|| rate.check().into(), with(limits(), vec![alone("minimum", json!(0), "minimum(0)")]));
    let lag = ("warn_above", json!("2s"), "fail_above", json!("1s"), "warn_above(2s) must be less than fail_above(1s)");
    kind(&|| RuntimeLag::new().into(), vec![lag]);
    let late =
        ("warn_after", json!("2s"), "fail_after", json!("1s"), "warn_after(2s) must be less than fail_after(1s)");
    kind(&|| heart.check().into(), vec![late]);
    let growing = alone("growing_for", json!("0s"), "growing_for(0 s)");
    kind(&|| Backlog::new(Gauge::new(|| 1)).into(), with(limits(), vec![growing]));
    kind(&|| Dns::new("nodes.internal").into(), vec![alone("at_least", json!(0), "at_least(0)")]);
    kind(
        &|| Http::get(client(), "http://127.0.0.1:1/").into(),
        vec![
            alone("accept_codes", json!("700"), "accept_codes(..) takes codes from 100 to 599"),
            alone("accept_codes", json!([204, "500-700"]), "accept_codes(..) takes codes from 100 to 599"),
            alone("accept_codes", json!(20), "accept_codes(..) takes codes from 100 to 599"),
            alone("accept_codes", json!("well"), "\"well\" is not usable: use codes and ranges of codes"),
        ],
    );
    kind(&|| Postgres::new(sql()).into(), vec![saturated()]);
    kind(&|| Redis::new(resp()).into(), vec![saturated()]);
    kind(&|| RabbitMq::new(amqp()).into(), vec![saturated()]);
    kind(&|| Sqlx::new(mariadb::pool(1, "password", 1)).into(), vec![saturated()]);
    kind(&|| RedisQueue::list(resp(), "jobs").into(), with(limits(), vec![saturated()]));
    let consumers = alone("min_consumers", json!("few"), "\"few\" is not usable: use a whole number");
    kind(&|| RabbitMqQueue::new(amqp(), "jobs").into(), with(limits(), vec![saturated(), consumers]));
    kind(&|| Kafka::consumer(consumer()).into(), vec![alone("min_brokers", json!(0), "min_brokers(0)")]);
    let worst = pair("warn_partition_above", "fail_partition_above");
    kind(&|| KafkaLag::new(consumer()).topic("orders").into(), with(limits(), vec![worst]));
    assert!(count > 40, "{count}");
}

#[tokio::test(start_paused = true)]
async fn limits_of_the_settings_decide_the_verdict() {
    let judged = |options: Value| async move {
        let gauge = Gauge::new(|| 15).warn_above(10).fail_above(20);
        let settings = settings(json!({"checks": {"jobs": options}}));
        let health = Health::builder().check("jobs", gauge).settings(settings).start().unwrap();
        health.refresh("jobs").await.unwrap()
    };
    assert_eq!(judged(json!({})).await, Status::Degraded);
    assert_eq!(judged(json!({"warn_above": 15})).await, Status::Healthy);
    assert_eq!(judged(json!({"warn_above": "1.5", "fail_above": 14.5})).await, Status::Unhealthy);
}

#[test]
fn a_setting_can_change_what_a_check_proves() {
    let proves = |options: Value| {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(json!({"checks": {"disk": options}}));
        let health = frozen(Health::builder().check("disk", DiskSpace::new(directory.path())).settings(settings));
        health.report().check("disk").unwrap().proves().to_owned()
    };
    assert!(proves(json!({})).contains("mounted for writing"));
    assert!(proves(json!({"allow_read_only": true})).contains("unless the file system is mounted read-only"));
}

/// A check of the application. It is also registered in a chain of options, a box and an `Arc`.
struct License {
    warn_below: u64,
}

#[async_trait]
impl Check for License {
    async fn check(&self) -> CheckResult {
        Ok(Outcome::degraded(format!("below {}", self.warn_below)))
    }

    fn settings(&self) -> Vec<&'static str> {
        // The first is an option of every check, which has precedence.
        vec!["timeout", "warn_below"]
    }

    fn apply_setting(&mut self, option: &str, value: &Setting) -> Result<bool, InvalidCheck> {
        assert_eq!(option, "warn_below");
        self.warn_below = value.whole()?;
        Ok(true)
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_of_the_application_takes_settings() {
    let options = || settings(json!({"checks": {"x": {"warn_below": 30, "timeout": "1s"}}}));
    let license = || License { warn_below: 14 };
    let boxed: Box<dyn Check> = Box::new(license());
    let shared: Arc<dyn Check> = Arc::new(license());
    for check in [license().into(), license().optional(), boxed.into(), Registration::from(shared)] {
        let health = Health::builder().check("x", check).settings(options()).start().unwrap();
        health.refresh("x").await.unwrap();
        let report = health.report();
        let check = report.check("x").unwrap();
        assert_eq!((check.message(), check.timeout()), (Some("below 30"), secs(1)));
    }
    // A check that two services share cannot have other settings in one of them.
    let shared: Registration = license().into();
    let error = Frozen::new(Health::builder().check("x", shared.clone()).settings(options())).unwrap_err().to_string();
    assert!(error.starts_with("the settings of \"x\" have \"warn_below\": the check is shared"), "{error}");
    let several: Arc<dyn Check> = Arc::new(license());
    let builder = Health::builder().check("x", Arc::clone(&several)).settings(options());
    let error = Frozen::new(builder).unwrap_err().to_string();
    assert!(error.starts_with("the settings of \"x\" have \"warn_below\": the check is shared"), "{error}");
    drop(several);
}

#[tokio::test(start_paused = true)]
async fn inserted_checks_take_their_settings() {
    let settings = settings(json!({
        "checks": {"database": {"timeout": "1s"}, "off": {"enabled": false}},
        "inserted": {
            "tenant-*": {"every": "30s", "timeout": "900ms", "tags": "tenants"},
            "tenant-4*": {"timeout": "800ms"},
            "TENANT_42": {"timeout": "700ms", "warn_above": 3},
            "tenant-13": {"enabled": "false"},
            "never": {"timeout": "1s"},
        },
    }));
    let builder = Health::builder().check("database", ok()).check("off", ok()).check("tenant-0", ok());
    let health = builder.settings(settings).start().unwrap();
    for name in ["tenant-1", "tenant-4", "tenant-42", "tenant-13", "other"] {
        health.insert(name, Gauge::new(|| 5).depends_on("off")).unwrap();
    }
    let of = |name: &str| {
        let report = health.report();
        report.check(name).map(|check| (check.interval(), check.timeout(), check.tags().len()))
    };
    assert_eq!(of("tenant-0"), Some((secs(5), secs(2), 0)), "a check of the builder");
    assert_eq!(of("tenant-1"), Some((secs(30), millis(900), 1)));
    assert_eq!(of("tenant-4"), Some((secs(30), millis(800), 1)));
    assert_eq!(of("tenant-42"), Some((secs(30), millis(700), 1)));
    assert_eq!(of("tenant-13"), None, "a check that is not enabled");
    assert_eq!(of("other"), Some((secs(5), secs(2), 0)));
    assert_eq!(health.refresh("tenant-42").await, Ok(Status::Degraded), "the limit of its settings");
    // The settings of a check of the builder apply to its replacement.
    health.remove("database").unwrap();
    health.insert("database", ok().timeout(secs(9))).unwrap();
    assert_eq!(of("database").map(|(_, timeout, _)| timeout), Some(secs(1)));
    // If one check refuses its settings, `insert_all` inserts none.
    let error = health.insert_all([("tenant-5", ok()), ("tenant-42", ok())]).unwrap_err().to_string();
    assert!(error.contains("the settings of \"tenant-42\" have \"warn_above\": there is no such option"), "{error}");
    assert_eq!(of("tenant-5"), None);
}

#[test]
fn an_ambiguous_name_of_a_check_is_refused() {
    for (name, words) in [
        ("database", "a check of the builder has this name"),
        ("DATABASE", "a check of the builder has this name"),
        ("a*b", "at most one \"*\", at the end of the name"),
        ("a**", "at most one \"*\", at the end of the name"),
    ] {
        let builder = Health::builder().check("database", ok());
        let error = Frozen::new(builder.settings(settings(json!({"inserted": {name: {}}})))).unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
    // Two spellings of one check: neither has precedence.
    let twice = json!({"checks": {"a-b": {"every": "1s"}, "a_b": {"every": "2s"}}});
    let error = Frozen::new(Health::builder().check("a-b", ok()).settings(settings(twice))).unwrap_err().to_string();
    assert!(error.contains("it is set twice"), "{error}");
}
