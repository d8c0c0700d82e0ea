//! The result of applying settings to a running service. Pure functions.

use std::{fmt, sync::Arc};

/// The result of [`Health::apply`](crate::Health::apply): the options that have changed, and the options that need a
/// restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub(super) changed: Vec<ChangedOption>,
    pub(super) needs_restart: Vec<RestartOption>,
}

impl Applied {
    /// Returns the options that have changed, in the order of the checks. They include options whose default depends on
    /// a changed option: `recheck` and `stale_after` change with `every`.
    #[must_use]
    pub fn changed(&self) -> &[ChangedOption] {
        &self.changed
    }

    /// Returns the options whose value in the settings differs from that of the running check, and that keep their
    /// value until a restart.
    #[must_use]
    pub fn needs_restart(&self) -> &[RestartOption] {
        &self.needs_restart
    }

    pub(super) fn restart(&mut self, check: &str, option: &'static str) {
        self.needs_restart.push(RestartOption { check: Arc::from(check), option });
    }
}

/// An option of a check that [`Health::apply`](crate::Health::apply) has changed. Displayed as
/// `database: timeout 2s -> 1s`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedOption {
    /// The name of the check.
    pub check: Arc<str>,
    /// The name of the option in the settings.
    pub option: &'static str,
    /// The previous value as text; `none` if the option was not set.
    pub from: String,
    /// The new value as text; `none` if the option is not set.
    pub to: String,
}

impl fmt::Display for ChangedOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {} -> {}", self.check, self.option, self.from, self.to)
    }
}

/// An option of a check that only a restart can change. Displayed as `jobs: warn_above`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartOption {
    /// The name of the check.
    pub check: Arc<str>,
    /// The name of the option in the settings.
    pub option: &'static str,
}

impl fmt::Display for RestartOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.option)
    }
}
