//! The shared code of the example services: settings from the environment, and an in-process queue with a worker to
//! check.
//!
//! The programs `axum`, `actix`, `warp` and `worker` are separate packages in the neighbouring directories, so that
//! each builds only its framework. They mount the endpoint and serve it. The program `worker` has its own work. The
//! other programs in the neighbouring directories do not use this package and consist of one file each.

/// The programs in the README, which are compiled as documentation tests.
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
