//! Tests of the policy: properties that hold for any sequence of events, and examples for the rules in its
//! documentation.

use proptest::prelude::*;

use super::*;
#[cfg(feature = "testing")]
use crate::{
    check::outcome::Outcome,
    health::Health,
    model::{report::Muted, status::Impact},
    testing::Frozen,
};
use crate::{
    check::registration::CheckExt as _,
    checks::closure::check_fn,
    config::{mistakes::Mistakes, plan},
};

const THRESHOLDS: Thresholds = Thresholds { failures: 3, successes: 2 };

fn after(statuses: &[Status], thresholds: Thresholds) -> CheckState {
    statuses.iter().fold(CheckState::default(), |state, status| {
        let reason = (*status != Status::Healthy).then_some(Reason::Failed);
        fold(&state, *status, reason, thresholds)
    })
}

#[test]
fn thresholds_apply_in_both_directions_and_opposite_outcomes_reset_the_count() {
    use Status::{Degraded as D, Healthy as H, Unhealthy as U};
    for (runs, expected) in [
        (vec![], None),
        (vec![U], Some(U)),
        (vec![U, H], Some(H)),
        (vec![H, U], Some(D)),
        (vec![H, U, U], Some(D)),
        (vec![H, U, U, U], Some(U)),
        (vec![H, U, U, H, U, U], Some(D)),
        (vec![H, U, U, U, H], Some(U)),
        (vec![H, U, U, U, H, H], Some(H)),
        (vec![H, U, U, U, H, U, H], Some(U)),
        (vec![H, U, U, U, D, D], Some(D)),
        (vec![D], Some(D)),
    ] {
        assert_eq!(after(&runs, THRESHOLDS).status, expected, "{runs:?}");
    }
}

#[test]
fn below_the_threshold_of_successes_the_reason_stays() {
    let down = fold(
        &after(&[Status::Healthy], THRESHOLDS),
        Status::Unhealthy,
        Some(Reason::Timeout),
        Thresholds { failures: 1, successes: 2 },
    );
    let recovering = fold(&down, Status::Healthy, None, Thresholds { failures: 1, successes: 2 });
    assert_eq!((recovering.status, recovering.reason), (Some(Status::Unhealthy), Some(Reason::Timeout)));
}

/// Returns the tally of these checks in the full report.
#[cfg(feature = "testing")]
fn tally(members: &[Arc<CheckReport>]) -> Tally {
    let mut tally = Tally::default();
    members.iter().for_each(|check| tally.add(contribution(check, &Subject::All, false), check.is_unknown()));
    tally
}

fn plan(interval: u64) -> Plan {
    let registration = check_fn(|| async { Ok(()) }).every(Duration::from_secs(interval));
    plan::plan("x", &registration.options, &mut Mistakes::default()).unwrap()
}

#[test]
fn after_ten_failures_the_spacing_doubles_up_to_the_interval() {
    let plan = plan(60);
    let spacing_after =
        |failures: usize| spacing(&plan, &after(&vec![Status::Unhealthy; failures], THRESHOLDS)).as_secs();
    assert_eq!((spacing_after(1), spacing_after(9)), (12, 12));
    assert_eq!((spacing_after(10), spacing_after(11), spacing_after(12), spacing_after(500)), (24, 48, 60, 60));
    assert_eq!(spacing(&plan, &after(&[Status::Healthy], THRESHOLDS)).as_secs(), 60);
    assert_eq!(spacing(&plan, &after(&[Status::Degraded], THRESHOLDS)).as_secs(), 12);
}

