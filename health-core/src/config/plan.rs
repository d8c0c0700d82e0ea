//! Plans: fills in the defaults of options, and refuses contradictory options and dependencies. Pure.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::{
    check::options::{Joining, Options},
    config::error::BuildError,
    model::status::{Impact, Kind, Probe},
    time::LONGEST,
};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const SHORTEST: Duration = Duration::from_millis(1);
const MAX_NAME: usize = 64;

/// The names of the lifecycle lines in the Kubernetes text output.
const RESERVED: [&str; 2] = ["starting", "shutdown"];

/// The plan of a check: its options with every default filled in, which decide how it is run, judged and shown.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) interval: Duration,
    pub(crate) recheck: Duration,
    pub(crate) max_age: Duration,
    pub(crate) timeout: Duration,
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
    pub(crate) depends_on: Vec<Arc<str>>,
    pub(crate) tags: Arc<[Arc<str>]>,
}

/// Fills in the defaults of one check. Refuses invalid names and contradictory options.
pub(crate) fn plan(name: &str, options: &Options) -> Result<Plan, BuildError> {
    check_each(name, options)?;
    let plan = with_defaults(options);
    check_durations(name, &plan)?;
    for probe in [Probe::Liveness, Probe::Startup] {
        if options.kind == Kind::Dependency && options.joins(probe) == Some(Joining::LocalOnly) {
            return Err(BuildError::DependencyInProbe { name: name.to_owned(), probe });
        }
    }
    Ok(plan)
}

/// Checks the names, and each option by itself.
fn check_each(name: &str, options: &Options) -> Result<(), BuildError> {
    check_name(name)?;
    if RESERVED.contains(&name) {
        return Err(BuildError::ReservedName { name: name.to_owned() });
    }
    for tag in &options.tags {
        check_name(tag)?;
    }
    for (option, count) in options.counts() {
        if count == Some(0) {
            return Err(BuildError::InvalidThreshold { name: name.to_owned(), option });
        }
    }
    for (option, value) in options.durations() {
        if let Some(value) = value.filter(|value| !(SHORTEST..=LONGEST).contains(value)) {
            let message = "use a duration between 1 ms and 366 days".to_owned();
            return Err(BuildError::InvalidDuration { name: name.to_owned(), option, value, message });
        }
    }
    Ok(())
}

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
        interval,
        recheck: options.recheck.unwrap_or(recheck),
        max_age: options.max_age.unwrap_or(if options.every.is_some() { interval } else { DEFAULT_MAX_AGE }),
        timeout,
        stale_after: options.stale_after.unwrap_or(interval * 3 + timeout),
        slow_above: options.slow_above,
        failures: options.failures.unwrap_or(1),
        successes: options.successes.unwrap_or(1),
        once: options.once,
        kind: options.kind,
        impact: options.impact(),
        asks_a_service: options.asks_a_service,
        liveness: options.liveness.is_some(),
        readiness: options.readiness,
        startup: options.startup.is_some(),
        depends_on: options.depends_on.iter().map(|name| Arc::from(name.as_str())).collect(),
        tags: tags.into(),
    }
}

/// Checks the durations of a plan against each other.
fn check_durations(name: &str, plan: &Plan) -> Result<(), BuildError> {
    let refuse =
        |option, value, message| Err(BuildError::InvalidDuration { name: name.to_owned(), option, value, message });
    let Plan { interval, timeout, recheck, stale_after, .. } = *plan;
    if recheck > interval {
        let message = format!("it is the faster pace while not healthy, so at most the interval of {interval:?}");
        return refuse("recheck", recheck, message);
    }
    // Jitter may make the interval a tenth longer.
    let between = interval + interval / 10 + timeout;
    if stale_after <= between {
        let message = format!(
            "a result that merely waits for the next run would be stale: use more than the interval, a tenth of it, and \
             the timeout together, {between:?}"
        );
        return refuse("stale_after", stale_after, message);
    }
    if let Some(slow) = plan.slow_above.filter(|slow| *slow >= timeout) {
        let message = format!("an answer that slow has already timed out: use less than the timeout of {timeout:?}");
        return refuse("slow_above", slow, message);
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), BuildError> {
    let message = if name.is_empty() {
        "it is empty"
    } else if name.len() > MAX_NAME {
        "it is too long"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        "it has a character that cannot stand in a path, a label and a line of text alike"
    } else if name.bytes().all(|b| b == b'.') {
        "clients remove such a segment from a path"
    } else {
        return Ok(());
    };
    Err(BuildError::InvalidName { name: name.chars().take(MAX_NAME).collect(), message })
}

/// One check in the graph of dependencies.
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    pub(crate) options: &'a Options,
}

