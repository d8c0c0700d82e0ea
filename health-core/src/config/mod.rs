//! What the owner and the operator say about checks, turned into what holds for each.

pub(crate) mod defaults;
pub(crate) mod error;
pub(crate) mod plan;
#[cfg(feature = "serde")]
pub(crate) mod settings;
