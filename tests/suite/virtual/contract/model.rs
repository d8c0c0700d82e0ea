//! Compares the scheduler, the policy and the store with a small model of their contract: random outcomes, latencies,
//! panics, dependencies, insertions, removals, refreshes, requests and drains, on the paused clock.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use health_core::{
    Check, CheckError, CheckExt as _, CheckReport, CheckResult, Endpoint, Health, Impact, Lifecycle, Outcome, Probe,
    Reason, Registration, Status, async_trait,
};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use health_tests::support::{ask, long, millis, secs};

/// The number of random histories. The long form runs five times as many.
const CASES: u32 = 2_000;
const INTERVAL: Duration = secs(5);
const TIMEOUT: Duration = secs(2);
/// The longest time that a result waits to be published, if it changes no verdict.
const LONGEST_WAIT: Duration = millis(20);
/// The default interval while a check is not healthy.
const RECHECK: Duration = secs(1);

/// The behaviour of a check in its next runs.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Healthy,
    Degraded,
    Unhealthy,
    Error,
    Panic,
}

/// One event.
#[derive(Clone, Debug)]
enum Step {
    /// The check gives this answer after this latency from now on.
    Say(usize, Answer, Duration),
    Pass(Duration),
    Refresh(usize),
    Suspect(usize),
    /// A request, which wakes the checks whose results are too old.
    Request,
    Insert(usize, Options),
    Remove(usize),
    Drain,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    failures: u32,
    successes: u32,
    optional: bool,
    /// The check depends on one of the earlier checks, if any of them is allowed.
    depends_on: Option<usize>,
}

/// One run, as the check itself recorded it.
#[derive(Clone, Copy, Debug)]
struct Run {
    began: Instant,
    answer: Answer,
    latency: Duration,
}

impl Run {
    fn ended(&self) -> Instant {
        self.began + self.latency.min(TIMEOUT)
    }

    /// Returns the status and the reason by the contract.
    fn verdict(&self) -> (Status, Option<Reason>) {
        if self.latency > TIMEOUT {
            return (Status::Unhealthy, Some(Reason::Timeout));
        }
        match self.answer {
            Answer::Healthy => (Status::Healthy, None),
            Answer::Degraded => (Status::Degraded, Some(Reason::Slow)),
            Answer::Unhealthy => (Status::Unhealthy, Some(Reason::Threshold)),
            Answer::Error => (Status::Unhealthy, Some(Reason::Unreachable)),
            Answer::Panic => (Status::Unhealthy, Some(Reason::Panicked)),
        }
    }
}

/// A check that follows a script and records its runs.
#[derive(Clone, Debug)]
struct Actor(Arc<Mutex<Script>>);

#[derive(Debug)]
struct Script {
    answer: Answer,
    latency: Duration,
    runs: Vec<Run>,
}

impl Actor {
    fn new() -> Self {
        let script = Script { answer: Answer::Healthy, latency: Duration::ZERO, runs: Vec::new() };
        Self(Arc::new(Mutex::new(script)))
    }

    fn runs(&self) -> Vec<Run> {
        self.0.lock().unwrap().runs.clone()
    }
}

#[async_trait]
impl Check for Actor {
    async fn check(&self) -> CheckResult {
        let run = {
            let mut script = self.0.lock().unwrap();
            let run = Run { began: Instant::now(), answer: script.answer, latency: script.latency };
            script.runs.push(run);
            run
        };
        sleep(run.latency).await;
        match run.answer {
            Answer::Healthy => Ok(Outcome::healthy()),
            Answer::Degraded => Ok(Outcome::degraded("slow").reason(Reason::Slow)),
            Answer::Unhealthy => Ok(Outcome::unhealthy("too much").reason(Reason::Threshold)),
            Answer::Error => Err(CheckError::new("refused").reason(Reason::Unreachable)),
            Answer::Panic => panic!("as scripted"),
        }
    }
}

/// What the model expects a check to show, computed from its whole past each time.
#[derive(Debug, PartialEq)]
struct Expected {
    status: Status,
    reason: Option<Reason>,
    failures: u32,
    successes: u32,
    transitions: Vec<(Option<Status>, Status)>,
    flaps: u64,
}

