//! The engine, which runs checks, judges their results, and publishes one snapshot for all readers.

mod gaps;
pub(crate) mod log;
mod mounting;
mod policy;
mod sanitize;
pub(crate) mod scheduler;
pub(crate) mod signals;
pub(crate) mod snapshot;
pub(crate) mod store;
mod sync;
mod tally;
mod wake;