#[test]
fn a_held_back_check_keeps_its_verdict_until_an_upstream_is_unhealthy() {
    let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
    let own = after(&[Status::Healthy], THRESHOLDS);
    let failing = |status, reason, caused_by| EffectiveStatus {
        status,
        reason: Some(reason),
        caused_by,
        failing: status == Status::Unhealthy,
    };
    let degraded = failing(Status::Degraded, Reason::Timeout, vec![]);
    let up = |effective| [Upstream { name: &a, holds_back: true, effective }];
    assert_eq!(effective_status(&own, true, &up(&degraded), false).status, Status::Healthy);
    let unhealthy = failing(Status::Unhealthy, Reason::Timeout, vec![]);
    let explained = effective_status(&own, true, &up(&unhealthy), false);
    assert_eq!(explained, failing(Status::Unhealthy, Reason::Dependency, vec![Arc::clone(&a)]));
    // In a chain of dependencies, `caused_by` names the root cause, not the dependant in between.
    let through = [Upstream { name: &b, holds_back: true, effective: &explained }];
    assert_eq!(effective_status(&own, true, &through, false).caused_by, [Arc::clone(&a)]);
    assert_eq!(effective_status(&own, false, &up(&unhealthy), false).status, Status::Healthy);
}

#[test]
fn a_mute_covers_a_check_and_the_checks_that_wait_only_for_it() {
    let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
    let down = after(&[Status::Healthy, Status::Unhealthy], Thresholds { failures: 1, successes: 1 });
    let muted = effective_status(&down, false, &[], true);
    assert_eq!((muted.status, muted.reason, muted.failing), (Status::Degraded, Some(Reason::Failed), true));
    let loud = effective_status(&down, false, &[], false);
    let own = after(&[Status::Healthy], THRESHOLDS);
    let up = |name, effective| Upstream { name, holds_back: true, effective };
    let waits = effective_status(&own, true, &[up(&a, &muted)], false);
    assert_eq!(
        (waits.status, waits.reason, waits.caused_by),
        (Status::Degraded, Some(Reason::Dependency), vec![a.clone()])
    );
    let waits = effective_status(&own, true, &[up(&a, &muted), up(&b, &loud)], false);
    assert_eq!((waits.status, waits.caused_by), (Status::Unhealthy, vec![a, b]));
    assert_eq!(effective_status(&own, false, &[], true).status, Status::Healthy);
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Healthy), Just(Status::Degraded), Just(Status::Unhealthy)]
}

proptest! {
    #[test]
    fn a_check_is_never_good_before_its_first_success(
        runs in proptest::collection::vec(status(), 0..40),
        failures in 1_u32..6,
        successes in 1_u32..6,
    ) {
        let thresholds = Thresholds { failures, successes };
        let mut state = CheckState::default();
        let mut succeeded = false;
        for run in runs {
            let before = state.clone();
            state = fold(&state, run, Some(Reason::Failed), thresholds);
            succeeded |= run != Status::Unhealthy;
            prop_assert_eq!(state.ever_succeeded, succeeded);
            if !succeeded {
                prop_assert_eq!(state.status, Some(Status::Unhealthy));
            }
            // A run with the opposite outcome resets the count.
            let (count, other) = if run == Status::Unhealthy {
                (state.failures, state.successes)
            } else {
                (state.successes, state.failures)
            };
            prop_assert!(count >= 1);
            prop_assert_eq!(other, 0);
            // A check turns bad or good only when its threshold is reached, or before its first success.
            let turned_bad = state.status == Some(Status::Unhealthy)
                && before.status.is_some_and(|status| status != Status::Unhealthy);
            if turned_bad {
                prop_assert!(state.failures >= failures);
            }
            let turned_good = state.status != Some(Status::Unhealthy) && before.status == Some(Status::Unhealthy);
            if turned_good && before.ever_succeeded {
                prop_assert!(state.successes >= successes);
            }
        }
    }
}

/// An event of a service with several checks.
#[cfg(feature = "testing")]
#[derive(Clone, Debug)]
enum Event {
    Run(usize, Status),
    Pass(Duration),
}

#[cfg(feature = "testing")]
fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4_usize, status()).prop_map(|(check, status)| Event::Run(check, status)),
        1 => (0..20_u64).prop_map(|seconds| Event::Pass(Duration::from_secs(seconds))),
    ]
}