fn expected(runs: &[Run], options: Options) -> Expected {
    let verdicts: Vec<(Status, Option<Reason>)> = runs.iter().map(Run::verdict).collect();
    let failed = |at: usize| verdicts[at].0 == Status::Unhealthy;
    let in_a_row = |until: usize, what: bool| {
        let streak = (0..=until).rev().take_while(|at| failed(*at) == what).count();
        u32::try_from(streak).unwrap()
    };
    let mut shown: Option<(Status, Option<Reason>)> = None;
    let (mut transitions, mut flaps) = (Vec::new(), 0);
    for (at, verdict) in verdicts.iter().copied().enumerate() {
        let succeeded_before = (0..at).any(|earlier| !failed(earlier));
        let is_down = shown.is_some_and(|(status, _)| status == Status::Unhealthy);
        let next = match (failed(at), succeeded_before) {
            (true, true) if !is_down && in_a_row(at, true) < options.failures => (Status::Degraded, verdict.1),
            (false, true) if is_down && in_a_row(at, false) < options.successes => {
                (Status::Unhealthy, shown.unwrap().1)
            }
            _ => verdict,
        };
        let before = shown.map(|(status, _)| status);
        if before != Some(next.0) {
            transitions.push((before, next.0));
            flaps += u64::from(before.is_some_and(|before| is_bad(before) != is_bad(next.0)));
        }
        shown = Some(next);
    }
    let (status, reason) = shown.unwrap_or((Status::Unhealthy, Some(Reason::Pending)));
    let last = runs.len().checked_sub(1);
    Expected {
        status,
        reason,
        failures: last.map_or(0, |last| in_a_row(last, true)),
        successes: last.map_or(0, |last| in_a_row(last, false)),
        transitions,
        flaps,
    }
}

fn is_bad(status: Status) -> bool {
    status == Status::Unhealthy
}

fn shown(report: &CheckReport) -> Expected {
    Expected {
        status: report.status(),
        reason: report.reason(),
        failures: report.consecutive_failures(),
        successes: report.consecutive_successes(),
        transitions: report.history().transitions().rev().map(|change| (change.from(), change.to())).collect(),
        flaps: report.history().flaps(),
    }
}

/// A registered check in the model.
struct Known {
    actor: Actor,
    options: Options,
    /// The check that it depends on.
    upstream: Option<String>,
    /// The check was inserted while Ready, so it counts from its first result.
    late: bool,
}

impl Known {
    /// Returns the runs that have ended.
    fn done(&self, now: Instant) -> Vec<Run> {
        self.actor.runs().into_iter().filter(|run| run.ended() <= now).collect()
    }
}

struct World {
    health: Health,
    known: BTreeMap<String, Known>,
    lifecycle: Lifecycle,
    /// The number of requests for an early run of any check.
    asked: usize,
    /// Removed checks, each with its number of runs at the removal.
    gone: Vec<(Actor, usize)>,
}

fn registration(actor: &Actor, options: Options, upstream: Option<&String>) -> Registration {
    let check = actor.clone().every(INTERVAL).timeout(TIMEOUT).max_age(secs(1));
    let check = check.failures(options.failures).successes(options.successes);
    let check = if options.optional { check.optional() } else { check };
    upstream.map_or_else(|| check.clone(), |upstream| check.clone().depends_on(upstream))
}

/// Returns the check that a new one depends on. A Critical check cannot depend on an Optional one.
fn upstream(known: &BTreeMap<String, Known>, options: Options) -> Option<String> {
    let is_fit = |(_, upstream): &(&String, &Known)| options.optional || !upstream.options.optional;
    let fit: Vec<&String> = known.iter().filter(is_fit).map(|(name, _)| name).collect();
    let number = options.depends_on.filter(|_| !fit.is_empty())?;
    Some(fit[number % fit.len()].clone())
}

impl World {
    fn start(checks: &[Options]) -> Self {
        let mut builder = Health::builder();
        let mut known = BTreeMap::new();
        for (number, options) in checks.iter().enumerate() {
            let (name, actor) = (format!("c{number}"), Actor::new());
            let upstream = upstream(&known, *options);
            builder = builder.check(&name, registration(&actor, *options, upstream.as_ref()));
            known.insert(name, Known { actor, options: *options, upstream, late: false });
        }
        Self { health: builder.start().unwrap(), known, lifecycle: Lifecycle::Starting, asked: 0, gone: Vec::new() }
    }

    fn actor(&self, number: usize) -> Option<(&String, &Known)> {
        self.known.iter().nth(number % self.known.len().max(1))
    }

