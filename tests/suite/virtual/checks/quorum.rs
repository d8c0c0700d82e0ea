//! Groups of checks: `all_of`, `any_of`, `at_least`.

use std::time::Duration;

use health_core::{
    Check, CheckExt as _, CheckResult, Endpoint, Health, Impact, Kind, Membership, Outcome, Reason, Status, all_of,
    any_of, at_least, check_fn,
    testing::{Prompter, Scripted, scripted},
};
use health_tests::support::secs;
use tokio::time::Instant;

/// Returns three scripted members called a, b and c, and their prompters.
fn three() -> (Vec<(String, Scripted)>, Vec<Prompter>) {
    ["a", "b", "c"]
        .map(|name| (name, scripted()))
        .into_iter()
        .map(|(name, (check, prompter))| ((name.to_owned(), check), prompter))
        .unzip()
}

async fn outcome(check: &impl Check) -> (Status, Option<Reason>, String) {
    let outcome = check.check().await.unwrap();
    (outcome.get_status(), outcome.get_reason(), outcome.get_message().unwrap_or_default().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_quorum_is_unhealthy_if_too_few_members_succeed() {
    let (members, prompters) = three();
    let check = at_least(2, members);
    assert_eq!(outcome(&check).await, (Status::Healthy, None, String::new()));
    prompters[0].answer(Outcome::unhealthy("gone").reason(Reason::Unreachable));
    let (status, reason, message) = outcome(&check).await;
    assert_eq!((status, reason), (Status::Degraded, Some(Reason::Unreachable)));
    assert_eq!(message, "2 of 3 succeed: a unreachable");
    prompters[2].answer(Outcome::unhealthy("no").reason(Reason::Rejected));
    let (status, reason, message) = outcome(&check).await;
    assert_eq!((status, reason), (Status::Unhealthy, Some(Reason::Failed)));
    assert_eq!(message, "1 of 3 succeed, 2 are needed: a unreachable, c rejected");
    prompters[2].answer(Outcome::degraded("slow").reason(Reason::Slow));
    assert_eq!(outcome(&check).await.0, Status::Degraded, "a degraded member succeeds");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_or_panicking_member_does_not_fail_the_others() {
    let (members, prompters) = three();
    let health = Health::builder().check("group", any_of(members).timeout(secs(2))).start().unwrap();
    prompters[0].hang();
    prompters[1].panic();
    let began = Instant::now();
    assert_eq!(health.refresh("group").await, Ok(Status::Degraded));
    assert!(began.elapsed() < secs(2), "{:?}", began.elapsed());
    let report = health.report();
    let group = report.check("group").unwrap();
    assert_eq!(group.message(), Some("1 of 3 succeed: a timeout, b panicked"));
    let members = group.detail("members").unwrap();
    assert_eq!(members["a"]["reason"], "timeout");
    assert_eq!(members["c"]["status"], "healthy");
    prompters[2].hang();
    assert_eq!(health.refresh("group").await, Ok(Status::Unhealthy));
    health.stop().await;
}

#[tokio::test(start_paused = true)]
async fn all_of_needs_every_member() {
    let (members, prompters) = three();
    let check = all_of(members);
    prompters[1].answer(Outcome::degraded("slow").reason(Reason::Slow));
    assert_eq!(outcome(&check).await.0, Status::Degraded);
    prompters[1].answer(Outcome::unhealthy("no"));
    assert_eq!(
        outcome(&check).await,
        (Status::Unhealthy, Some(Reason::Failed), "2 of 3 succeed, 3 are needed: b failed".to_owned())
    );
}

#[tokio::test]
async fn impossible_groups_are_refused() {
    let ok = || check_fn(|| async { Ok(()) });
    let none: [(&str, health_core::CheckFn); 0] = [];
    for (group, words) in [
        (all_of(none), "no check"),
        (at_least(3, [("a", ok()), ("b", ok())]), "3 of 2 checks"),
        (at_least(0, [("a", ok())]), "0 of 1 checks"),
        (any_of([("a", ok()), ("a", ok())]), "two checks of the group are called \"a\""),
    ] {
        let error = Health::builder().check("group", group).start().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let group = all_of([("a", ok()), ("b", ok())]);
    assert_eq!(
        (group.kind(), group.impact(), group.membership()),
        (Kind::Dependency, Impact::Critical, Membership::Readiness)
    );
}

/// A decorator outside of the core: it reads the outcome of any check and may replace it.
struct Forgiving<C>(C);

#[health_core::async_trait]
impl<C: Check> Check for Forgiving<C> {
    async fn check(&self) -> CheckResult {
        let outcome = match self.0.check().await {
            Ok(outcome) => outcome,
            Err(error) if error.get_reason() == Reason::Timeout => {
                Outcome::degraded(error.get_message()).reason(Reason::Timeout)
            }
            Err(error) => return Err(error),
        };
        let is_empty = outcome.get_observed().iter().any(|number| number.name == "free" && number.value.as_f64() < 1.0);
        Ok(if is_empty { Outcome::degraded("nothing is free").reason(Reason::Saturated) } else { outcome })
    }

    fn kind(&self) -> Kind {
        self.0.kind()
    }
}

#[tokio::test]
async fn a_decorator_can_replace_the_outcome_of_a_check() {
    let late = check_fn(|| async { Err::<(), _>(std::io::Error::from(std::io::ErrorKind::TimedOut).into()) });
    assert_eq!(outcome(&Forgiving(late)).await.1, Some(Reason::Timeout));
    let empty = check_fn(|| async { Ok(Outcome::healthy().observe("free", 0, "connections").detail("pool", "main")) });
    let outcome = Forgiving(empty).check().await.unwrap();
    assert_eq!((outcome.get_status(), outcome.get_reason()), (Status::Degraded, Some(Reason::Saturated)));
    let frozen =
        health_core::testing::Frozen::new(Health::builder().check("x", Forgiving(check_fn(|| async { Ok(()) }))))
            .unwrap();
    frozen.record("x", outcome, Duration::ZERO).unwrap();
    assert!(Endpoint::new(frozen.health()).owns("/readyz"));
}

#[test]
fn a_group_has_the_shortest_interval_of_its_members() {
    struct Every(Option<Duration>);

    #[health_core::async_trait]
    impl Check for Every {
        async fn check(&self) -> CheckResult {
            Ok(Outcome::healthy())
        }

        fn interval(&self) -> Option<Duration> {
            self.0
        }
    }

    let of = |intervals: [Option<u64>; 2]| all_of(intervals.map(|every| ("x", Every(every.map(secs))))).interval();
    assert_eq!(of([Some(3_600), Some(60)]), Some(secs(60)));
    assert_eq!(of([Some(3_600), None]), None, "a member without an interval takes the default");
}
