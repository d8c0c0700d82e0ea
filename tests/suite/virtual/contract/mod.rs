//! What the library promises to whoever uses it.

mod build_errors;
mod conformance;
mod cost;
mod health_local;
mod hostile;
mod invariants;
mod membership;
mod model;
mod mute;
mod scheduler;
mod settings;
