//! Presets: what a builder says about all checks, those that are inserted later included. Pure.

#[cfg(feature = "serde")]
use crate::config::settings::Settings;
use crate::{
    check::registration::Registration,
    config::{defaults::Defaults, mistakes::Mistakes},
};

/// The defaults of a builder, and the settings of an operator.
#[derive(Debug, Default)]
pub(crate) struct Presets {
    pub(crate) defaults: Defaults,
    #[cfg(feature = "serde")]
    pub(crate) settings: Settings,
}

impl Presets {
    /// Applies the presets to the checks of the builder. Removes disabled checks, also from the dependencies of others.
    pub(crate) fn apply(&mut self, checks: &mut Vec<(String, Registration)>, mistakes: &mut Mistakes) {
        // The settings come first, because they override the code.
        #[cfg(feature = "serde")]
        {
            self.settings.apply(checks, mistakes);
            self.defaults = self.settings.defaults(self.defaults, mistakes);
        }
        self.fill(checks, mistakes);
    }

    /// Applies the presets to checks that are inserted. Removes disabled checks, also from the dependencies of others.
    pub(crate) fn apply_to_inserted<N: AsRef<str>>(
        &self,
        checks: &mut Vec<(N, Registration)>,
        mistakes: &mut Mistakes,
    ) {
        #[cfg(feature = "serde")]
        self.settings.apply_to_inserted(checks, mistakes);
        self.fill(checks, mistakes);
    }

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