    async fn does(&mut self, step: &Step) {
        self.asked += usize::from(matches!(step, Step::Refresh(_) | Step::Suspect(_) | Step::Request));
        match step {
            Step::Say(number, answer, latency) => {
                if let Some((_, known)) = self.actor(*number) {
                    let mut script = known.actor.0.lock().unwrap();
                    (script.answer, script.latency) = (*answer, *latency);
                }
            }
            Step::Pass(time) => sleep(*time).await,
            Step::Refresh(number) => {
                if let Some((name, known)) = self.actor(*number) {
                    let before = known.actor.runs().len();
                    let told = self.health.refresh(name).await.unwrap();
                    let runs = known.actor.runs();
                    let finished = runs.iter().skip(before).any(|run| run.ended() <= Instant::now());
                    assert!(finished, "no run of {name} finished after the call of refresh");
                    assert_eq!(told, self.health.report().check(name).unwrap().status());
                }
            }
            Step::Suspect(number) => {
                if let Some((name, _)) = self.actor(*number) {
                    assert!(self.health.suspect(name));
                }
            }
            Step::Request => {
                ask(&Endpoint::from(self.health.clone()), "GET", "/readyz");
            }
            Step::Insert(number, options) => {
                let (name, actor) = (format!("c{}", number % 6), Actor::new());
                let upstream = upstream(&self.known, *options).filter(|upstream| *upstream != name);
                let inserted = self.health.insert(&name, registration(&actor, *options, upstream.as_ref()));
                assert_eq!(inserted.is_err(), self.known.contains_key(&name));
                if inserted.is_ok() {
                    let late = self.lifecycle > Lifecycle::Starting;
                    self.known.insert(name, Known { actor, options: *options, upstream, late });
                }
            }
            Step::Remove(number) => {
                if let Some((name, _)) = self.actor(*number) {
                    let name = name.clone();
                    let is_needed = self.known.values().any(|other| other.upstream.as_ref() == Some(&name));
                    assert_eq!(self.health.remove(&name).is_err(), is_needed);
                    if is_needed {
                        return;
                    }
                    let known = self.known.remove(&name).unwrap();
                    let runs = known.actor.runs().len();
                    self.gone.push((known.actor, runs));
                }
            }
            Step::Drain => {
                drop(self.health.drain(secs(1)));
                self.lifecycle = Lifecycle::Draining;
            }
        }
        self.agrees(step).await;
    }

    /// Returns whether a check does not run because the last run of a direct or indirect dependency failed.
    fn is_held_back(&self, name: &str, now: Instant) -> bool {
        let Some(upstream) = self.known[name].upstream.as_ref() else { return false };
        let failed = |run: &Run| run.verdict().0 == Status::Unhealthy;
        self.known[upstream].done(now).last().is_some_and(failed) || self.is_held_back(upstream, now)
    }

    /// Returns what a check shows: its own status, or that it waits for an Unhealthy dependency.
    fn effective(&self, name: &str, now: Instant) -> (Status, Option<Reason>) {
        let known = &self.known[name];
        let own = expected(&known.done(now), known.options);
        match &known.upstream {
            Some(upstream) if self.is_held_back(name, now) && is_bad(self.effective(upstream, now).0) => {
                (Status::Unhealthy, Some(Reason::Dependency))
            }
            _ => (own.status, own.reason),
        }
    }

    /// Returns the number of early runs that a check may have because its dependencies have recovered.
    fn releases(&self, name: &str) -> usize {
        let upstream = self.known[name].upstream.as_ref();
        upstream.map_or(0, |upstream| self.known[upstream].actor.runs().len() + self.releases(upstream))
    }

