//! Plans: fills in the defaults of options, and refuses contradictory options and dependencies. Pure functions.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    check::options::{Joining, Options},
    config::{error::BuildError, mistakes::Mistakes},
    model::{
        group::Group,
        report::Traits,
        status::{Impact, Kind, Probe},
    },
    time::LONGEST,
};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const SHORTEST: Duration = Duration::from_millis(1);
const MAX_NAME: usize = 64;

/// The names of the lifecycle lines in the Kubernetes text output.
pub(super) const RESERVED: [&str; 2] = ["starting", "shutdown"];

/// The plan of a check: its options with every default filled in. The plan decides how the check is run, judged and
/// shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) recheck: Duration,
    pub(crate) max_age: Duration,
    pub(crate) stale_after: Duration,
    pub(crate) slow_above: Option<Duration>,
    pub(crate) failures: u32,
    pub(crate) successes: u32,
    pub(crate) once: bool,
    pub(crate) kind: Kind,
    pub(crate) impact: Impact,
    pub(crate) liveness: bool,
    pub(crate) readiness: bool,
    pub(crate) startup: bool,
    pub(crate) asks_a_service: bool,
    pub(crate) no_metrics: bool,
    pub(crate) depends_on: Vec<Arc<str>>,
    /// The group of the check, which follows from the tags and the groups of the builder.
    pub(crate) group: Option<Group>,
    pub(crate) traits: Arc<Traits>,
}

/// Computes the plan of one check. Collects every mistake: an invalid name, an option out of range, options that
/// contradict each other. Returns `None` if there is a mistake.
pub(crate) fn plan(name: &str, options: &Options, mistakes: &mut Mistakes) -> Option<Plan> {
    let before = mistakes.len();
    check_each(name, options, mistakes);
    // Durations out of range cannot be compared, and no defaults can be computed from them.
    if !check_ranges(name, options, mistakes) {
        return None;
    }
    let plan = with_defaults(options);
    check_durations(name, &plan, mistakes);
    (mistakes.len() == before).then_some(plan)
}

/// Checks the name, and each option on its own, except the durations.
fn check_each(name: &str, options: &Options, mistakes: &mut Mistakes) {
    mistakes.collect(check_name(name));
    if RESERVED.contains(&name) {
        mistakes.push(BuildError::ReservedName { name: name.to_owned() });
    }
    for tag in &options.tags {
        if let Err(message) = check_word(tag) {
            mistakes.push(BuildError::InvalidTag { name: name.to_owned(), tag: shortened(tag), message });
        }
    }
    for (option, count) in options.counts() {
        if count == Some(0) {
            mistakes.push(BuildError::InvalidThreshold { name: name.to_owned(), option });
        }
    }
    for probe in [Probe::Liveness, Probe::Startup] {
        if options.kind == Kind::Dependency && options.joins(probe) == Some(Joining::LocalOnly) {
            mistakes.push(BuildError::DependencyInProbe { name: name.to_owned(), probe });
        }
    }
}

/// Checks the range of each duration. Returns whether all durations are valid.
fn check_ranges(name: &str, options: &Options, mistakes: &mut Mistakes) -> bool {
    let before = mistakes.len();
    for (option, value) in options.durations() {
        if let Some(value) = value.filter(|value| !(SHORTEST..=LONGEST).contains(value)) {
            let message = "use a duration between 1 ms and 366 days".to_owned();
            mistakes.push(BuildError::InvalidDuration { name: name.to_owned(), option, value, message });
        }
    }
    mistakes.len() == before
}

/// Fills in the defaults.
fn with_defaults(options: &Options) -> Plan {
    let interval = options.every.unwrap_or(DEFAULT_INTERVAL);
    let timeout = options.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let recheck = (interval / 5).clamp(Duration::from_secs(1), Duration::from_secs(60)).min(interval);
    let mut tags: Vec<Arc<str>> = Vec::new();
    for tag in &options.tags {
        if !tags.iter().any(|known| **known == **tag) {
            tags.push(Arc::from(tag.as_str()));
        }
    }
    Plan {
        recheck: options.recheck.unwrap_or(recheck),
        max_age: options.max_age.unwrap_or(if options.every.is_some() { interval } else { DEFAULT_MAX_AGE }),
        stale_after: options.stale_after.unwrap_or(interval * 3 + timeout),
        slow_above: options.slow_above,
        failures: options.failures.unwrap_or(1),
        successes: options.successes.unwrap_or(1),
        once: options.once,
        kind: options.kind,
        impact: options.impact(),
        asks_a_service: options.asks_a_service,
        no_metrics: options.no_metrics,
        liveness: options.liveness.is_some(),
        readiness: options.readiness,
        startup: options.startup.is_some(),
        depends_on: options.depends_on.iter().map(|name| Arc::from(name.as_str())).collect(),
        group: None,
        traits: Arc::new(Traits {
            tags: if tags.is_empty() { Arc::default() } else { tags.into() },
            interval,
            timeout,
            proves: options.proves,
        }),
    }
}