/// Refuses duplicate names, and dependencies that are unknown, form a cycle, put a Critical check behind an Optional
/// one, or put a liveness or startup check behind a check of kind `Dependency`.
pub(crate) fn check_graph(nodes: &[Node<'_>]) -> Result<(), BuildError> {
    let mut names = HashSet::new();
    if let Some(node) = nodes.iter().find(|node| !names.insert(node.name)) {
        return Err(BuildError::DuplicateName { name: node.name.to_owned() });
    }
    let find = |name: &str| nodes.iter().find(|node| node.name == name);
    for node in nodes {
        for upstream in &node.options.depends_on {
            if find(upstream).is_none() {
                return Err(BuildError::UnknownDependency { name: node.name.to_owned(), missing: upstream.clone() });
            }
        }
    }
    for node in nodes {
        if let Some(path) = circle(node, &find) {
            return Err(BuildError::DependencyCycle { path });
        }
    }
    for node in nodes {
        for upstream in node.options.depends_on.iter().filter_map(|name| find(name)) {
            if node.options.impact() == Impact::Critical && upstream.options.impact() == Impact::Optional {
                return Err(BuildError::CriticalBehindOptional {
                    name: node.name.to_owned(),
                    upstream: upstream.name.to_owned(),
                });
            }
        }
        for probe in [Probe::Liveness, Probe::Startup] {
            if node.options.joins(probe) == Some(Joining::LocalOnly)
                && let Some(upstream) =
                    upstreams(node, &find).into_iter().find(|upstream| upstream.options.kind == Kind::Dependency)
            {
                return Err(BuildError::ProbeBehindDependency {
                    name: node.name.to_owned(),
                    probe,
                    upstream: upstream.name.to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// Returns every check on which `node` depends, directly or indirectly.
fn upstreams<'a>(node: &Node<'a>, find: &impl Fn(&str) -> Option<&'a Node<'a>>) -> Vec<&'a Node<'a>> {
    let mut found: Vec<&Node<'_>> = Vec::new();
    let mut names: Vec<&str> = node.options.depends_on.iter().map(String::as_str).collect();
    while let Some(name) = names.pop() {
        if let Some(upstream) = find(name)
            && !found.iter().any(|known| known.name == upstream.name)
        {
            names.extend(upstream.options.depends_on.iter().map(String::as_str));
            found.push(upstream);
        }
    }
    found
}

/// Returns a path of dependencies from `start` back to itself; `None` if there is none.
fn circle<'a>(start: &Node<'a>, find: &impl Fn(&str) -> Option<&'a Node<'a>>) -> Option<Vec<String>> {
    let mut seen = HashSet::new();
    let mut paths: Vec<Vec<&str>> = vec![vec![start.name]];
    while let Some(path) = paths.pop() {
        let node = path.last().and_then(|name| find(name))?;
        for upstream in &node.options.depends_on {
            let mut longer = path.clone();
            longer.push(upstream);
            if upstream == start.name {
                return Some(longer.into_iter().map(str::to_owned).collect());
            }
            if seen.insert(upstream.as_str()) {
                paths.push(longer);
            }
        }
    }
    None
}
