//! What needs real servers, sockets or time: each test starts its own, and asserts what comes out in the end, with limits that
//! only a hang reaches. Several run beside each other: `tests/run real`.

#![allow(clippy::unwrap_used, reason = "an expectation that fails is a test that fails")]

mod browser;
mod checks;
mod consumers;
mod contract;
mod faults;
mod operations;