/// Checks the durations of a plan against each other.
fn check_durations(name: &str, plan: &Plan, mistakes: &mut Mistakes) {
    let mut refuse = |option, value, message| {
        mistakes.push(BuildError::InvalidDuration { name: name.to_owned(), option, value, message });
    };
    let Plan { recheck, stale_after, .. } = *plan;
    let Traits { interval, timeout, .. } = *plan.traits;
    if recheck > interval {
        let message = format!(
            "it is the spacing of runs while the check is not healthy: use at most the interval of {interval:?}"
        );
        refuse("recheck", recheck, message);
    }
    // Jitter may make the interval a tenth longer.
    let between = interval + interval / 10 + timeout;
    if stale_after <= between {
        let message = format!(
            "a result would become stale before the next run ends: use more than the interval, a tenth of the interval \
             and the timeout together, {between:?}"
        );
        refuse("stale_after", stale_after, message);
    }
    if let Some(slow) = plan.slow_above.filter(|slow| *slow >= timeout) {
        let message = format!("a run that slow has already timed out: use less than the timeout of {timeout:?}");
        refuse("slow_above", slow, message);
    }
}

fn check_name(name: &str) -> Result<(), BuildError> {
    check_word(name).map_err(|message| BuildError::InvalidName { name: shortened(name), message })
}

/// Cuts a name to the length that an error shows.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

/// Checks the name of a check or a tag. The error says what is wrong with the name.
pub(super) fn check_word(name: &str) -> Result<(), &'static str> {
    let message = if name.is_empty() {
        "it is empty"
    } else if name.len() > MAX_NAME {
        "it is too long"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        "it has a character that is not safe in a path, a metric label or a line of text"
    } else if name.bytes().all(|b| b == b'.') {
        "it consists of dots alone, which clients remove from a path"
    } else {
        return Ok(());
    };
    Err(message)
}

/// A new check in the graph of dependencies.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    pub(crate) options: &'a Options,
}

/// A check on which others depend: a new check, or a known check, which is already registered and has a plan.
#[derive(Clone, Copy)]
enum Upstream<'a> {
    New(Node<'a>),
    Known(&'a str, &'a Plan),
}

impl<'a> Upstream<'a> {
    fn name(&self) -> &'a str {
        match self {
            Self::New(node) => node.name,
            Self::Known(name, _) => name,
        }
    }

    fn impact(&self) -> Impact {
        match self {
            Self::New(node) => node.options.impact(),
            Self::Known(_, plan) => plan.impact,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::New(node) => node.options.kind,
            Self::Known(_, plan) => plan.kind,
        }
    }

    fn depends_on(&self) -> Vec<&'a str> {
        match self {
            Self::New(node) => node.options.depends_on.iter().map(String::as_str).collect(),
            Self::Known(_, plan) => plan.depends_on.iter().map(|name| &**name).collect(),
        }
    }
}

/// The graph of dependencies between new checks, and from new checks to known checks, which are free of mistakes.
pub(crate) struct Graph<'a, K> {
    new: &'a [Node<'a>],
    by_name: HashMap<&'a str, Node<'a>>,
    known: K,
}

