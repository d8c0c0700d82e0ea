//! How a service starts, runs, is attacked and leaves.

mod abuse;
mod apart;
mod connections;
mod examples;
mod publish;
pub(crate) mod rolling_restart;
mod secrets;
mod shutdown;
mod soak;
