//! Tests that measure durations: `tests/run measured`. They run alone on the machine, and each compares the duration
//! with a control that is measured at the same moment and is not part of the library.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod browser;
mod checks;
mod consumers;
mod contract;
mod faults;
