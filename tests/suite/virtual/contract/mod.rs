//! Tests of the promises that the library makes to applications and callers.

mod apply;
mod auto_traits;
mod build_errors;
mod conformance;
mod cost;
mod dependencies;
mod doors;
mod errors;
mod groups;
mod guide;
mod health_local;
mod hostile;
mod many_checks;
mod membership;
mod model;
mod mount_orders;
mod mute;
mod names;
mod publication;
mod scheduler;
mod schema;
mod settings;
mod settings_file;
mod status_page;
mod utoipa;
mod width;
