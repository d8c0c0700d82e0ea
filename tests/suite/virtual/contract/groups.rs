//! Groups: one row stands for all members, and a group changes nothing but the presentation.

use std::time::{Duration, SystemTime};

use health_core::{
    BuildError, Builder, CheckExt as _, CheckFn, Endpoint, Health, MuteError, Outcome, Reason, Registration, Status,
    Visibility, check_fn, testing::Frozen,
};
use health_tests::support::{ask, body, code, secs};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

fn ok() -> CheckFn {
    check_fn(|| async { Ok(()) })
}

fn member() -> Registration {
    ok().tag("tenants").report_only()
}

/// Returns a service with the check `database` and some members, all of them pending.
fn pending(members: usize) -> Frozen {
    let builder = Health::builder().service("orders").group("tenants").check("database", ok());
    let add = |builder: Builder, number| builder.check(format!("tenant-{number}"), member());
    Frozen::new((0..members).fold(builder, add)).unwrap()
}

/// Returns the same service after a healthy run of each check.
fn healthy(members: usize) -> Frozen {
    let frozen = pending(members);
    record(&frozen, "database", Outcome::healthy());
    (0..members).for_each(|number| record(&frozen, &format!("tenant-{number}"), Outcome::healthy()));
    frozen
}

fn record(frozen: &Frozen, name: &str, outcome: Outcome) {
    frozen.record(name, outcome, Duration::ZERO).unwrap();
}

fn timeout() -> Outcome {
    Outcome::unhealthy("password=hunter2").reason(Reason::Timeout)
}

fn text(endpoint: &Endpoint, target: &str) -> String {
    String::from_utf8(ask(endpoint, "GET", target).body.to_vec()).unwrap()
}

fn at(frozen: &Frozen, visibility: Visibility, target: &str) -> String {
    text(&Endpoint::new(frozen.health()).visibility(visibility), target)
}

/// Returns the row of the group in the JSON report.
fn row(frozen: &Frozen) -> Value {
    let report: Value = serde_json::from_str(&body(&frozen.health(), "/health")).unwrap();
    report["checks"]["tenants"].clone()
}

const FULL_OR_CHECKS: [Visibility; 2] = [Visibility::Checks, Visibility::Full];

