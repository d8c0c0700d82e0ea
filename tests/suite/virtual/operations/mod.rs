//! Tests of the operation of a service: mounting, logs, secrets, publishers, drain and stop.

mod drain;
mod log;
mod mounting;
mod outside_a_runtime;
mod publish;
mod redaction;
mod secrets;
