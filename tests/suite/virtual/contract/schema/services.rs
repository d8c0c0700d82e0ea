//! Random services in every state that a report can show.

use std::time::{Duration, SystemTime};

use health_core::{
    Health, Lifecycle, Limits, MuteError, Number, Outcome, Reason, Registration, Status, check_fn, testing::Frozen,
};
use health_tests::support::secs;
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

/// The tags that a check can have.
pub(super) const TAGS: [&str; 2] = ["sql", "east-1.b"];

/// A service and the steps that happen to it.
#[derive(Clone, Debug)]
pub(super) struct Service {
    is_named: bool,
    /// The first tag is a group.
    is_grouped: bool,
    checks: Vec<Planned>,
    steps: Vec<Step>,
}

/// A check before it is registered.
#[derive(Clone, Debug)]
struct Planned {
    is_optional: bool,
    is_local: bool,
    is_liveness: bool,
    /// The check depends on the first one.
    waits: bool,
    tags: Vec<&'static str>,
}

#[derive(Clone, Debug)]
enum Step {
    Record(usize, Run),
    Mute(usize, String),
    Forget(usize),
    Pass(Duration),
    Enter(Lifecycle),
}

/// The result of one run.
#[derive(Clone, Debug)]
struct Run {
    status: Status,
    reason: Option<Reason>,
    message: Option<String>,
    observed: Vec<(String, Number, String, [Option<Number>; 4])>,
    details: Vec<Value>,
    duration: Duration,
}

impl Run {
    fn outcome(&self) -> Outcome {
        let mut outcome = match self.status {
            Status::Healthy => Outcome::healthy(),
            Status::Degraded => Outcome::degraded("late"),
            Status::Unhealthy => Outcome::unhealthy("refused"),
        };
        if let Some(reason) = self.reason {
            outcome = outcome.reason(reason);
        }
        if let Some(message) = &self.message {
            outcome = outcome.message(message.clone());
        }
        for (name, value, unit, limits) in &self.observed {
            let mut all = Limits::new();
            let [warn_above, fail_above, warn_below, fail_below] = *limits;
            if let Some(limit) = warn_above {
                all = all.warn_above(limit);
            }
            if let Some(limit) = fail_above {
                all = all.fail_above(limit);
            }
            if let Some(limit) = warn_below {
                all = all.warn_below(limit);
            }
            if let Some(limit) = fail_below {
                all = all.fail_below(limit);
            }
            outcome = outcome.observe_within(name.clone(), *value, unit.clone(), all);
        }
        for (position, detail) in self.details.iter().enumerate() {
            outcome = outcome.detail(format!("detail {position}"), detail.clone());
        }
        outcome
    }
}

impl Service {
    /// Returns the names of the checks.
    pub(super) fn names(&self) -> Vec<String> {
        (0..self.checks.len()).map(name).collect()
    }

    /// Returns the service after all its steps.
    pub(super) fn frozen(&self) -> Frozen {
        let mut builder = Health::builder();
        if self.is_named {
            builder = builder.service("orders \"east\"").version("1.4.2");
        }
        if self.is_grouped {
            builder = builder.group(TAGS[0]);
        }
        for (position, planned) in self.checks.iter().enumerate() {
            builder = builder.check(name(position), planned.registration(position));
        }
        let frozen = Frozen::new(builder).unwrap();
        for step in &self.steps {
            self.take(step, &frozen);
        }
        frozen
    }

    fn take(&self, step: &Step, frozen: &Frozen) {
        let known = |position: usize| (!self.checks.is_empty()).then(|| name(position % self.checks.len()));
        match step {
            Step::Record(position, run) => {
                if let Some(name) = known(*position) {
                    frozen.record(&name, run.outcome(), run.duration).unwrap();
                }
            }
            Step::Mute(position, note) => {
                if let Some(name) = known(*position) {
                    let muted = frozen.health().mute(&name, SystemTime::UNIX_EPOCH + secs(4_000_000_000), note);
                    assert!(matches!(muted, Ok(()) | Err(MuteError::Stopped)), "{muted:?}");
                }
            }
            Step::Forget(position) => {
                if let Some(name) = known(*position) {
                    frozen.forget(&name).unwrap();
                }
            }
            Step::Pass(time) => frozen.advance(*time),
            Step::Enter(lifecycle) => frozen.lifecycle(*lifecycle),
        }
    }
}

fn name(position: usize) -> String {
    format!("Check_{position}.a-b")
}

impl Planned {
    fn registration(&self, position: usize) -> Registration {
        let mut registration = Registration::from(check_fn(|| async { Ok(()) }));
        if self.is_local || self.is_liveness {
            registration = registration.local();
        }
        if self.is_liveness {
            registration = registration.liveness();
        } else if self.waits && position > 0 {
            registration = registration.depends_on(name(0));
        }
        // A critical check cannot depend on an optional one.
        if self.is_optional && position > 0 {
            registration = registration.optional();
        }
        self.tags.iter().fold(registration, |registration, tag| registration.tag(*tag))
    }
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        any::<f64>().prop_map(Number::from),
        any::<f32>().prop_map(Number::from),
        select(vec![
            Number::Integer(i128::MIN),
            Number::Integer(i128::MAX),
            Number::Float(f64::NAN),
            Number::Float(-0.0)
        ]),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    let limit = || proptest::option::of(number());
    let unit = prop_oneof![Just(String::new()), Just("messages".to_owned()), ".{0,80}"];
    let observed = ("[a-z:_ .]{0,70}", number(), unit, [limit(), limit(), limit(), limit()]);
    let detail = select(vec![json!(null), json!(-1.5), json!("text"), json!(["a", { "b": [] }]), json!(true)]);
    let reasons: Vec<Option<Reason>> = Reason::ALL.iter().copied().map(Some).chain([None]).collect();
    (
        select(Status::ALL),
        select(reasons),
        proptest::option::of(".{0,300}"),
        proptest::collection::vec(observed, 0..18),
        proptest::collection::vec(detail, 0..3),
        0..10_000_000_u64,
    )
        .prop_map(|(status, reason, message, observed, details, micros)| Run {
            status,
            reason,
            message,
            observed,
            details,
            duration: Duration::from_micros(micros),
        })
}

fn planned() -> impl Strategy<Value = Planned> {
    let tags = proptest::sample::subsequence(TAGS.to_vec(), 0..=TAGS.len());
    (any::<[bool; 4]>(), tags).prop_map(|([is_optional, is_local, is_liveness, waits], tags)| Planned {
        is_optional,
        is_local,
        is_liveness,
        waits,
        tags,
    })
}

/// Generates any service with any steps.
pub(super) fn services() -> impl Strategy<Value = Service> {
    let step = prop_oneof![
        8 => (0..4_usize, run()).prop_map(|(check, run)| Step::Record(check, run)),
        1 => (0..4_usize, ".{0,300}").prop_map(|(check, note)| Step::Mute(check, note)),
        1 => (0..4_usize).prop_map(Step::Forget),
        1 => (0..40_u64).prop_map(|time| Step::Pass(secs(time))),
        2 => select(Lifecycle::ALL).prop_map(Step::Enter),
    ];
    let checks = proptest::collection::vec(planned(), 0..5);
    let named = (any::<bool>(), any::<bool>());
    (named, checks, proptest::collection::vec(step, 0..12))
        .prop_map(|((is_named, is_grouped), checks, steps)| Service { is_named, is_grouped, checks, steps })
}
