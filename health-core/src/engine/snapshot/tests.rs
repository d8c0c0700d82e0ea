//! Compares the snapshot after any sequence of changes with a snapshot that is built from all checks at once.

#![cfg(feature = "testing")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;

use crate::{
    check::{outcome::Outcome, registration::CheckExt as _},
    checks::closure::check_fn,
    endpoint::{Endpoint, message::Request},
    engine::{
        policy::{CheckState, EffectiveStatus, Thresholds, Upstream, effective_status, fold},
        snapshot::{Snapshot, contents::Contents, entry::Entry, groups::judged, page::Page, view::View},
    },
    health::Health,
    model::{
        report::{CheckReport, Subject},
        status::{Lifecycle, Probe, Reason, Status, Visibility},
    },
    render,
    testing::Frozen,
};

#[derive(Clone, Debug)]
enum Step {
    Record(usize, Status),
    Mute(usize),
    Unmute(usize),
    Forget(usize),
    Insert {
        depends_on: Vec<usize>,
        tag: usize,
        liveness: bool,
        startup: bool,
        asks_a_service: bool,
    },
    Remove(usize),
    Turn(Lifecycle),
    /// Time passes: mutes end, results expire.
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![Just(Status::Healthy), Just(Status::Degraded), Just(Status::Unhealthy)];
    let insert = (prop::collection::vec(0..8_usize, 0..3), 0..3_usize, any::<bool>(), any::<bool>(), any::<bool>());
    let lifecycle = prop_oneof![Just(Lifecycle::Ready), Just(Lifecycle::Draining), Just(Lifecycle::Stopped)];
    prop_oneof![
        10 => (0..8_usize, status).prop_map(|(check, status)| Step::Record(check, status)),
        2 => (0..8_usize).prop_map(Step::Mute),
        1 => (0..8_usize).prop_map(Step::Unmute),
        1 => (0..8_usize).prop_map(Step::Forget),
        4 => insert.prop_map(|(depends_on, tag, liveness, startup, asks_a_service)| {
            Step::Insert { depends_on, tag, liveness, startup, asks_a_service }
        }),
        2 => (0..8_usize).prop_map(Step::Remove),
        1 => lifecycle.prop_map(Step::Turn),
        1 => (1..40_u64).prop_map(Step::Pass),
    ]
}

/// A check as the model of the test tracks it.
struct Known {
    name: String,
    depends_on: Vec<String>,
    state: CheckState,
    muted_until: Option<SystemTime>,
}

/// Returns the name of each check, whether it holds back its dependants, and its effective status, computed in the
/// order of registration.
fn effective(known: &[Known]) -> Vec<(Arc<str>, bool, EffectiveStatus)> {
    let mut found: Vec<(Arc<str>, bool, EffectiveStatus)> = Vec::new();
    for check in known {
        let upstreams: Vec<Upstream<'_>> = found
            .iter()
            .filter(|(name, ..)| check.depends_on.iter().any(|upstream| **upstream == **name))
            .map(|(name, holds_back, effective)| Upstream { name, holds_back: *holds_back, effective })
            .collect();
        let held_back = upstreams.iter().any(|upstream| upstream.holds_back);
        let effective = effective_status(&check.state, held_back, &upstreams, check.muted_until.is_some());
        let failed = check.state.failures > 0;
        found.push((Arc::from(check.name.as_str()), failed || held_back, effective));
    }
    found
}

struct World {
    frozen: Frozen,
    health: Health,
    endpoint: Endpoint,
    known: Vec<Known>,
    inserted: usize,
}

impl World {
    fn new() -> Self {
        let frozen = Frozen::new(Health::builder().group("t0").group("empty")).unwrap();
        let health = frozen.health();
        let endpoint = Endpoint::new(health.clone()).full_for_bearer("the-token-of-this-test");
        Self { frozen, health, endpoint, known: Vec::new(), inserted: 0 }
    }

