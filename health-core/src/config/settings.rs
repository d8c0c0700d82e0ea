//! Settings: options of checks that an operator sets without a rebuild. Pure.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use crate::{
    check::{
        options::{Options, SettingValue},
        registration::Registration,
    },
    config::{
        defaults::Defaults,
        error::{BuildError, Mistakes},
    },
    model::status::Impact,
};

/// Options of checks by name, read from any format that serde supports, for
/// [`Builder::settings`](crate::Builder::settings). Needs the feature `serde`.
///
/// `checks.<name>` takes `enabled` and every option of a registration under its own name: `every`, `recheck`,
/// `max_age`, `timeout`, `stale_after`, `slow_above` (`"500ms"`, `"1m 30s"`), `failures`, `successes` (whole numbers
/// from 1), `once`, `local`, `liveness`, `readiness`, `startup`, `liveness_despite_dependency`,
/// `startup_despite_dependency`, `report_only`, `no_metrics` (`true` or `false`), `impact` (`"critical"`, `"optional"`),
/// `depends_on` and `tags` (a list, or words separated by commas). These settings override the code. `defaults` takes
/// `every`, `timeout`, `failures` and `impact`, which override the builder's defaults. Numbers and booleans may be
/// text, as in environment variables.
///
/// `checks` applies only to checks of the builder, not to checks inserted later. It takes only the options that all
/// checks have, not those of one kind of check, such as its limits.
///
/// A name is first matched exactly. If no check has that name, it is matched without regard to case and with `-` and
/// `.` read as `_`, because names of environment variables cannot distinguish more.
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
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    defaults: Map<String, Value>,
    #[serde(default)]
    checks: BTreeMap<String, Map<String, Value>>,
}

impl Settings {
    /// Returns the defaults of the code, overridden by those of the settings.
    pub(crate) fn defaults(&self, code: Defaults, mistakes: &mut Mistakes) -> Defaults {
        let mut defaults = code;
        for (option, value) in &self.defaults {
            let given = Given { check: "defaults", option, value };
            match option.as_str() {
                "every" => defaults.every = mistakes.collect(given.duration()),
                "timeout" => defaults.timeout = mistakes.collect(given.duration()),
                "failures" => defaults.failures = mistakes.collect(given.count()),
                "impact" => defaults.impact = mistakes.collect(given.impact()),
                _ => mistakes.push(given.unknown("every, timeout, failures, impact")),
            }
        }
        defaults
    }

    /// Applies the settings to the registrations. Removes disabled checks, also from the dependencies of others.
    pub(crate) fn apply(&self, checks: &mut Vec<(String, Registration)>, mistakes: &mut Mistakes) {
        let mut disabled = Vec::new();
        for (name, options) in &self.checks {
            let Some(position) = mistakes.collect(find(checks, name)) else { continue };
            let (check, registration) = &mut checks[position];
            // `report_only` comes first: it takes the check out of every probe, and other options can add it to one.
            let (first, rest): (Vec<_>, Vec<_>) = options.iter().partition(|(option, _)| *option == "report_only");
            for (option, value) in first.into_iter().chain(rest) {
                let given = Given { check, option, value };
                if option == "enabled" {
                    if mistakes.collect(given.flag()) == Some(false) {
                        disabled.push(check.clone());
                    }
                } else if mistakes.collect(registration.options.set(option, &given)) == Some(false) {
                    mistakes.push(given.unknown(&format!("enabled, {}", Options::SETTINGS.join(", "))));
                }
            }
        }
        checks.retain(|(name, _)| !disabled.contains(name));
        for (_, registration) in checks {
            registration.options.depends_on.retain(|upstream| !disabled.contains(upstream));
        }
    }
}

/// Returns the position of the check that a name in the settings matches.
fn find(checks: &[(String, Registration)], name: &str) -> Result<usize, BuildError> {
    if let Some(position) = checks.iter().position(|(check, _)| check == name) {
        return Ok(position);
    }
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '.'], "_");
    let alike = |(_, (check, _)): &(usize, &(String, Registration))| plain(check) == plain(name);
    let mut found = checks.iter().enumerate().filter(alike);
    match (found.next(), found.next()) {
        (Some((position, _)), None) => Ok(position),
        _ => Err(BuildError::UnknownSetting {
            name: name.chars().take(64).collect(),
            checks: checks.iter().map(|(check, _)| check.clone()).collect(),
        }),
    }
}

/// One value of the settings.
struct Given<'s> {
    check: &'s str,
    option: &'s str,
    value: &'s Value,
}

impl SettingValue for Given<'_> {
    type Error = BuildError;

    fn duration(&self) -> Result<Duration, BuildError> {
        let parsed = self.value.as_str().and_then(|text| humantime::parse_duration(text).ok());
        parsed.ok_or_else(|| self.refused("use a duration with its unit, such as \"500ms\", \"2s\" or \"1m 30s\""))
    }

    fn count(&self) -> Result<u32, BuildError> {
        let number = match self.value {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        number.ok_or_else(|| self.refused("use a whole number from 1"))
    }

    fn flag(&self) -> Result<bool, BuildError> {
        match self.value {
            Value::Bool(flag) => Ok(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.refused("use true or false")),
        }
    }

    fn impact(&self) -> Result<Impact, BuildError> {
        let word = self.value.as_str().unwrap_or_default();
        let impact = Impact::ALL.iter().find(|impact| impact.as_str().eq_ignore_ascii_case(word));
        impact.copied().ok_or_else(|| self.refused("use \"critical\" or \"optional\""))
    }

    fn words(&self) -> Result<Vec<String>, BuildError> {
        let words: Option<Vec<String>> = match self.value {
            Value::String(text) => {
                Some(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
            }
            Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        words.ok_or_else(|| self.refused("use a list of names, or names between commas"))
    }

    fn refused(&self, expected: &str) -> BuildError {
        let value: String = self.value.to_string().chars().take(64).collect();
        self.error(format!("{value} is not usable: {expected}"))
    }
}

impl Given<'_> {
    fn unknown(&self, known: &str) -> BuildError {
        self.error(format!("there is no such option: use one of {known}"))
    }

    fn error(&self, message: String) -> BuildError {
        let option = self.option.chars().take(64).collect();
        BuildError::InvalidSetting { name: self.check.to_owned(), option, message }
    }
}
