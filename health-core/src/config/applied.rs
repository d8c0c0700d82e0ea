//! What settings have changed in a running service. Pure.

use std::{fmt, sync::Arc};

/// What [`Health::apply`](crate::Health::apply) has changed, and what only a restart changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub(super) changed: Vec<ChangedOption>,
    pub(super) needs_restart: Vec<RestartOption>,
}

impl Applied {
    /// Returns the options that have changed, in the order of the checks. An option whose default follows another one is among
    /// them: with `every` also `recheck` and `stale_after`.
    #[must_use]
    pub fn changed(&self) -> &[ChangedOption] {
        &self.changed
    }

    /// Returns the options that the settings set to another value than the check has, and that stay as they are until a
    /// restart.
    #[must_use]
    pub fn needs_restart(&self) -> &[RestartOption] {
        &self.needs_restart
    }

    pub(super) fn restart(&mut self, check: &str, option: &'static str) {
        self.needs_restart.push(RestartOption { check: Arc::from(check), option });
    }
}

/// An option of a check that [`Health::apply`](crate::Health::apply) has changed. Its text is
/// `database: timeout 2s -> 1s`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedOption {
    /// The check.
    pub check: Arc<str>,
    /// The name of the option's setting.
    pub option: &'static str,
    /// The value before, as text; `none` where there was none.
    pub from: String,
    /// The value now, as text; `none` where there is none.
    pub to: String,
}

impl fmt::Display for ChangedOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {} -> {}", self.check, self.option, self.from, self.to)
    }
}

/// An option of a check that only a restart changes. Its text is `jobs: warn_above`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartOption {
    /// The check.
    pub check: Arc<str>,
    /// The name of the option's setting.
    pub option: &'static str,
}

impl fmt::Display for RestartOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.option)
    }
}
