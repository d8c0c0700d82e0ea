//! Configuration: computes the plan of each check from the options in the code, the defaults and the settings.

#[cfg(feature = "serde")]
pub(crate) mod applied;
pub(crate) mod defaults;
pub(crate) mod error;
pub(crate) mod groups;
pub(crate) mod mistakes;
pub(crate) mod nearest;
#[cfg(feature = "serde")]
pub(crate) mod origin;
#[cfg(feature = "settings_file")]
pub(crate) mod parse;
pub(crate) mod plan;
pub(crate) mod presets;
#[cfg(feature = "serde")]
pub(crate) mod registered;
#[cfg(feature = "serde")]
pub(crate) mod replan;
#[cfg(feature = "serde")]
pub(crate) mod settings;
