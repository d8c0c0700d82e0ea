//! How a service starts, runs, is attacked and leaves.

mod abuse;
mod connections;
mod dedicated_server;
mod examples;
mod health_hyper;
mod publish;
pub(crate) mod rolling_restart;
mod secrets;
mod shutdown;
mod soak;
mod stories;
