//! New settings for running checks: computes for each check the plan that a start with these settings would have made,
//! or returns every mistake. Pure functions.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    check::{error::InvalidCheck, options::Options, setting::Setting},
    config::{
        applied::{Applied, ChangedOption},
        error::BuildError,
        mistakes::Mistakes,
        plan::{Graph, Node, Plan, plan},
        presets::Presets,
        registered::Registered,
        settings::{Settable, Settings, is_disabled, set},
    },
    model::status::Kind,
};

/// A running check.
pub(crate) struct Running<'a> {
    pub(crate) name: &'a str,
    pub(crate) registered: &'a Registered,
    pub(crate) plan: &'a Plan,
}

/// The result of new settings for the running checks.
pub(crate) struct Replanned {
    pub(crate) presets: Presets,
    /// The changed plans, each with the position of its check.
    pub(crate) plans: Vec<(usize, Arc<Plan>)>,
    pub(crate) applied: Applied,
}

/// Computes the plans of the running checks from new settings.
///
/// # Errors
///
/// Returns the mistakes that [`Builder::start`](crate::Builder::start) would find.
pub(crate) fn replan(before: &Presets, settings: Settings, running: &[Running<'_>]) -> Result<Replanned, BuildError> {
    let mut mistakes = Mistakes::default();
    let presets = before.with_settings(settings, &mut mistakes);
    let wanted = wanted(&presets, running, &mut mistakes);
    let nodes: Vec<Node<'_>> = wanted.iter().map(|it| Node { name: it.name, options: &it.options }).collect();
    let groups = &presets.groups;
    let planned = |it: &Wanted<'_>| {
        let group = groups.group_of(it.name, &it.options, &mut mistakes);
        plan(it.name, &it.options, &mut mistakes).map(|plan| Plan { group, ..plan })
    };
    let plans: Vec<Option<Plan>> = wanted.iter().map(planned).collect();
    Graph::new(&nodes, |_| None).check(&mut mistakes);
    mistakes.result()?;

    let names: HashSet<&str> = running.iter().map(|check| check.name).collect();
    let mut applied = Applied::default();
    let mut changed: Vec<(usize, Arc<Plan>)> = Vec::new();
    for (position, ((check, wanted), plan)) in running.iter().zip(&wanted).zip(plans).enumerate() {
        let Some(mut plan) = plan else { continue };
        // A dependency may be a check that the settings enable at the next start, which does not run yet.
        plan.depends_on.retain(|upstream| names.contains(&**upstream));
        note_restarts(check, wanted, &plan, &mut applied);
        plan.once = check.plan.once;
        if plan != *check.plan {
            note_changes(check.name, check.plan, &plan, &mut applied);
            changed.push((position, shared(plan, &changed)));
        }
    }
    wanted.iter().skip(running.len()).for_each(|it| applied.restart(it.name, "enabled"));
    drop(wanted);
    Ok(Replanned { presets, plans: changed, applied })
}

/// The configuration of one check according to the settings.
struct Wanted<'a> {
    name: &'a str,
    registered: &'a Registered,
    options: Options,
    own_settings: BTreeMap<String, Setting>,
    is_enabled: bool,
    /// Whether the settings set `depends_on`.
    sets_depends_on: bool,
}

impl<'a> Wanted<'a> {
    fn new(name: &'a str, registered: &'a Registered, presets: &Presets, mistakes: &mut Mistakes) -> Self {
        let settings = &presets.settings;
        let given = if registered.is_of_builder { settings.of_builder(name) } else { settings.of_inserted(name) };
        let mut wanted = Self {
            name,
            registered,
            options: (*registered.options).clone(),
            own_settings: BTreeMap::new(),
            is_enabled: true,
            sets_depends_on: given.contains_key("depends_on"),
        };
        wanted.is_enabled = set(name, &given, &mut wanted, mistakes);
        wanted
    }
}

impl Settable for Wanted<'_> {
    /// Sets an option. An option inside the check is only recorded, because the check is in use.
    fn set(&mut self, option: &str, value: &Setting) -> Result<bool, InvalidCheck> {
        if self.options.set(option, value)? {
            return Ok(true);
        }
        let is_known = self.registered.own_options.contains(&option);
        if is_known {
            self.own_settings.insert(option.to_owned(), value.clone());
        }
        Ok(is_known)
    }

    fn names(&self) -> Vec<&'static str> {
        let mut names = Options::SETTINGS.to_vec();
        names.extend(&self.registered.own_options);
        names
    }
}

