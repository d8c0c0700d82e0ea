//! The engine: runs checks, judges their results, and publishes one snapshot for all readers.

pub(crate) mod entry;
pub(crate) mod log;
mod mounting;
mod policy;
pub(crate) mod prepared_bodies;
mod sanitize;
pub(crate) mod scheduler;
pub(crate) mod signals;
pub(crate) mod snapshot;
mod state;
pub(crate) mod store;
pub(crate) mod tracked_check;
pub(crate) mod view;
