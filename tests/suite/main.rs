//! Everything that needs several crates, sockets, servers or the paused clock, in one binary. A check's tests are in
//! the file of the check's name.

#![allow(clippy::unwrap_used, reason = "an expectation that fails is a test that fails")]

mod build_errors;
mod conformance;
mod cost;
mod dependencies;
mod drain;
mod examples;
mod fault_table;
mod faults;
mod gauge;
mod heartbeat;
mod hostile;
mod invariants;
mod membership;
mod postgres;
mod redis;
mod redis_queue;
mod scheduler;
mod secrets;
mod stale;
mod support;
