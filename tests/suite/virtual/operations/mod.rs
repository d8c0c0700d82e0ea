//! How a service starts, runs, is attacked and leaves.

mod drain;
mod log;
mod publish;
mod secrets;
