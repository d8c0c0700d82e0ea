//! Parses settings from environment variables. Pure functions.

use std::{collections::BTreeMap, ffi::OsString, sync::Arc};

use serde_json::Value;

use crate::config::{
    nearest::nearest,
    origin::Origin,
    parse::{SECTIONS, mistake::SettingsMistake},
    settings::{Given, Section, Settings},
};

/// The separator between the parts of a variable's name.
const SEPARATOR: &str = "__";

/// Adds the settings of the variables `PREFIX_CHECKS__<CHECK>__<OPTION>`, `PREFIX_INSERTED__<CHECK>__<OPTION>` and
/// `PREFIX_DEFAULTS__<OPTION>`. Ignores other variables. A name that looks like a mistyped form of one of these names
/// is a mistake. `source` is the position of these variables among all sources.
pub(crate) fn variables(
    prefix: &str,
    source: usize,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    settings: &mut Settings,
    mistakes: &mut Vec<SettingsMistake>,
) {
    let ours = |(name, value): (OsString, OsString)| {
        let shown = name.to_string_lossy().into_owned();
        let rest = shown.strip_prefix(prefix)?.strip_prefix('_')?.to_owned();
        rest.contains(SEPARATOR).then(|| Variable { is_readable: name.to_str().is_some(), name: shown, rest, value })
    };
    // Sorted, because the environment has no defined order and the order of errors must be stable.
    let mut variables: Vec<Variable> = variables.into_iter().filter_map(ours).collect();
    variables.sort_by(|one, other| one.name.cmp(&other.name));
    let mut known: BTreeMap<Key, String> = BTreeMap::new();
    for variable in variables {
        let origin = Origin::Variable { name: Arc::from(variable.name.as_str()), source };
        let key = match variable.key(prefix) {
            Ok(Some(key)) => key,
            Ok(None) => continue,
            Err(message) => {
                mistakes.push(SettingsMistake::at(&origin, None, message));
                continue;
            }
        };
        let path = key.path();
        let mut refuse = |message| mistakes.push(SettingsMistake::at(&origin, Some(&path), message));
        if let Some(other) = known.get(&key) {
            refuse(format!("{other} sets the same key: keep one of them"));
            continue;
        }
        known.insert(key.clone(), variable.name.clone());
        let Ok(text) = variable.value.into_string() else {
            refuse("the value is not UTF-8".to_owned());
            continue;
        };
        add(key, Given { value: Value::String(text).into(), origin: Some(origin) }, settings);
    }
}

fn add(key: Key, given: Given, settings: &mut Settings) {
    let Some(name) = key.check else {
        settings.add_default(key.option, given);
        return;
    };
    let section = Section { name, origin: given.origin.clone(), options: BTreeMap::from([(key.option, given)]) };
    if key.section == "checks" { settings.add_check(section) } else { settings.add_inserted(section) }
}

/// A variable whose name begins with the prefix and contains a separator.
struct Variable {
    name: String,
    is_readable: bool,
    /// The name without the prefix and its underscore.
    rest: String,
    value: OsString,
}

/// The key that a variable sets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    section: &'static str,
    /// `None` for a default.
    check: Option<String>,
    option: String,
}

impl Key {
    fn path(&self) -> String {
        let Self { section, check, option } = self;
        check.as_ref().map_or_else(|| format!("{section}.{option}"), |check| format!("{section}.{check}.{option}"))
    }
}

impl Variable {
    /// Returns the key that the name stands for; `None` if the variable does not belong to the settings.
    fn key(&self, prefix: &str) -> Result<Option<Key>, String> {
        let parts: Vec<String> = self.rest.split(SEPARATOR).map(str::to_ascii_lowercase).collect();
        let form = |section: &str| {
            let check = if section == "defaults" { "" } else { "<CHECK>__" };
            format!("{prefix}_{}__{check}<OPTION>", section.to_ascii_uppercase())
        };
        let Some(section) = SECTIONS.into_iter().find(|section| *section == parts[0]) else {
            // The section is mistyped, or a separator follows the prefix in place of one underscore.
            let first = parts.iter().map(|part| part.trim_matches('_')).find(|part| !part.is_empty());
            let meant = first.and_then(|first| nearest(first, SECTIONS));
            let refused = |meant| format!("there is no such key: did you mean {}?", form(meant));
            return meant.map_or(Ok(None), |meant| Err(refused(meant)));
        };
        let (check, option) = match (section, &parts[1..]) {
            ("defaults", [option]) => (None, option),
            // A check's name may contain the separator.
            ("checks" | "inserted", [check @ .., option]) if !check.concat().is_empty() => {
                (Some(check.join(SEPARATOR)), option)
            }
            _ => return Err(format!("the name does not say which option it sets: use {}", form(section))),
        };
        if option.is_empty() {
            return Err(format!("the name does not say which option it sets: use {}", form(section)));
        }
        if !self.is_readable {
            return Err("the name is not UTF-8".to_owned());
        }
        Ok(Some(Key { section, check, option: option.clone() }))
    }
}
