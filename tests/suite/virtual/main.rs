//! Tests that need no server: they use Tokio's paused clock or a frozen `Health`. All of them run at once, on any
//! machine, in seconds.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod checks;
mod consumers;
mod contract;
mod faults;
mod operations;
