//! How a service starts, runs, withstands abuse and shuts down.

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
