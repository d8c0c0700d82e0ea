//! Settings: options of checks that an operator sets without a rebuild. Pure functions.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use serde_json::{Map, Value};

use crate::{
    check::{error::InvalidCheck, registration::Registration, setting::Setting},
    config::{
        defaults::Defaults,
        error::BuildError,
        mistakes::Mistakes,
        nearest::hint,
        origin::{Origin, located},
    },
};

/// The maximum number of characters of a name that an error shows.
const SHOWN: usize = 64;

/// The options that `defaults` accepts.
const DEFAULTS: [&str; 4] = ["every", "timeout", "failures", "impact"];

/// Options of checks by name, for [`Builder::settings`](crate::Builder::settings). Deserializes from any format that
/// serde supports. With the feature `settings_file`, [`Settings::load`] reads files and environment variables, and
/// errors name the file and line, or the variable, of each value.
///
/// - `checks.<name>` accepts `enabled` and every option of a registration under its own name: `every`, `recheck`,
///   `max_age`, `timeout`, `stale_after`, `slow_above` (durations such as `"500ms"` or `"1m 30s"`), `failures`,
///   `successes` (whole numbers from 1), `once`, `local`, `liveness`, `readiness`, `startup`,
///   `liveness_despite_dependency`, `startup_despite_dependency`, `report_only`, `no_metrics` (`true` or `false`),
///   `impact` (`"critical"` or `"optional"`), `depends_on` and `tags` (a list, or words separated by commas). It also
///   accepts the check's own options, such as `warn_above` and `saturated_for`: see
///   [`Check::settings`](crate::Check::settings).
/// - `inserted.<name>` accepts the same options for checks that are inserted later. Such a check does not need to exist
///   at the start. A name that ends in `*` matches every name that begins with the part before the `*`. A longer
///   pattern overrides a shorter one, and an exact name overrides every pattern.
/// - `defaults` accepts `every`, `timeout`, `failures` and `impact`, which override the builder's defaults.
///
/// Settings override the options in the code. Numbers and booleans may be text, as in environment variables. The
/// settings of a check of the builder under `checks` apply again if that check is removed and a check of the same name
/// is inserted.
///
/// A name is first matched exactly. If no check has that name, it is matched without regard to case and with `-` and
/// `.` read as `_`, because names of environment variables cannot distinguish these.
///
/// ```
/// use health_core::{BuildError, Health, Settings, check_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings: Settings = serde_json::from_str(r#"{"checks": {"license": {"timeout": "1s", "failures": 3}}}"#)?;
/// let health = Health::builder().settings(settings).check("license", check_fn(|| async { Ok(()) })).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(from = "Sections")]
pub struct Settings {
    defaults: Vec<(String, Given)>,
    /// The sections are in the order of their sources. A later source overrides an earlier one.
    checks: Vec<Section>,
    inserted: Vec<Section>,
}

/// The serialized form of settings.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    defaults: Map<String, Value>,
    #[serde(default)]
    checks: BTreeMap<String, Map<String, Value>>,
    #[serde(default)]
    inserted: BTreeMap<String, Map<String, Value>>,
}

/// The settings of one check from one source.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) origin: Option<Origin>,
    pub(crate) options: BTreeMap<String, Given>,
}

/// One value and its origin.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) value: Setting,
    pub(crate) origin: Option<Origin>,
}

impl From<Sections> for Settings {
    fn from(sections: Sections) -> Self {
        let given = |(option, value): (String, Value)| (option, Given { value: value.into(), origin: None });
        let section = |(name, options): (String, Map<String, Value>)| Section {
            name,
            origin: None,
            options: options.into_iter().map(given).collect(),
        };
        Self {
            defaults: sections.defaults.into_iter().map(given).collect(),
            checks: sections.checks.into_iter().map(section).collect(),
            inserted: sections.inserted.into_iter().map(section).collect(),
        }
    }
}

/// Setters of the parts of settings, for the readers of files and variables.
#[cfg(feature = "settings_file")]
impl Settings {
    pub(crate) fn add_default(&mut self, option: String, given: Given) {
        self.defaults.push((option, given));
    }

    pub(crate) fn add_check(&mut self, section: Section) {
        self.checks.push(section);
    }

    pub(crate) fn add_inserted(&mut self, section: Section) {
        self.inserted.push(section);
    }
}

impl Settings {
    /// Returns the defaults from the code, overridden by the defaults in the settings.
    pub(crate) fn defaults(&self, code: Defaults, mistakes: &mut Mistakes) -> Defaults {
        let mut defaults = code;
        for (option, given) in &self.defaults {
            let value = &given.value;
            let read = match option.as_str() {
                "every" => value.duration().map(|every| defaults.every = Some(every)),
                "timeout" => value.duration().map(|timeout| defaults.timeout = Some(timeout)),
                "failures" => value.count().map(|failures| defaults.failures = Some(failures)),
                "impact" => value.impact().map(|impact| defaults.impact = Some(impact)),
                _ => Err(unknown(option, &DEFAULTS)),
            };
            match read {
                Ok(()) => mistakes.origins.note_default(option, given.origin.as_ref()),
                Err(error) => mistakes.push(invalid("defaults", option, given.origin.as_ref(), &error.to_string())),
            }
        }
        defaults
    }