impl<'a, K: Fn(&str) -> Option<(&'a str, &'a Plan)>> Graph<'a, K> {
    /// Creates a graph of new checks. `known` finds a known check by its name.
    pub(crate) fn new(new: &'a [Node<'a>], known: K) -> Self {
        // If two checks have the same name, the name stands for the first.
        let by_name = new.iter().rev().map(|node| (node.name, *node)).collect();
        Self { new, by_name, known }
    }

    /// Collects duplicate names, and dependencies that are unknown, that form a cycle, that put a Critical check behind
    /// an Optional one, or that put a liveness or startup check behind a check of kind `Dependency`.
    pub(crate) fn check(&self, mistakes: &mut Mistakes) {
        self.check_names(mistakes);
        self.check_cycles(mistakes);
        self.check_upstreams(mistakes);
    }

    /// Collects names of gRPC services that are already taken.
    pub(crate) fn check_grpc_services(&self, services: &[(Arc<str>, Probe)], mistakes: &mut Mistakes) {
        for (position, (name, _)) in services.iter().enumerate() {
            let meaning = if name.is_empty() {
                Some("the whole service")
            } else if Probe::ALL.iter().any(|probe| probe.as_str() == &**name) {
                Some("a probe")
            } else if self.find(name).is_some() {
                Some("a check")
            } else if services[..position].iter().any(|(other, _)| other == name) {
                Some("a service that was named before")
            } else {
                None
            };
            if let Some(meaning) = meaning {
                mistakes.push(BuildError::InvalidGrpcService { name: name.to_string(), meaning });
            }
        }
    }

    /// Finds a check by its name.
    fn find(&self, name: &str) -> Option<Upstream<'a>> {
        let known = (self.known)(name).map(|(name, plan)| Upstream::Known(name, plan));
        known.or_else(|| self.by_name.get(name).map(|node| Upstream::New(*node)))
    }

    /// Collects duplicate names, each once, and dependencies on names that no check has.
    fn check_names(&self, mistakes: &mut Mistakes) {
        let mut counts: HashMap<&str, u32> = HashMap::new();
        for node in self.new {
            let count = counts.entry(node.name).or_insert_with(|| u32::from((self.known)(node.name).is_some()));
            *count += 1;
            if *count == 2 {
                mistakes.push(BuildError::DuplicateName { name: node.name.to_owned() });
            }
            for upstream in node.options.depends_on.iter().filter(|upstream| self.find(upstream).is_none()) {
                mistakes.push(BuildError::UnknownDependency { name: node.name.to_owned(), missing: upstream.clone() });
            }
        }
    }

    /// Collects every cycle once.
    fn check_cycles(&self, mistakes: &mut Mistakes) {
        let mut reported: HashSet<String> = HashSet::new();
        for node in self.new.iter().filter(|node| !node.options.depends_on.is_empty()) {
            if reported.contains(node.name) {
                continue;
            }
            if let Some(path) = self.cycle(*node) {
                reported.extend(path.iter().cloned());
                mistakes.push(BuildError::DependencyCycle { path });
            }
        }
    }

    /// Collects dependencies on a check whose impact or kind does not allow it.
    fn check_upstreams(&self, mistakes: &mut Mistakes) {
        for node in self.new {
            for upstream in node.options.depends_on.iter().filter_map(|name| self.find(name)) {
                if node.options.impact() == Impact::Critical && upstream.impact() == Impact::Optional {
                    mistakes.push(BuildError::CriticalBehindOptional {
                        name: node.name.to_owned(),
                        upstream: upstream.name().to_owned(),
                    });
                }
            }
            for probe in [Probe::Liveness, Probe::Startup] {
                let is_dependency = |upstream: &Upstream<'_>| upstream.kind() == Kind::Dependency;
                if node.options.joins(probe) == Some(Joining::LocalOnly)
                    && let Some(upstream) = self.upstreams(*node).into_iter().find(is_dependency)
                {
                    mistakes.push(BuildError::ProbeBehindDependency {
                        name: node.name.to_owned(),
                        probe,
                        upstream: upstream.name().to_owned(),
                    });
                }
            }
        }
    }

    /// Returns every check on which `node` depends, directly or indirectly.
    fn upstreams(&self, node: Node<'a>) -> Vec<Upstream<'a>> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut names = Upstream::New(node).depends_on();
        while let Some(name) = names.pop() {
            if let Some(upstream) = self.find(name)
                && seen.insert(name)
            {
                names.extend(upstream.depends_on());
                found.push(upstream);
            }
        }
        found
    }

    /// Returns a path of dependencies from `start` back to itself; `None` if there is none.
    fn cycle(&self, start: Node<'a>) -> Option<Vec<String>> {
        // For each check, the check from which the search reached it.
        let mut led_to: HashMap<&str, &str> = HashMap::new();
        let mut open = vec![start.name];
        while let Some(name) = open.pop() {
            let Some(node) = self.find(name) else { continue };
            for upstream in node.depends_on() {
                if upstream == start.name {
                    let mut path = vec![start.name, name];
                    while let Some(before) = led_to.get(path[path.len() - 1]) {
                        path.push(before);
                    }
                    return Some(path.into_iter().rev().map(str::to_owned).collect());
                }
                if !led_to.contains_key(upstream) {
                    led_to.insert(upstream, name);
                    open.push(upstream);
                }
            }
        }
        None
    }
}
