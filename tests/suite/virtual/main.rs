//! What needs no server: Tokio's paused clock, or a `Health` that is frozen. All of it runs at once, on any machine, in seconds.

#![allow(clippy::unwrap_used, reason = "an expectation that fails is a test that fails")]

mod checks;
mod consumers;
mod contract;
mod faults;
mod operations;
