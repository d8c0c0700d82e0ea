//! The options of a check as set in the code, kept so that new settings can be applied later. Pure functions.

use std::{collections::BTreeMap, sync::Arc};

use crate::check::{options::Options, registration::Registration, setting::Setting};

/// A check as the code registered it, and the settings that have been applied to its own options.
#[derive(Debug, PartialEq)]
pub(crate) struct Registered {
    /// The options as set in the code, before settings and defaults.
    pub(crate) options: Arc<Options>,
    /// The names of the options inside the check.
    pub(crate) own_options: Vec<&'static str>,
    /// The settings that have been applied to the options inside the check.
    pub(crate) own_settings: BTreeMap<String, Setting>,
    /// Whether the check was registered with the builder; otherwise it was inserted.
    pub(crate) is_of_builder: bool,
}

impl Registered {
    /// Creates the record of a registration.
    pub(crate) fn of(registration: &Registration, is_of_builder: bool) -> Self {
        let options = || Arc::new(registration.options.clone());
        Self {
            options: registration.code.clone().unwrap_or_else(options),
            own_options: registration.check.settings(),
            own_settings: registration.own_settings.clone(),
            is_of_builder,
        }
    }
}