    fn at(&self, number: usize) -> Option<usize> {
        number.checked_rem(self.known.len())
    }

    fn now(&self) -> SystemTime {
        self.health.store().clock().wall()
    }

    fn apply(&mut self, step: &Step) {
        let is_stopped = self.health.store().published().lifecycle() == Lifecycle::Stopped;
        match step {
            Step::Insert { depends_on, tag, liveness, startup, asks_a_service } if !is_stopped => {
                let name = format!("c{}", self.inserted);
                self.inserted += 1;
                let mut check = check_fn(|| async { Ok(()) }).local().tag(format!("t{tag}"));
                let mut upstreams: Vec<String> =
                    depends_on.iter().filter_map(|number| Some(self.known[self.at(*number)?].name.clone())).collect();
                upstreams.sort();
                upstreams.dedup();
                for upstream in &upstreams {
                    check = check.depends_on(upstream);
                }
                check = if *liveness { check.liveness() } else { check };
                check = if *startup { check.startup() } else { check };
                check.options.asks_a_service = *asks_a_service;
                self.health.insert(&name, check).unwrap();
                self.known.push(Known { name, depends_on: upstreams, state: CheckState::default(), muted_until: None });
            }
            Step::Pass(seconds) => {
                self.frozen.advance(Duration::from_secs(*seconds));
                let now = self.now();
                for check in &mut self.known {
                    check.muted_until = check.muted_until.filter(|until| *until > now);
                }
                self.health.store().beat();
            }
            Step::Turn(lifecycle) => self.frozen.lifecycle(*lifecycle),
            _ => self.apply_to_check(step, is_stopped),
        }
    }

    fn apply_to_check(&mut self, step: &Step, is_stopped: bool) {
        let (Step::Record(number, _)
        | Step::Mute(number)
        | Step::Unmute(number)
        | Step::Forget(number)
        | Step::Remove(number)) = step
        else {
            return;
        };
        let Some(at) = self.at(*number) else { return };
        let until = self.now() + Duration::from_secs(15);
        let name = self.known[at].name.clone();
        match step {
            Step::Record(_, status) if !is_stopped => {
                let (outcome, reason) = match status {
                    Status::Healthy => (Outcome::healthy(), None),
                    Status::Degraded => (Outcome::degraded("slow").reason(Reason::Slow), Some(Reason::Slow)),
                    Status::Unhealthy => (Outcome::unhealthy("no").reason(Reason::Failed), Some(Reason::Failed)),
                };
                self.frozen.record(&name, outcome, Duration::from_millis(3)).unwrap();
                let thresholds = Thresholds { failures: 1, successes: 1 };
                self.known[at].state = fold(&self.known[at].state, *status, reason, thresholds);
            }
            Step::Mute(_) if !is_stopped => {
                self.health.mute(&name, until, "known").unwrap();
                self.known[at].muted_until = Some(until);
            }
            Step::Unmute(_) if !is_stopped => {
                self.health.unmute(&name).unwrap();
                self.known[at].muted_until = None;
            }
            Step::Forget(_) if !is_stopped => {
                self.frozen.forget(&name).unwrap();
                (self.known[at].state, self.known[at].muted_until) = (CheckState::default(), None);
            }
            Step::Remove(_) => {
                let is_needed = self.known.iter().any(|other| other.depends_on.contains(&name));
                assert_eq!(self.health.remove(&name).is_err(), is_needed);
                if !is_needed {
                    self.known.remove(at);
                }
            }
            _ => {}
        }
    }

    fn assert_state(&self) {
        let published = self.health.store().published();
        let entries: Vec<&Arc<Entry>> = published.contents.entries().collect();
        let expected = effective(&self.known);
        assert_eq!(entries.len(), expected.len());
        for (entry, (name, _, effective)) in entries.iter().zip(&expected) {
            let report = &entry.report;
            assert_eq!(report.name, *name);
            assert_eq!(
                (report.status, report.reason, &report.caused_by),
                (effective.status, effective.reason, &effective.caused_by),
                "{name}"
            );
        }
        let reading = self.health.store().read();
        for snapshot in [&**published, reading.current()] {
            Self::assert_views(snapshot);
        }
        self.assert_documents(reading.current());
    }

