//! Presets: the configuration of a builder that applies to all checks, including checks that are inserted later. Pure
//! functions.

#[cfg(feature = "serde")]
use std::sync::Arc;

#[cfg(feature = "serde")]
use crate::config::{registered::Registered, settings::Settings};
use crate::{
    check::registration::Registration,
    config::{defaults::Defaults, groups::Groups, mistakes::Mistakes},
};

/// The defaults and groups of a builder, and the operator's settings.
#[derive(Debug, Default)]
pub(crate) struct Presets {
    /// The defaults from the code, overridden by the defaults in the settings once the settings are applied.
    pub(crate) defaults: Defaults,
    pub(crate) groups: Groups,
    #[cfg(feature = "serde")]
    pub(crate) settings: Settings,
    #[cfg(feature = "serde")]
    pub(super) builder: Arc<OfBuilder>,
}

/// The parts of the builder that are needed to apply new settings.
#[cfg(feature = "serde")]
#[derive(Debug, Default)]
pub(super) struct OfBuilder {
    /// The defaults from the code.
    defaults: Defaults,
    /// The names of all checks, including the disabled ones.
    names: Vec<String>,
    /// The checks that the settings disabled at the start.
    pub(super) disabled: Vec<(String, Registered)>,
}

impl Presets {
    /// Applies the presets to the checks of the builder. Removes disabled checks, also from the dependencies of other
    /// checks.
    #[cfg_attr(not(feature = "serde"), expect(clippy::ptr_arg, reason = "settings remove disabled checks"))]
    pub(crate) fn apply(&mut self, checks: &mut Vec<(String, Registration)>, mistakes: &mut Mistakes) {
        // The settings come first, because they override the code.
        #[cfg(feature = "serde")]
        {
            checks.iter_mut().for_each(|(_, registration)| registration.keep_code());
            let names = checks.iter().map(|(name, _)| name.clone()).collect();
            let disabled = self.settings.apply(checks, mistakes);
            let disabled = disabled.into_iter().map(|(name, it)| (name, Registered::of(&it, true))).collect();
            self.builder = Arc::new(OfBuilder { defaults: self.defaults, names, disabled });
            self.defaults = self.settings.defaults(self.defaults, mistakes);
        }
        self.fill(checks, mistakes);
    }

    /// Applies the presets to checks that are inserted beside the running ones. Returns for each check whether it is
    /// enabled, and removes disabled checks from the dependencies. May be called again with other presets: the options
    /// that every check has are then first reset to their values in the code.
    #[cfg_attr(not(feature = "serde"), expect(unused_variables, reason = "without settings no check is disabled"))]
    pub(crate) fn apply_to_inserted<N: AsRef<str>>(
        &self,
        checks: &mut [(N, Registration)],
        runs: impl Fn(&str) -> bool,
        mistakes: &mut Mistakes,
    ) -> Vec<bool> {
        #[cfg(feature = "serde")]
        let enabled = {
            checks.iter_mut().for_each(|(_, registration)| registration.keep_code());
            self.settings.apply_to_inserted(checks, runs, mistakes)
        };
        #[cfg(not(feature = "serde"))]
        let enabled = vec![true; checks.len()];
        self.fill(checks, mistakes);
        enabled
    }

    /// Returns the presets of the same builder with new settings. Collects the mistakes that belong to no single check.
    #[cfg(feature = "serde")]
    pub(super) fn with_settings(&self, mut settings: Settings, mistakes: &mut Mistakes) -> Self {
        let names: Vec<&str> = self.builder.names.iter().map(String::as_str).collect();
        settings.resolve(&names, mistakes);
        settings.check_inserted(&names, mistakes);
        let defaults = settings.defaults(self.builder.defaults, mistakes);
        Self { defaults, groups: self.groups.clone(), settings, builder: Arc::clone(&self.builder) }
    }

    /// Sets the defaults of the options that the checks do not set.
    fn fill<N: AsRef<str>>(&self, checks: &mut [(N, Registration)], mistakes: &mut Mistakes) {
        for (name, registration) in checks {
            let filled = self.defaults.fill(&mut registration.options);
            #[cfg(feature = "serde")]
            for option in filled {
                mistakes.origins.note_use_of_default(name.as_ref(), option);
            }
            #[cfg(not(feature = "serde"))]
            let _ = (name, filled, &mistakes);
        }
    }
}
