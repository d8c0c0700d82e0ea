//! Input: an answer to health-probe, which is every byte until the end of the connection.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../promises.rs"]
#[allow(dead_code, reason = "each program tests one of the promises")]
mod promises;

fuzz_target!(|input: &[u8]| promises::probe_answer_input(input));