#[cfg(feature = "testing")]
proptest! {
    #[test]
    fn the_worst_contribution_wins_and_readiness_needs_a_success_of_every_critical_check(
        events in proptest::collection::vec(event(), 0..60),
        failures in 1_u32..4,
    ) {
        let names = ["a", "b", "c", "d"];
        let mut builder = Health::builder();
        for (position, name) in names.into_iter().enumerate() {
            let check = check_fn(|| async { Ok(()) }).failures(failures);
            builder = builder.check(name, if position == 3 { check.optional() } else { check });
        }
        let frozen = Frozen::new(builder).unwrap();
        let health = frozen.health();
        let mut succeeded = [false; 4];
        for event in events {
            match event {
                Event::Pass(duration) => frozen.advance(duration),
                Event::Run(check, status) => {
                    let outcome = match status {
                        Status::Healthy => Outcome::healthy(),
                        Status::Degraded => Outcome::degraded("d"),
                        Status::Unhealthy => Outcome::unhealthy("u"),
                    };
                    succeeded[check] |= status != Status::Unhealthy;
                    frozen.record(names[check], outcome, Duration::ZERO).unwrap();
                }
            }
            let report = health.report();
            let worst = report
                .checks
                .iter()
                .map(|check| match check.impact {
                    Impact::Critical => check.status,
                    Impact::Optional => check.status.min(Status::Degraded),
                })
                .max()
                .unwrap();
            let expected = if report.lifecycle == Lifecycle::Ready { worst } else { Status::Unhealthy };
            prop_assert_eq!(report.status, expected);
            prop_assert_eq!(health.status(Probe::Readiness), expected);
            if !succeeded[..3].iter().all(|succeeded| *succeeded) {
                prop_assert_eq!(health.status(Probe::Readiness), Status::Unhealthy);
            }
            prop_assert_eq!(health.status(Probe::Liveness), Status::Healthy);
        }
    }
}

/// Returns the report of a Healthy check in a frozen service, modified by `change`.
#[cfg(feature = "testing")]
fn report(name: &str, change: impl FnOnce(&mut CheckReport)) -> Arc<CheckReport> {
    let check = check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check(name, check)).unwrap();
    frozen.record(name, Outcome::healthy(), Duration::ZERO).unwrap();
    let mut report = (*frozen.health().report().checks[0]).clone();
    change(&mut report);
    Arc::new(report)
}

#[cfg(feature = "testing")]
fn unhealthy(reason: Reason) -> impl FnOnce(&mut CheckReport) {
    move |report| (report.status, report.reason) = (Status::Unhealthy, Some(reason))
}

#[cfg(feature = "testing")]
#[test]
fn a_check_contributes_by_subject_impact_and_history() {
    use Status::{Degraded as D, Healthy as H, Unhealthy as U};
    let optional = |report: &mut CheckReport| report.impact = Impact::Optional;
    let failing = unhealthy(Reason::Unreachable);
    let never = |report: &mut CheckReport| report.ever_succeeded = false;
    let muted = |report: &mut CheckReport| {
        report.muted = Some(Arc::new(Muted { until: std::time::SystemTime::UNIX_EPOCH, note: None }));
    };
    let pending = report("x", |it| {
        unhealthy(Reason::Pending)(it);
        never(it);
        it.checked_at = None;
    });
    let failing_optional = report("x", |it| {
        unhealthy(Reason::Unreachable)(it);
        optional(it);
    });
    let never_optional = report("x", |it| {
        unhealthy(Reason::Unreachable)(it);
        optional(it);
        never(it);
    });
    let never_muted = report("x", |it| {
        unhealthy(Reason::Unreachable)(it);
        muted(it);
        never(it);
    });
    let not_counted = report("x", |it| {
        unhealthy(Reason::Unreachable)(it);
        it.counts = false;
    });
    let (alone, all) = (Subject::Check("x".into()), Subject::All);
    let [live, ready, startup] = [Probe::Liveness, Probe::Readiness, Probe::Startup].map(Subject::Probe);
    for (what, check, subject, passed, expected) in [
        ("failing, alone", &report("x", failing), &alone, false, U),
        ("optional, alone", &failing_optional, &alone, false, U),
        ("optional", &failing_optional, &all, false, D),
        ("not counted, alone", &not_counted, &alone, false, U),
        ("not counted", &not_counted, &ready, false, H),
        ("pending, live", &pending, &live, false, H),
        ("pending, ready", &pending, &ready, false, U),
        ("failing, live", &report("x", unhealthy(Reason::Failed)), &live, false, U),
        ("never succeeded", &pending, &startup, false, U),
        ("never succeeded, passed before", &pending, &startup, true, H),
        ("succeeded once", &report("x", unhealthy(Reason::Failed)), &startup, false, H),
        ("never succeeded, optional", &never_optional, &startup, false, D),
        ("never succeeded, muted", &never_muted, &startup, false, D),
    ] {
        assert_eq!(contribution(check, subject, passed), expected, "{what}");
    }
}

