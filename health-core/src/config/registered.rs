//! What the code said about a check, kept so that other settings can be applied to it later. Pure.

use std::{collections::BTreeMap, sync::Arc};

use crate::check::{options::Options, registration::Registration, setting::Setting};

/// A check as the code registered it, and which settings its own options have now.
#[derive(Debug, PartialEq)]
pub(crate) struct Registered {
    /// The options as the code gave them, before settings and defaults.
    pub(crate) options: Arc<Options>,
    /// The names of the check's own options, which are set inside it.
    pub(crate) own_options: Vec<&'static str>,
    /// The settings that its own options have.
    pub(crate) own_settings: BTreeMap<String, Setting>,
    /// Whether the builder registered it. If not, it was inserted.
    pub(crate) is_of_builder: bool,
}

impl Registered {
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
