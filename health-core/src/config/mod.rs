//! Configuration: turns the options from the code and from the settings into the plan of each check.

pub(crate) mod defaults;
pub(crate) mod error;
pub(crate) mod plan;
#[cfg(feature = "serde")]
pub(crate) mod settings;
