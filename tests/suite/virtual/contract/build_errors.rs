//! Invalid configuration: each mistake is an error whose text says what to change, and nothing panics.

use std::time::Duration;

use health_core::{
    BuildError, Builder, Check as _, CheckExt as _, CheckFn, Cpu, DiskSpace, Endpoint, ErrorRate, FileDescriptors,
    Gauge, Health, Heartbeat, Memory, Probe, RuntimeLag, check_fn, testing::Frozen,
};

use health_tests::support::{millis, secs};

fn ok() -> CheckFn {
    check_fn(|| async { Ok(()) })
}

/// Returns the error of a builder that is started inside a runtime.
fn error(builder: Builder) -> BuildError {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { builder.start().map(drop).unwrap_err() })
}

/// Asserts that the builder is refused with this error, and that its text contains the words.
fn refused(builder: Builder, is: impl Fn(&BuildError) -> bool, words: &[&str]) {
    let error = error(builder);
    assert!(is(&error), "{error:?}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

#[test]
fn invalid_names_are_refused() {
    for name in ["", "a b", "ä", "a/b", "a%", "{x}", "a\n", ".", "..", &"x".repeat(65)] {
        let invalid = |error: &BuildError| matches!(error, BuildError::InvalidName { .. });
        refused(Health::builder().check(name, ok()), invalid, &["invalid name", "letters, digits"]);
        let tag = |error: &BuildError| matches!(error, BuildError::InvalidTag { .. });
        refused(Health::builder().check("x", ok().tag(name)), tag, &["check \"x\": invalid tag", "letters, digits"]);
    }
    for name in ["starting", "shutdown"] {
        let reserved = |error: &BuildError| *error == BuildError::ReservedName { name: name.to_owned() };
        refused(Health::builder().check(name, ok()), reserved, &["reserved", "choose another"]);
    }
    let duplicate = |error: &BuildError| matches!(error, BuildError::DuplicateName { .. });
    refused(Health::builder().check("x", ok()).check("x", ok()), duplicate, &["two checks", "\"x\""]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert!(Health::builder().check("a-Z_0.9", ok()).check("x".repeat(64), ok()).start().is_ok());
    });
}

#[test]
fn invalid_durations_are_refused() {
    let year = secs(367 * 24 * 3600);
    for (check, option, words) in [
        (ok().every(Duration::ZERO), "every", "between 1 ms and 366 days"),
        (ok().every(year), "every", "between 1 ms and 366 days"),
        (ok().timeout(Duration::ZERO), "timeout", "between"),
        (ok().timeout(Duration::MAX), "timeout", "between"),
        (ok().recheck(Duration::from_micros(10)), "recheck", "between"),
        (ok().max_age(Duration::ZERO), "max_age", "between"),
        (ok().stale_after(Duration::ZERO), "stale_after", "between"),
        (ok().slow_above(Duration::ZERO), "slow_above", "between"),
        (ok().every(secs(5)).recheck(secs(6)), "recheck", "at most the interval"),
        (ok().every(secs(5)).timeout(secs(2)).stale_after(millis(7_500)), "stale_after", "more than the interval"),
        (ok().timeout(secs(1)).slow_above(secs(1)), "slow_above", "less than the timeout"),
    ] {
        let is =
            |error: &BuildError| matches!(error, BuildError::InvalidDuration { option: found, .. } if *found == option);
        refused(Health::builder().check("x", check), is, &["\"x\"", option, words]);
    }
}

#[test]
fn invalid_thresholds_and_limits_are_refused() {
    for (check, option) in [(ok().failures(0), "failures"), (ok().successes(0), "successes")] {
        let is = |error: &BuildError| matches!(error, BuildError::InvalidThreshold { .. });
        refused(Health::builder().check("x", check), is, &[option, "use 1 or more"]);
    }
    let gauge = || Gauge::new(|| 1);
    for gauge in [
        gauge().warn_above(10).fail_above(5),
        gauge().warn_above(10).fail_above(10),
        gauge().warn_below(10).fail_above(5),
        gauge().fail_below(10).warn_above(5),
        gauge().warn_below(1).fail_below(5),
        gauge().warn_below(5).warn_above(3),
    ] {
        let is = |error: &BuildError| matches!(error, BuildError::InvalidCheck { .. });
        refused(Health::builder().check("x", gauge), is, &["\"x\"", "must be less than"]);
    }
    assert!(Heartbeat::new().warn_after(Duration::ZERO).check().validate().is_err());
    let heartbeat = Heartbeat::new().warn_after(secs(9)).fail_after(secs(9));
    assert!(heartbeat.check().validate().is_err());
    let is = |error: &BuildError| matches!(error, BuildError::InvalidCheck { .. });
    refused(Health::builder().check("x", heartbeat.check()), is, &["must be less than"]);
}

#[test]
fn a_shared_dependency_in_liveness_or_startup_is_refused() {
    for (check, probe, words) in [
        (ok().liveness(), Probe::Liveness, ["restart the whole fleet", ".liveness_despite_dependency()"]),
        (ok().startup(), Probe::Startup, ["loop every rollout", ".startup_despite_dependency()"]),
    ] {
        let is =
            |error: &BuildError| matches!(error, BuildError::DependencyInProbe { probe: found, .. } if *found == probe);
        refused(Health::builder().check("x", check), is, &words);
    }
    // The same holds for a dependency through other checks.
    let builder = Health::builder()
        .check("database", ok())
        .check("pool", ok().local().depends_on("database"))
        .check("worker", ok().local().liveness().depends_on("pool"));
    let is =
        |it: &BuildError| matches!(it, BuildError::ProbeBehindDependency { upstream, .. } if upstream == "database");
    refused(builder, is, &["\"worker\"", "\"database\"", "remove the depends_on"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let builder = Health::builder()
            .check("database", ok().liveness_despite_dependency().startup_despite_dependency())
            .check("worker", ok().local().liveness_despite_dependency().depends_on("database"));
        assert!(builder.start().is_ok());
    });
}

#[test]
fn unknown_and_cyclic_dependencies_are_refused() {
    let unknown =
        |error: &BuildError| matches!(error, BuildError::UnknownDependency { missing, .. } if missing == "databse");
    refused(Health::builder().check("x", ok().depends_on("databse")), unknown, &["\"databse\"", "correct the name"]);
    let circle = |error: &BuildError| matches!(error, BuildError::DependencyCycle { .. });
    refused(Health::builder().check("x", ok().depends_on("x")), circle, &["x -> x"]);
    let builder = Health::builder()
        .check("a", ok().depends_on("b"))
        .check("b", ok().depends_on("c"))
        .check("c", ok().depends_on("a"));
    refused(builder, circle, &["a -> b -> c -> a", "remove one"]);
    let behind = |error: &BuildError| matches!(error, BuildError::CriticalBehindOptional { .. });
    let builder = Health::builder().check("cache", ok().optional()).check("x", ok().depends_on("cache"));
    refused(builder, behind, &["\"cache\" .critical()", "\"x\" .optional()"]);
}

#[test]
fn a_start_outside_a_runtime_is_refused() {
    let error = Health::builder().check("x", ok()).start().map(drop).unwrap_err();
    assert_eq!(error, BuildError::NoRuntime);
    assert!(error.to_string().contains("#[tokio::main]"));
}

#[test]
fn a_start_in_a_runtime_without_a_timer_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(async { Health::builder().check("x", ok()).start().map(drop).unwrap_err() });
    assert_eq!(error, BuildError::NoTimer);
    assert!(error.to_string().contains("enable_time()"));
}