#[test]
fn one_row_stands_for_the_members_in_every_format_at_every_visibility() {
    let frozen = healthy(3);
    record(&frozen, "tenant-1", timeout());
    for visibility in FULL_OR_CHECKS {
        let report = at(&frozen, visibility, "/health");
        let end = concat!(
            r#"},"tenants":{"status":"unhealthy","reason":"timeout","members":{"healthy":2,"degraded":0,"#,
            r#""unhealthy":1},"not_healthy":["tenant-1"]}}}"#,
        );
        assert!(report.starts_with(r#"{"status":"unhealthy","root_causes":["tenant-1"],"#), "{report}");
        assert!(report.contains(r#""checks":{"database":{"#) && report.ends_with(end), "{report}");
        assert!(!report.contains("tenant-0") && !report.contains("hunter2"), "{report}");

        let draft = at(&frozen, visibility, "/health?format=health");
        let kind = if visibility == Visibility::Full { r#""componentType":"component","# } else { "" };
        let members = [
            r#","tenants:members":[{"#,
            kind,
            r#""observedValue":2,"observedUnit":"healthy of 3","status":"fail","output":"timeout"}]}}"#,
        ]
        .concat();
        assert!(draft.contains(r#""database:responseTime":[{"#) && draft.ends_with(&members), "{draft}");
        assert!(!draft.contains("tenant-"), "{draft}");

        let lines = "[+]database ok\n[-]tenants failed: timeout (1 of 3)\n";
        assert_eq!(at(&frozen, visibility, "/health?format=text"), format!("{lines}health check failed\n"));
        assert_eq!(at(&frozen, visibility, "/healthz"), format!("{lines}healthz check failed\n"));

        let page = at(&frozen, visibility, "/health?format=html");
        let row = page.split("<tr>").find(|row| row.contains("health/tags/tenants")).unwrap();
        for words in ["3 checks", "timeout", "1 unhealthy", r#"class="u""#] {
            assert!(row.contains(words), "no {words} in {row}");
        }
        assert_eq!(page.matches("<tr>").count(), 4, "two tables of a head and a row each: {page}");
        let (failing, folded) = page.split_once("<details").unwrap();
        assert!(failing.contains("health/tags/tenants") && folded.contains("health/checks/database"), "{page}");
    }
    assert_eq!(at(&frozen, Visibility::Status, "/health"), r#"{"status":"unhealthy"}"#);
    assert_eq!(at(&frozen, Visibility::Status, "/health?format=health"), r#"{"status":"fail"}"#);
    assert_eq!(at(&frozen, Visibility::Status, "/healthz"), "healthz check failed\n");
    for target in ["/health?format=html", "/health/metrics"] {
        assert!(!at(&frozen, Visibility::Status, target).contains("tenant"), "{target}");
    }
    // A view without a member shows no group.
    assert!(!body(&frozen.health(), "/health/ready").contains("tenants"));
    assert_eq!(body(&frozen.health(), "/readyz?verbose"), "[+]database ok\nreadyz check passed\n");
}

#[test]
fn a_service_with_only_group_members_has_complete_documents() {
    let builder = Health::builder().group("tenants").check("tenant-0", ok().tag("tenants"));
    let frozen = Frozen::new(builder).unwrap();
    record(&frozen, "tenant-0", Outcome::healthy());
    let health = frozen.health();
    let group = r#"{"tenants":{"status":"healthy","members":{"healthy":1,"degraded":0,"unhealthy":0}}}"#;
    assert_eq!(body(&health, "/health"), format!(r#"{{"status":"healthy","checks":{group}}}"#));
    assert_eq!(
        body(&health, "/health?format=health"),
        concat!(
            r#"{"status":"pass","checks":{"tenants:members":[{"observedValue":1,"observedUnit":"healthy of 1","#,
            r#""status":"pass"}]}}"#,
        )
    );
    assert_eq!(body(&health, "/readyz?verbose"), "[+]tenants ok (1 of 1)\nreadyz check passed\n");
    assert!(body(&health, "/health/ready?format=html").contains(r#"href="tags/tenants""#));
}

#[test]
fn the_counts_of_a_group_follow_every_change() {
    let counts = |status: &str, reason: &str, healthy: usize, degraded: &[u32], unhealthy: &[u32]| {
        let members = json!({ "healthy": healthy, "degraded": degraded.len(), "unhealthy": unhealthy.len() });
        let mut row = json!({ "status": status, "members": members });
        if !reason.is_empty() {
            row["reason"] = reason.into();
            let mut numbers = [degraded, unhealthy].concat();
            numbers.sort_unstable();
            row["not_healthy"] = numbers.iter().map(|number| format!("tenant-{number}")).collect();
        }
        row
    };
    let frozen = pending(3);
    let health = frozen.health();
    record(&frozen, "database", Outcome::healthy());
    assert_eq!(row(&frozen), counts("unhealthy", "pending", 0, &[], &[0, 1, 2]));
    record(&frozen, "tenant-0", Outcome::healthy());
    assert_eq!(row(&frozen), counts("unhealthy", "pending", 1, &[], &[1, 2]));
    record(&frozen, "tenant-1", Outcome::healthy());
    record(&frozen, "tenant-2", timeout());
    assert_eq!(row(&frozen), counts("unhealthy", "timeout", 2, &[], &[2]));
    // A new reason changes the row. The reason is that of the first member with the status of the group.
    record(&frozen, "tenant-2", Outcome::unhealthy("full").reason(Reason::Saturated));
    assert_eq!(row(&frozen), counts("unhealthy", "saturated", 2, &[], &[2]));
    record(&frozen, "tenant-0", timeout());
    assert_eq!(row(&frozen), counts("unhealthy", "timeout", 1, &[], &[0, 2]));
    record(&frozen, "tenant-0", Outcome::degraded("late").reason(Reason::Slow));
    assert_eq!(row(&frozen), counts("unhealthy", "saturated", 1, &[0], &[2]));

    health.mute("tenant-2", SystemTime::UNIX_EPOCH + secs(4_000_000_000), "known").unwrap();
    assert_eq!(row(&frozen), counts("degraded", "slow", 1, &[0, 2], &[]));
    assert_eq!(
        body(&health, "/healthz?verbose"),
        "[+]database ok\n[+]tenants ok (degraded) (2 of 3)\nhealthz check passed\n"
    );
    health.unmute("tenant-2").unwrap();
    for name in ["tenant-0", "tenant-2"] {
        record(&frozen, name, Outcome::healthy());
    }
    assert_eq!(row(&frozen), counts("healthy", "", 3, &[], &[]));

    health.insert("tenant-3", member()).unwrap();
    // Like every inserted check, it is shown but does not count before its first result.
    assert_eq!(row(&frozen), counts("healthy", "", 4, &[], &[]));
    assert_eq!(code(&health, "/health"), 200);
    record(&frozen, "tenant-3", timeout());
    assert_eq!(row(&frozen), counts("unhealthy", "timeout", 3, &[], &[3]));
    health.remove("tenant-3").unwrap();
    assert_eq!(row(&frozen), counts("healthy", "", 3, &[], &[]));

    frozen.advance(secs(100));
    assert_eq!(row(&frozen), counts("unhealthy", "stale", 0, &[], &[0, 1, 2]));
    (0..3).for_each(|number| health.remove(&format!("tenant-{number}")).unwrap());
    assert_eq!(row(&frozen), Value::Null);
}

#[test]
fn the_page_of_the_tag_lists_the_members_of_the_group() {
    let builder = Health::builder().group("tenants").check("tenant-0", ok().tag("tenants").tag("europe"));
    let frozen = Frozen::new(builder.check("tenant-1", member()).check("proxy", ok().tag("europe"))).unwrap();
    for name in ["tenant-0", "tenant-1", "proxy"] {
        record(&frozen, name, Outcome::healthy());
    }
    let health = frozen.health();
    let names = |target: &str| -> Vec<String> {
        let document: Value = serde_json::from_str(&body(&health, target)).unwrap();
        document["checks"].as_object().map(|names| names.keys().cloned().collect()).unwrap_or_default()
    };
    assert_eq!(names("/health/tags/tenants"), ["tenant-0", "tenant-1"]);
    assert_eq!(names("/health/tags/europe"), ["proxy", "tenants"]);
    assert_eq!(
        body(&health, "/health/tags/tenants?format=text"),
        "[+]tenant-0 ok\n[+]tenant-1 ok\nhealth check passed\n"
    );
    assert!(body(&health, "/health/tags/tenants?format=html").contains(r#"href="../checks/tenant-1""#));
    for target in ["/health/checks/tenant-1", "/healthz/tenant-1"] {
        assert_eq!(code(&health, target), 200, "{target}");
    }
    assert_eq!(code(&health, "/health/checks/tenants"), 404);
}

#[test]
fn exclude_takes_names_of_members_but_not_of_groups() {
    let frozen = healthy(3);
    record(&frozen, "tenant-1", timeout());
    let health = frozen.health();
    assert_eq!(body(&health, "/healthz?exclude=tenant-1"), "ok");
    assert_eq!(
        body(&health, "/healthz?exclude=tenant-1&verbose"),
        "[+]database ok\n[+]tenant-1 excluded: ok\n[+]tenants ok (2 of 2)\nhealthz check passed\n"
    );
    assert_eq!(
        body(&health, "/healthz?exclude=tenants"),
        concat!(
            "[+]database ok\n[-]tenants failed: timeout (1 of 3)\n",
            "warn: some health checks cannot be excluded: no matches for \"tenants\"\nhealthz check failed\n"
        )
    );
}

#[test]
fn names_that_clash_with_a_group_are_refused() {
    let refused = |builder: Builder, words: &[&str]| {
        let error = Frozen::new(builder).unwrap_err();
        let text = error.to_string();
        words.iter().for_each(|word| assert!(text.contains(word), "no {word} in {text}"));
        error
    };
    let error = refused(Health::builder().group("x").check("x", ok()), &["\"x\"", "rename"]);
    assert_eq!(error, BuildError::NameOfGroup { name: "x".to_owned() });
    let two = Health::builder().group("a").group("b").check("x", ok().tag("b").tag("a"));
    let error = refused(two, &["check \"x\"", "a, b", "keep one of these tags"]);
    let groups = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(error, BuildError::SeveralGroups { name: "x".to_owned(), groups });
    for name in ["", "a b", "..", "starting", "shutdown"] {
        let error = refused(Health::builder().group(name), &["invalid group", "letters, digits"]);
        assert!(matches!(error, BuildError::InvalidGroup { .. }), "{error}");
    }
    // `insert` refuses such names, too. A group may be declared twice.
    let health = Frozen::new(Health::builder().group("a").group("b").group("a")).unwrap().health();
    assert!(matches!(health.insert("a", ok()), Err(BuildError::NameOfGroup { .. })));
    assert!(matches!(health.insert("x", ok().tag("a").tag("b")), Err(BuildError::SeveralGroups { .. })));
    health.insert("x", ok().tag("b")).unwrap();
    assert_eq!(health.report().groups().len(), 1);
}

#[test]
fn a_group_of_10000_members_makes_a_small_report() {
    let frozen = healthy(10_000);
    record(&frozen, "tenant-77", timeout());
    for target in ["/health", "/health?format=health", "/healthz?verbose"] {
        let report = at(&frozen, Visibility::Full, target);
        assert!(report.contains("tenants") && report.len() < 1_000, "{target}: {} bytes", report.len());
    }
    let page = at(&frozen, Visibility::Full, "/health?format=html");
    assert!(page.len() < 24 * 1024, "{} bytes", page.len());
    assert!(body(&frozen.health(), "/health/tags/tenants").len() > 1_000_000);
}

#[test]
fn metrics_have_series_of_the_group_but_not_of_its_members() {
    let small = at(&healthy(2), Visibility::Full, "/health/metrics");
    let frozen = healthy(500);
    record(&frozen, "tenant-7", timeout());
    record(&frozen, "tenant-8", Outcome::degraded("late").observe("length", 42, "messages"));
    let page = at(&frozen, Visibility::Full, "/health/metrics");
    assert_eq!(page.lines().count(), small.lines().count(), "{page}");
    assert!(!page.contains("tenant-") && page.contains("health_check_status{check=\"database\""), "{page}");
    let families = concat!(
        "# HELP health_group_status Whether the worst member of the group has this status (1 or 0).\n",
        "# TYPE health_group_status gauge\n",
        "health_group_status{group=\"tenants\",status=\"healthy\"} 0\n",
        "health_group_status{group=\"tenants\",status=\"degraded\"} 0\n",
        "health_group_status{group=\"tenants\",status=\"unhealthy\"} 1\n",
        "# HELP health_group_checks Number of members of the group with this status.\n",
        "# TYPE health_group_checks gauge\n",
        "health_group_checks{group=\"tenants\",status=\"healthy\"} 498\n",
        "health_group_checks{group=\"tenants\",status=\"degraded\"} 1\n",
        "health_group_checks{group=\"tenants\",status=\"unhealthy\"} 1\n",
    );
    assert!(page.contains(families), "{page}");
    // A group without members has series, so that they exist before the first failure.
    let empty = at(&healthy(0), Visibility::Checks, "/health/metrics");
    assert!(empty.contains("health_group_checks{group=\"tenants\",status=\"unhealthy\"} 0\n"), "{empty}");
    assert!(!at(&healthy(0), Visibility::Checks, "/health").contains("tenants"));
}

/// A check of a random service: its tags and how it counts.
#[derive(Clone, Debug)]
struct Planned {
    is_member: bool,
    has_other_tag: bool,
    is_optional: bool,
    is_report_only: bool,
    is_liveness: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Record(usize, Status),
    Mute(usize),
    Forget(usize),
    Pass(u64),
}

const NAMES: [&str; 4] = ["c0", "c1", "c2", "c3"];

fn planned() -> impl Strategy<Value = Planned> {
    any::<[bool; 5]>().prop_map(|[is_member, has_other_tag, is_optional, is_report_only, is_liveness]| Planned {
        is_member,
        has_other_tag,
        is_optional,
        is_report_only,
        is_liveness,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..NAMES.len(), select(Status::ALL)).prop_map(|(check, status)| Step::Record(check, status)),
        1 => (0..NAMES.len()).prop_map(Step::Mute),
        1 => (0..NAMES.len()).prop_map(Step::Forget),
        1 => (1..40_u64).prop_map(Step::Pass),
    ]
}

fn builder(checks: &[Planned]) -> Builder {
    NAMES.iter().zip(checks).fold(Health::builder(), |builder, (name, planned)| {
        let mut check = ok().local();
        check = if planned.is_member { check.tag("group") } else { check };
        check = if planned.has_other_tag { check.tag("other") } else { check };
        check = if planned.is_optional { check.optional() } else { check };
        check = if planned.is_report_only { check.report_only() } else { check };
        check = if planned.is_liveness { check.liveness() } else { check };
        builder.check(*name, check)
    })
}

fn take(step: &Step, frozen: &Frozen) {
    match step {
        Step::Record(check, status) => {
            let outcome = match status {
                Status::Healthy => Outcome::healthy(),
                Status::Degraded => Outcome::degraded("late"),
                Status::Unhealthy => timeout(),
            };
            record(frozen, NAMES[*check], outcome);
        }
        Step::Mute(check) => {
            let muted = frozen.health().mute(NAMES[*check], SystemTime::UNIX_EPOCH + secs(4_000_000_000), "known");
            assert!(matches!(muted, Ok(()) | Err(MuteError::Stopped)), "{muted:?}");
        }
        Step::Forget(check) => frozen.forget(NAMES[*check]).unwrap(),
        Step::Pass(seconds) => frozen.advance(secs(*seconds)),
    }
}

/// Returns everything that must not depend on groups: codes, verdicts, root causes and every answer about one check.
fn verdicts(frozen: &Frozen) -> Vec<String> {
    let health = frozen.health();
    let mut said = Vec::new();
    let views =
        ["/health", "/health/live", "/health/ready", "/health/startup", "/health/tags/group", "/health/tags/other"];
    for target in views {
        let document: Value = serde_json::from_str(&body(&health, target)).unwrap_or_default();
        let verdict = [&document["status"], &document["reason"], &document["root_causes"]];
        said.push(format!("{target} {} {verdict:?} {}", code(&health, target), at(frozen, Visibility::Status, target)));
    }
    for target in ["/livez", "/readyz", "/startupz", "/healthz", "/healthz?exclude=c0", "/readyz?exclude=c1&exclude=c2"]
    {
        said.push(format!("{target} {}", code(&health, target)));
    }
    for name in NAMES {
        for target in [format!("/health/checks/{name}"), format!("/healthz/{name}"), format!("/livez/{name}")] {
            said.push(format!("{target} {} {}", code(&health, &target), body(&health, &target)));
        }
    }
    said.push(body(&health, "/health/tags/group"));
    let metrics = body(&health, "/health/metrics");
    let totals = metrics.lines().filter(|line| !line.contains("health_check_") && !line.contains("health_group_"));
    said.extend(totals.map(str::to_owned));
    let changes = |name: &str| health.report().check(name).unwrap().history().totals().transitions();
    said.push(format!("{:?}", NAMES.map(changes)));
    said
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_group_changes_no_verdict(
        checks in prop::collection::vec(planned(), NAMES.len()),
        steps in prop::collection::vec(step(), 0..16),
    ) {
        let without = Frozen::new(builder(&checks)).unwrap();
        let with = Frozen::new(builder(&checks).group("group")).unwrap();
        for step in &steps {
            take(step, &without);
            take(step, &with);
            prop_assert_eq!(verdicts(&without), verdicts(&with));
        }
    }
}