    /// Applies the settings to the checks of a builder. Removes disabled checks, also from the dependencies of other
    /// checks, and returns them.
    pub(crate) fn apply(
        &mut self,
        checks: &mut Vec<(String, Registration)>,
        mistakes: &mut Mistakes,
    ) -> Vec<(String, Registration)> {
        let names: Vec<&str> = checks.iter().map(|(name, _)| name.as_str()).collect();
        self.resolve(&names, mistakes);
        self.check_inserted(&names, mistakes);
        let mut disabled = BTreeSet::new();
        for section in &self.checks {
            for (name, registration) in checks.iter_mut().filter(|(name, _)| *name == section.name) {
                if !set(name, &section.given(), registration, mistakes) {
                    disabled.insert(name.clone());
                }
            }
        }
        let (left_out, enabled) = mem::take(checks).into_iter().partition(|(name, _)| disabled.contains(name));
        *checks = enabled;
        for (_, registration) in checks {
            registration.options.depends_on.retain(|upstream| !disabled.contains(upstream));
        }
        left_out
    }

    /// Applies the settings to checks that are inserted. Returns for each check whether it is enabled. Removes disabled
    /// checks from the dependencies of other checks, unless they are running.
    pub(crate) fn apply_to_inserted<N: AsRef<str>>(
        &self,
        checks: &mut [(N, Registration)],
        runs: impl Fn(&str) -> bool,
        mistakes: &mut Mistakes,
    ) -> Vec<bool> {
        for (option, given) in &self.defaults {
            mistakes.origins.note_default(option, given.origin.as_ref());
        }
        let mut enabled = Vec::with_capacity(checks.len());
        for (name, registration) in checks {
            enabled.push(set(name.as_ref(), &self.of_inserted(name.as_ref()), registration, mistakes));
            let is_off = |upstream: &str| !runs(upstream) && is_disabled(&self.of_inserted(upstream));
            registration.options.depends_on.retain(|upstream| !is_off(upstream));
        }
        enabled
    }

    /// Merges the sections of each check of a builder into one section with the name of that check.
    pub(super) fn resolve(&mut self, checks: &[&str], mistakes: &mut Mistakes) {
        let mut joined: BTreeMap<usize, Section> = BTreeMap::new();
        for section in mem::take(&mut self.checks) {
            let Some(position) = find(checks, &section.name) else {
                let mistake = BuildError::UnknownSetting {
                    name: shortened(&section.name),
                    checks: checks.iter().map(|check| (*check).to_owned()).collect(),
                };
                mistakes.push(located(mistake, places(section.origin.as_ref())));
                continue;
            };
            let name = checks[position].to_owned();
            let of_check = joined.entry(position).or_insert_with(|| Section {
                name: name.clone(),
                origin: section.origin.clone(),
                options: BTreeMap::new(),
            });
            for (option, given) in section.options {
                let before = of_check.options.get(&option);
                if let Some(before) = before.filter(|before| is_beside(before, &given)) {
                    let message = "it is set twice, under two spellings of one name: keep one of them";
                    let mistake = BuildError::InvalidSetting {
                        name: name.clone(),
                        option: shortened(&option),
                        message: message.to_owned(),
                    };
                    let mut at = places(before.origin.as_ref());
                    at.extend(places(given.origin.as_ref()));
                    mistakes.push(located(mistake, at));
                } else {
                    of_check.options.insert(option, given);
                }
            }
        }
        self.checks = joined.into_values().collect();
    }

    /// Collects invalid names under `inserted`, and names of checks of the builder.
    pub(super) fn check_inserted(&self, checks: &[&str], mistakes: &mut Mistakes) {
        for Section { name, origin, .. } in &self.inserted {
            let message = if name.trim_end_matches('*').contains('*') || name.ends_with("**") {
                "use at most one \"*\", at the end of the name, to match every name that begins with the part before it"
            } else if find(checks, name).is_some() {
                "a check of the builder has this name: set its options under \"checks\""
            } else {
                continue;
            };
            mistakes.push(invalid("inserted", name, origin.as_ref(), message));
        }
    }

    /// Returns the options that are set for a check of the builder, after the names are resolved.
    pub(super) fn of_builder(&self, name: &str) -> BTreeMap<&str, &Given> {
        self.checks.iter().find(|section| section.name == name).map(Section::given).unwrap_or_default()
    }