#[cfg(feature = "testing")]
#[test]
fn root_causes_are_the_failures_that_no_other_check_explains() {
    let waits = |for_whom: &'static str| {
        move |report: &mut CheckReport| {
            unhealthy(Reason::Dependency)(report);
            report.caused_by = vec![for_whom.into()];
        }
    };
    let database = report("database", unhealthy(Reason::Unreachable));
    let orders = report("orders", waits("database"));
    let mail = report("mail", waits("outside"));
    let new = report("new", unhealthy(Reason::Pending));
    let slow = report("slow", |it| (it.status, it.reason) = (Status::Degraded, Some(Reason::Slow)));
    let uncounted = report("uncounted", |it| {
        unhealthy(Reason::Failed)(it);
        it.counts = false;
    });
    let cache = report("cache", |it| {
        unhealthy(Reason::Failed)(it);
        it.impact = Impact::Optional;
    });
    let fine = report("fine", |_| {});
    let of = |members: &[&Arc<CheckReport>]| -> Vec<String> {
        let members: Vec<_> = members.iter().map(|it| Arc::clone(it)).collect();
        let checks = members.iter().map(|check| &**check);
        root_causes(&tally(&members), checks, &Subject::All, false).iter().map(ToString::to_string).collect()
    };
    assert_eq!(of(&[&fine, &slow, &new, &uncounted]), [""; 0]);
    assert_eq!(of(&[&orders, &database, &mail, &cache]), ["database", "outside", "cache"]);
}

#[cfg(feature = "testing")]
#[test]
fn the_severity_is_unknown_only_if_every_worst_check_is_unknown() {
    let bad = report("bad", unhealthy(Reason::Failed));
    let stale = report("stale", unhealthy(Reason::Stale));
    let slow = report("slow", |it| (it.status, it.reason) = (Status::Degraded, Some(Reason::Slow)));
    let fine = report("fine", |_| {});
    let state = ServiceState { lifecycle: Lifecycle::Ready, startup_passed: false, scheduler_stale: false };
    let of = |members: &[&Arc<CheckReport>]| {
        let members: Vec<_> = members.iter().map(|it| Arc::clone(it)).collect();
        severity(&tally(&members), state)
    };
    assert_eq!(of(&[&fine]), (Status::Healthy, 0));
    assert_eq!(of(&[&fine, &slow]), (Status::Degraded, 1));
    assert_eq!(of(&[&bad, &stale]), (Status::Unhealthy, 2));
    assert_eq!(of(&[&slow, &stale]), (Status::Unhealthy, 3));
    let alone = [&fine, &slow, &bad, &stale].map(|it| it.severity());
    assert_eq!(alone, [0, 1, 2, 3]);
}
