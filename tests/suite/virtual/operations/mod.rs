//! How a service starts, runs, is attacked and leaves.

mod drain;
mod log;
mod mounting;
mod publish;
mod redaction;
mod secrets;
