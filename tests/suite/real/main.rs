//! Tests that need real servers, sockets or time. Each test starts its own servers and asserts the final state, with
//! limits that only a hang reaches. Tests run in parallel: `tests/run real`.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod browser;
mod checks;
mod consumers;
mod contract;
mod faults;
mod operations;