#[tokio::test(start_paused = true)]
async fn insert_applies_the_rules_of_the_builder() {
    let health = Health::builder().check("x", ok()).start().unwrap();
    assert!(matches!(health.insert("x", ok()), Err(BuildError::DuplicateName { .. })));
    assert!(matches!(health.insert("", ok()), Err(BuildError::InvalidName { .. })));
    assert!(matches!(health.insert("y", ok().liveness()), Err(BuildError::DependencyInProbe { .. })));
    assert!(matches!(health.insert("y", ok().depends_on("z")), Err(BuildError::UnknownDependency { .. })));
    assert!(matches!(health.insert("y", ok().every(millis(0))), Err(BuildError::InvalidDuration { .. })));
    assert!(health.insert("y", ok().depends_on("x")).is_ok());
}

#[test]
fn all_mistakes_of_a_builder_are_reported_at_once() {
    let error = error(
        Health::builder()
            .check("cache", ok().timeout(Duration::ZERO).failures(0))
            .check("a b", ok())
            .check("queue", Gauge::new(|| 1).warn_above(2).fail_above(1))
            .check("twice", ok().depends_on("nobody"))
            .check("twice", ok()),
    );
    let BuildError::Several { mistakes } = &error else { panic!("{error}") };
    assert_eq!(mistakes.len(), 6, "{error}");
    let text = error.to_string();
    assert_eq!(text.lines().next(), Some("6 mistakes:"));
    for words in
        ["\"cache\": failures(0)", "\"cache\": timeout(0ns)", "\"a b\"", "\"queue\": ", "\"twice\"", "\"nobody\""]
    {
        assert!(text.contains(words), "no {words} in {text}");
    }
}