    /// Asserts that everything visible agrees with the model.
    async fn agrees(&mut self, step: &Step) {
        sleep(millis(1)).await;
        let now = Instant::now();
        let mut readiness = Status::Healthy;
        let mut all_have_run = true;
        for (name, known) in &self.known {
            let runs = known.actor.runs();
            if runs.iter().any(|run| now.saturating_duration_since(run.ended()) < millis(1) && run.ended() <= now) {
                // The run ended at this moment. The model does not say whether it has been recorded yet.
                return;
            }
            let over = |run: &&Run| run.ended() <= now;
            let (done, under_way): (Vec<&Run>, Vec<&Run>) = runs.iter().partition(over);
            assert!(under_way.len() <= 1, "{step:?}: {name} runs more than once at a time");
            for pair in runs.windows(2) {
                assert!(pair[1].began >= pair[0].ended(), "{step:?}: runs of {name} overlap");
            }
            let early = runs.windows(2).filter(|pair| pair[1].began - pair[0].began < RECHECK * 9 / 10).count();
            let asked = self.asked + self.releases(name);
            assert!(early <= asked, "{step:?}: {early} early runs of {name}, {asked} were requested");
            let held_back = self.is_held_back(name, now);
            let rhythm = INTERVAL + INTERVAL / 10 + TIMEOUT + millis(300);
            let quiet = runs.last().map_or(Duration::ZERO, |run| now.duration_since(run.began));
            assert!(held_back || (!runs.is_empty() && quiet <= rhythm), "{step:?}: {name} has not run for {quiet:?}");
            let done: Vec<Run> = done.into_iter().copied().collect();
            let report = self.health.report();
            let report = report.check(name).unwrap();
            let (status, reason) = self.effective(name, now);
            assert_eq!((report.status(), report.reason()), (status, reason), "{step:?}: {name} after {done:?}");
            let seen = shown(report);
            // A result that changes no verdict may wait for its publication.
            let waiting = done.iter().filter(|run| now.duration_since(run.ended()) < LONGEST_WAIT).count();
            let earlier = |waiting: usize| expected(&done[..done.len() - waiting], known.options);
            let counts = |it: &Expected| (it.failures, it.successes);
            let published = (0..=waiting).map(earlier).find(|earlier| counts(earlier) == counts(&seen));
            assert!(published.is_some(), "{step:?}: {name} shows {seen:?} after {done:?}");
            // The history keeps 60 transitions. A check with a dependency has more of them while it is held back.
            let expected = earlier(0);
            if expected.transitions.len() <= 60 && known.upstream.is_none() {
                assert_eq!(
                    (&seen.transitions, seen.flaps),
                    (&expected.transitions, expected.flaps),
                    "{step:?}: {name}"
                );
            }
            let counts = !known.late || !done.is_empty();
            let counted = if known.options.optional { status.min(Status::Degraded) } else { status };
            assert_eq!(report.impact() == Impact::Optional, known.options.optional);
            readiness = readiness.max(if counts { counted } else { Status::Healthy });
            all_have_run &= !done.is_empty() || known.late || (held_back && under_way.is_empty());
        }
        if self.lifecycle == Lifecycle::Starting && all_have_run {
            self.lifecycle = Lifecycle::Ready;
        }
        if self.lifecycle != Lifecycle::Ready {
            readiness = Status::Unhealthy;
        }
        assert_eq!(self.health.report().lifecycle(), self.lifecycle, "{step:?}");
        assert_eq!(self.health.status(Probe::Readiness), readiness, "{step:?}");
        assert_eq!(self.health.status(Probe::Liveness), Status::Healthy, "{step:?}");
        for (actor, runs) in &self.gone {
            assert_eq!(actor.runs().len(), *runs, "{step:?}: a check ran after it was removed");
        }
    }
}

fn options() -> impl Strategy<Value = Options> {
    (1..=4_u32, 1..=3_u32, any::<bool>(), proptest::option::of(0..4_usize))
        .prop_map(|(failures, successes, optional, depends_on)| Options { failures, successes, optional, depends_on })
}

/// Generates a latency that is never equal to the timeout.
fn latency() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => Just(Duration::ZERO),
        3 => (1..199_u64).prop_map(|hundredths| millis(hundredths * 10)),
        1 => (201..999_u64).prop_map(|hundredths| millis(hundredths * 10)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![
        4 => Just(Answer::Healthy),
        1 => Just(Answer::Degraded),
        2 => Just(Answer::Unhealthy),
        2 => Just(Answer::Error),
        1 => Just(Answer::Panic),
    ];
    prop_oneof![
        6 => (0..6_usize, answer, latency()).prop_map(|(number, answer, latency)| Step::Say(number, answer, latency)),
        6 => (1..900_u64).prop_map(|hundredths| Step::Pass(millis(hundredths * 10))),
        4 => (0..6_usize).prop_map(Step::Refresh),
        2 => (0..6_usize).prop_map(Step::Suspect),
        2 => Just(Step::Request),
        1 => (0..6_usize, options()).prop_map(|(number, options)| Step::Insert(number, options)),
        1 => (0..6_usize).prop_map(Step::Remove),
        1 => Just(Step::Drain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if long() { CASES * 5 } else { CASES },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_scheduler_agrees_with_the_model(
        checks in proptest::collection::vec(options(), 0..5),
        steps in proptest::collection::vec(step(), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::start(&checks);
            for step in &steps {
                world.does(step).await;
            }
        });
    }
}