    /// Asserts that the views equal the views of a snapshot that is built again from the same entries.
    fn assert_views(snapshot: &Snapshot) {
        let contents = &snapshot.contents;
        let anew = contents.with_entries(contents.state, contents.entries().map(Arc::clone));
        let shown = |view: &View| (view.subject.clone(), view.is_local, view.tally, view.verdict);
        assert!(contents.all_views().map(shown).eq(anew.all_views().map(shown)));
        for (view, new) in contents.all_views().zip(anew.all_views()) {
            assert!(contents.members(view).map(Arc::as_ptr).eq(anew.members(new).map(Arc::as_ptr)));
            Self::assert_group_rows(contents, view);
        }
    }

    /// Asserts that the rows of groups equal the result of a walk over the members.
    fn assert_group_rows(contents: &Contents, view: &View) {
        let is_listed = view.subject == Subject::Tag("t0".into());
        let groups = contents.groups(view);
        assert_eq!(groups.len(), if is_listed { 0 } else { 2 });
        for group in groups {
            let members: Vec<&CheckReport> = contents
                .members(view)
                .map(|entry| &*entry.report)
                .filter(|check| check.tags().iter().any(|tag| **tag == *group.name))
                .collect();
            let worst = members.iter().map(|check| judged(check)).max().unwrap_or(Status::Healthy);
            let first = members.iter().find(|check| worst > Status::Healthy && judged(check) == worst);
            assert_eq!((group.status, group.reason), (worst, first.and_then(|check| check.reason)));
            for status in Status::ALL {
                assert_eq!(group.count(*status), members.iter().filter(|check| judged(check) == *status).count());
            }
            assert_eq!(group.pending, members.iter().filter(|check| check.is_pending()).count());
            let is_unknown = |check: &&CheckReport| judged(check) < worst || check.is_unknown();
            assert_eq!(group.is_unknown, worst > Status::Healthy && members.iter().all(is_unknown));
        }
    }

    /// Asserts that every document has the same bytes as a document that is rendered as a whole.
    fn assert_documents(&self, snapshot: &Snapshot) {
        for is_local in [false, true] {
            let mut pages: Vec<(String, Page<'_>)> = vec![("/health".to_owned(), snapshot.all(is_local))];
            for (path, probe) in [("live", Probe::Liveness), ("ready", Probe::Readiness), ("startup", Probe::Startup)] {
                pages.push((format!("/health/{path}"), snapshot.probe(probe, is_local)));
            }
            for tag in ["t0", "t1", "t2"] {
                pages.extend(snapshot.tag(tag, is_local).map(|page| (format!("/health/tags/{tag}"), page)));
            }
            for (path, page) in pages {
                for (visibility, token) in
                    [(Visibility::Checks, ""), (Visibility::Full, "Bearer the-token-of-this-test")]
                {
                    let header = |name: &str| match name {
                        "authorization" => Some(token),
                        "health-local" => Some(if is_local { "1" } else { "0" }),
                        _ => None,
                    };
                    let lines = |name: &str, line: usize| header(name).filter(|_| line == 0);
                    let body = |query| {
                        self.endpoint.respond(&Request::new("GET", &path, Some(query), None, &lines)).unwrap().body
                    };
                    let report = page.report();
                    assert_eq!(body("format=json"), render::json::document(&report, visibility), "{path}");
                    assert_eq!(body("format=health"), render::health_json::document(&report, visibility), "{path}");
                    assert_eq!(body("format=text"), render::text::document(&report, visibility), "{path}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn after_any_change_the_snapshot_equals_one_built_from_all_checks(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
            world.assert_state();
        }
    }
}