/// Returns the configuration of each running check according to the settings, followed by the configuration of each
/// check that the settings enable at the next start.
fn wanted<'a>(presets: &'a Presets, running: &[Running<'a>], mistakes: &mut Mistakes) -> Vec<Wanted<'a>> {
    let mut wanted = Vec::with_capacity(running.len());
    for check in running {
        let mut it = Wanted::new(check.name, check.registered, presets, mistakes);
        // The options inside the check keep their values, so what a Healthy result proves stays the same.
        it.options.proves = check.plan.traits.proves;
        wanted.push(it);
    }
    for (name, registered) in &presets.builder.disabled {
        let it = Wanted::new(name, registered, presets, mistakes);
        // Another check may have been inserted under this name.
        if it.is_enabled && !running.iter().any(|check| check.name == name) {
            wanted.push(it);
        }
    }
    let names: HashSet<&str> = wanted.iter().map(|it| it.name).collect();
    for it in &mut wanted {
        for option in presets.defaults.fill(&mut it.options) {
            mistakes.origins.note_use_of_default(it.name, option);
        }
        // Dependencies from the code existed when the check was registered, but may have been removed or disabled
        // since.
        let must_exist = it.sets_depends_on;
        let is_off = |upstream: &str| is_disabled(&presets.settings.of_inserted(upstream));
        it.options.depends_on.retain(|upstream| names.contains(upstream.as_str()) || (must_exist && !is_off(upstream)));
    }
    wanted
}

/// Records the options that differ and that cannot change while the check runs.
fn note_restarts(check: &Running<'_>, wanted: &Wanted<'_>, plan: &Plan, applied: &mut Applied) {
    if !wanted.is_enabled {
        applied.restart(check.name, "enabled");
    }
    if plan.once != check.plan.once {
        applied.restart(check.name, "once");
    }
    for &option in &check.registered.own_options {
        let is_same = match (check.registered.own_settings.get(option), wanted.own_settings.get(option)) {
            (Some(before), Some(after)) => before.says_the_same(after),
            (before, after) => before.is_none() && after.is_none(),
        };
        if !is_same {
            applied.restart(check.name, option);
        }
    }
}

/// Records every option that differs between two plans.
fn note_changes(check: &str, before: &Plan, after: &Plan, applied: &mut Applied) {
    let check: Arc<str> = Arc::from(check);
    let differing = texts(before).into_iter().zip(texts(after)).filter(|((_, from), (_, to))| from != to);
    applied.changed.extend(differing.map(|((option, from), (_, to))| ChangedOption {
        check: Arc::clone(&check),
        option,
        from,
        to,
    }));
}

/// Returns the options that a new plan can change, as texts.
fn texts(plan: &Plan) -> [(&'static str, String); 16] {
    let duration = |duration: Duration| format!("{duration:?}");
    let list = |words: &[Arc<str>]| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    [
        ("every", duration(plan.traits.interval)),
        ("recheck", duration(plan.recheck)),
        ("max_age", duration(plan.max_age)),
        ("timeout", duration(plan.traits.timeout)),
        ("stale_after", duration(plan.stale_after)),
        ("slow_above", plan.slow_above.map_or_else(|| "none".to_owned(), duration)),
        ("failures", plan.failures.to_string()),
        ("successes", plan.successes.to_string()),
        ("impact", plan.impact.as_str().to_owned()),
        ("local", (plan.kind == Kind::Local).to_string()),
        ("liveness", plan.liveness.to_string()),
        ("readiness", plan.readiness.to_string()),
        ("startup", plan.startup.to_string()),
        ("no_metrics", plan.no_metrics.to_string()),
        ("depends_on", list(&plan.depends_on)),
        ("tags", list(&plan.traits.tags)),
    ]
}

/// Shares the last plan if it is equal, which saves memory with thousands of checks.
fn shared(plan: Plan, changed: &[(usize, Arc<Plan>)]) -> Arc<Plan> {
    match changed.last() {
        Some((_, last)) if **last == plan => Arc::clone(last),
        _ => Arc::new(plan),
    }
}
