//! The origin of a setting, so that an error names its file and line, or its environment variable. Pure functions.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{check::options::Options, config::error::BuildError, model::status::Probe};

/// The place where a setting was set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(feature = "settings_file"), allow(dead_code, reason = "only loaded settings have an origin"))]
pub(crate) enum Origin {
    /// A place in a file. Line and column begin at 1.
    File { path: Arc<str>, line: usize, column: usize },
    /// An environment variable.
    Variable {
        name: Arc<str>,
        /// The position of the source among all sources. A later source overrides an earlier one.
        source: usize,
    },
}

impl Origin {
    /// Returns whether both origins are in the same file, or in the same source of variables.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { path, .. }, Self::File { path: other, .. }) => path == other,
            (Self::Variable { source, .. }, Self::Variable { source: other, .. }) => source == other,
            _ => false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Self::Variable { name, .. } => f.write_str(name),
        }
    }
}

/// The name under which the origins of defaults are kept. It contains a space, so no check can have it.
const DEFAULTS: &str = "the defaults";

/// The origins of the options that were set, by check and option.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    by_check: BTreeMap<String, BTreeMap<String, Origin>>,
}

impl Origins {
    /// Records the origin of an option of a check.
    pub(crate) fn note(&mut self, check: &str, option: &str, origin: Option<&Origin>) {
        if let Some(origin) = origin {
            self.by_check.entry(check.to_owned()).or_default().insert(option.to_owned(), origin.clone());
        }
    }

    /// Records the origin of a default.
    pub(crate) fn note_default(&mut self, option: &str, origin: Option<&Origin>) {
        self.note(DEFAULTS, option, origin);
    }

    /// Records that an option of a check takes its value from the defaults.
    pub(crate) fn note_use_of_default(&mut self, check: &str, option: &str) {
        let origin = self.by_check.get(DEFAULTS).and_then(|options| options.get(option)).cloned();
        self.note(check, option, origin.as_ref());
    }

    /// Adds to a mistake the places where its options were set.
    pub(crate) fn locate(&self, mistake: BuildError) -> BuildError {
        let mut at: Vec<String> = Vec::new();
        for origin in self.of(&mistake) {
            let origin = origin.to_string();
            if !at.contains(&origin) {
                at.push(origin);
            }
        }
        located(mistake, at)
    }

    /// Returns the places where the options of a mistake were set.
    fn of(&self, mistake: &BuildError) -> Vec<&Origin> {
        let find = |(check, option): &(&str, &str)| self.by_check.get(*check)?.get(*option);
        if let BuildError::InvalidCheck { name, .. } = mistake {
            // The error of a check does not name the option, so all of the check's own options are listed.
            let own = |option: &str| !Options::SETTINGS.contains(&option) && option != "enabled";
            let options = self.by_check.get(name).into_iter().flatten();
            return options.filter(|(option, _)| own(option)).map(|(_, origin)| origin).collect();
        }
        concerned(mistake).iter().filter_map(find).collect()
    }
}

/// Wraps a mistake in [`BuildError::Located`]; returns it unchanged if there are no places.
pub(crate) fn located(mistake: BuildError, at: Vec<String>) -> BuildError {
    if at.is_empty() { mistake } else { BuildError::Located { at, mistake: Box::new(mistake) } }
}

/// Returns the options that cause a mistake, each with its check. The option at fault is the first.
fn concerned(mistake: &BuildError) -> Vec<(&str, &str)> {
    match mistake {
        BuildError::InvalidDuration { name, option, .. } => match *option {
            "recheck" => of(name, &["recheck", "every"]),
            "stale_after" => of(name, &["stale_after", "every", "timeout"]),
            "slow_above" => of(name, &["slow_above", "timeout"]),
            option => of(name, &[option]),
        },
        BuildError::InvalidThreshold { name, option } => of(name, &[*option]),
        BuildError::InvalidTag { name, .. } | BuildError::SeveralGroups { name, .. } => of(name, &["tags"]),
        BuildError::DependencyInProbe { name, probe } => of(name, &[joins(*probe), "local"]),
        BuildError::ProbeBehindDependency { name, probe, upstream } => {
            let mut options = of(name, &[joins(*probe), "depends_on"]);
            options.push((upstream.as_str(), "local"));
            options
        }
        BuildError::UnknownDependency { name, .. } => of(name, &["depends_on"]),
        BuildError::DependencyCycle { path } => path.iter().map(|name| (name.as_str(), "depends_on")).collect(),
        BuildError::CriticalBehindOptional { name, upstream } => {
            let mut options = of(name, &["impact", "depends_on"]);
            options.push((upstream.as_str(), "impact"));
            options
        }
        _ => Vec::new(),
    }
}

/// Pairs each option with the name of the check.
fn of<'m>(name: &'m str, options: &[&'static str]) -> Vec<(&'m str, &'m str)> {
    options.iter().map(|option| (name, *option)).collect()
}

/// Returns the option that adds a check to a probe.
fn joins(probe: Probe) -> &'static str {
    match probe {
        Probe::Liveness => "liveness",
        Probe::Readiness => "readiness",
        Probe::Startup => "startup",
    }
}
