//! What the example services share: settings from the environment, and a little work to watch.
//!
//! The programs that use it are packages of their own, `axum`, `actix`, `warp` and `worker` beside this one, so that each builds
//! only its framework: they mount and serve. The worker has work of its own. The other programs beside it are whole in one file.

/// The README's programs, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

mod logs;
mod reload;
mod run;
mod service;
mod settings;
mod work;

pub use crate::{
    reload::reload_on_hangup,
    run::run,
    service::{Service, start},
    settings::{Settings, SettingsError},
    work::Queue,
};
