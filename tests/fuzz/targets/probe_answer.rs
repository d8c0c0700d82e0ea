//! What answers health-probe: every byte until the connection ends.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../promises.rs"]
#[allow(dead_code, reason = "each program keeps one of the promises")]
mod promises;

fuzz_target!(|input: &[u8]| promises::probe_answer_input(input));