/// An invalid option does not hide an invalid probe, and an unknown dependency does not hide a cycle.
#[test]
fn no_mistake_hides_another() {
    let error = error(
        Health::builder()
            .check("cache", ok().timeout(Duration::ZERO).liveness())
            .check("a", ok().depends_on("nobody").depends_on("b"))
            .check("b", ok().depends_on("a").depends_on("optional"))
            .check("optional", ok().optional())
            .check("queue", ok().local().liveness().depends_on("optional"))
            .check("queue", ok()),
    );
    let text = error.to_string();
    for words in [
        "\"cache\": timeout(0ns)",
        "\"cache\" is of kind Dependency",
        "\"a\" depends on \"nobody\"",
        "a -> b -> a",
        "the critical check \"b\" depends on the optional \"optional\"",
        "\"queue\" counts for liveness, but depends, directly or through other checks, on \"optional\"",
        "two checks are called \"queue\"",
    ] {
        assert!(text.contains(words), "no {words} in {text}");
    }
}

#[test]
fn every_dependency_cycle_is_reported_once() {
    let error = error(
        Health::builder()
            .check("a", ok().depends_on("b"))
            .check("b", ok().depends_on("a"))
            .check("c", ok().depends_on("a"))
            .check("d", ok().depends_on("d")),
    );
    let BuildError::Several { mistakes } = &error else { panic!("{error}") };
    let paths: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert!(paths[0].contains("a -> b -> a") && paths[1].contains("d -> d"), "{paths:?}");
}

/// A `main` that returns an error prints its `Debug`.
#[test]
fn the_debug_output_of_an_error_is_its_sentence() {
    let duplicate = error(Health::builder().check("cache", ok()).check("cache", ok()));
    assert_eq!(format!("{duplicate:?}"), "two checks are called \"cache\": give each check a name of its own");
    let health = Frozen::new(Health::builder()).unwrap().health();
    let endpoint = Endpoint::new(health.clone()).degraded_code(204).validated().unwrap_err();
    assert_eq!(format!("{endpoint:?}"), endpoint.to_string());
    let removed = health.remove("x").unwrap_err();
    assert_eq!(format!("{removed:?}"), "there is no check called \"x\"");
    let muted = health.unmute("x").unwrap_err();
    assert_eq!(format!("{muted:?}"), "there is no check called \"x\"");
}

/// A percentage that looks like a share is refused, and a share that looks like a percentage.
#[test]
fn limits_in_the_wrong_unit_or_out_of_range_are_refused() {
    let invalid = |error: &BuildError| matches!(error, BuildError::InvalidCheck { .. });
    let builder = |check: health_core::Registration| Health::builder().check("x", check);
    refused(builder(Memory::new().warn_above(0.8).into()), invalid, &["warn_above(0.8)", "percent", "use 80"]);
    refused(builder(FileDescriptors::new().fail_above(0.95).warn_above(0.5).into()), invalid, &["percent", "use 50"]);
    refused(builder(DiskSpace::new("/").fail_below(0.05).into()), invalid, &["percent", "use 5"]);
    refused(builder(DiskSpace::new("/").fail_inodes_below(0.05).into()), invalid, &["percent", "use 5"]);
    refused(builder(DiskSpace::new("/").fail_below(-5).into()), invalid, &["use 0 to 100"]);
    refused(builder(ErrorRate::new().fail_above(25).check().into()), invalid, &["share", "use 0.25"]);
    refused(builder(ErrorRate::new().fail_above(1).check().into()), invalid, &["never exceeded", "0.01 for 1 %"]);
    refused(builder(RuntimeLag::new().warn_above(Duration::ZERO).into()), invalid, &["always warns"]);
    refused(builder(Cpu::new().warn_above(-1).into()), invalid, &["use 0 or more"]);
}