    /// Returns the options that are set for an inserted check. A more specific name overrides a less specific one.
    pub(super) fn of_inserted(&self, name: &str) -> BTreeMap<&str, &Given> {
        let inserted = self.inserted.iter().filter_map(|section| Some((weight(&section.name, name)?, section)));
        // The settings of a check that was registered with the builder apply only to the exact name of that check.
        let of_builder = self.checks.iter().filter(|section| section.name == name);
        let mut sections: Vec<(usize, &Section)> = inserted.chain(of_builder.map(|it| (usize::MAX, it))).collect();
        // The sort is stable, so among equal weights the later source overrides the earlier one.
        sections.sort_by_key(|(weight, _)| *weight);
        let options = sections.into_iter().flat_map(|(_, section)| &section.options);
        options.map(|(option, given)| (option.as_str(), given)).collect()
    }
}

impl Section {
    fn given(&self) -> BTreeMap<&str, &Given> {
        self.options.iter().map(|(option, given)| (option.as_str(), given)).collect()
    }
}

/// Returns whether these options disable a check.
pub(super) fn is_disabled(options: &BTreeMap<&str, &Given>) -> bool {
    matches!(options.get("enabled").map(|given| given.value.flag()), Some(Ok(false)))
}

/// Returns whether two values come from the same source, so that neither overrides the other.
fn is_beside(before: &Given, given: &Given) -> bool {
    match (&before.origin, &given.origin) {
        (Some(before), Some(given)) => before.is_beside(given),
        (before, given) => before.is_none() && given.is_none(),
    }
}

/// A target for the options of one check.
pub(super) trait Settable {
    /// Sets an option. Returns `false` if there is no such option.
    fn set(&mut self, option: &str, value: &Setting) -> Result<bool, InvalidCheck>;

    /// Returns the names of all options.
    fn names(&self) -> Vec<&'static str>;
}

impl Settable for Registration {
    fn set(&mut self, option: &str, value: &Setting) -> Result<bool, InvalidCheck> {
        Registration::set(self, option, value)
    }

    fn names(&self) -> Vec<&'static str> {
        self.settings()
    }
}

/// Sets the options of one check. Returns whether it is enabled.
pub(super) fn set(
    name: &str,
    options: &BTreeMap<&str, &Given>,
    check: &mut impl Settable,
    mistakes: &mut Mistakes,
) -> bool {
    let mut is_enabled = true;
    // `report_only` is applied first, because it removes the check from every probe, and another option may then add
    // the check to a probe.
    let (first, rest): (Vec<_>, Vec<_>) = options.iter().partition(|(option, _)| **option == "report_only");
    for (option, given) in first.into_iter().chain(rest) {
        let result = match *option {
            "enabled" => given.value.flag().map(|flag| {
                is_enabled = flag;
                true
            }),
            option => check.set(option, &given.value),
        };
        let error = match result {
            Ok(true) => {
                mistakes.origins.note(name, option, given.origin.as_ref());
                continue;
            }
            Ok(false) => {
                let mut known = vec!["enabled"];
                known.extend(check.names());
                unknown(option, &known)
            }
            Err(error) => error,
        };
        mistakes.push(invalid(name, option, given.origin.as_ref(), &error.to_string()));
    }
    is_enabled
}

/// Returns the position of the check that a name in the settings matches; `None` if it matches no check, or several.
fn find(checks: &[&str], name: &str) -> Option<usize> {
    if let Some(position) = checks.iter().position(|check| *check == name) {
        return Some(position);
    }
    let mut found = checks.iter().enumerate().filter(|(_, check)| plain(check).eq(plain(name)));
    match (found.next(), found.next()) {
        (Some((position, _)), None) => Some(position),
        _ => None,
    }
}

/// Returns the weight of a name under `inserted` for a check: a greater weight overrides a smaller one. Returns `None`
/// if the name does not match.
fn weight(section: &str, name: &str) -> Option<usize> {
    match section.strip_suffix('*') {
        Some(prefix) => {
            let mut rest = plain(name);
            plain(prefix).all(|byte| rest.next() == Some(byte)).then_some(prefix.len())
        }
        None => plain(section).eq(plain(name)).then_some(usize::MAX - 1),
    }
}

/// Normalizes a name to what environment variables can distinguish.
fn plain(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| if matches!(byte, b'-' | b'.') { b'_' } else { byte.to_ascii_lowercase() })
}

fn shortened(name: &str) -> String {
    name.chars().take(SHOWN).collect()
}

fn places(origin: Option<&Origin>) -> Vec<String> {
    origin.map(ToString::to_string).into_iter().collect()
}

fn unknown(option: &str, known: &[&str]) -> InvalidCheck {
    let hint = hint(option, known.iter().copied());
    InvalidCheck::new(format!("there is no such option{hint}: use one of {}", known.join(", ")))
}

fn invalid(name: &str, option: &str, origin: Option<&Origin>, message: &str) -> BuildError {
    let mistake =
        BuildError::InvalidSetting { name: name.to_owned(), option: shortened(option), message: message.to_owned() };
    located(mistake, places(origin))
}
