//! How a service starts, runs, is attacked and leaves.

mod drain;
mod log;
mod mounting;
mod outside_a_runtime;
mod publish;
mod redaction;
mod secrets;
