//! What measures how long something takes, alone on the machine, against a control that is measured at the same moment and is
//! not ours: `tests/run measured`.

#![allow(clippy::unwrap_used, reason = "an expectation that fails is a test that fails")]

mod browser;
mod checks;
mod consumers;
mod contract;
mod faults;
