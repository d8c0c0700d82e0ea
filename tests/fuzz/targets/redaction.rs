//! Input: the text before a secret in a message or a log line.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../promises.rs"]
#[allow(dead_code, reason = "each program tests one of the promises")]
mod promises;

fuzz_target!(|input: &[u8]| promises::redaction_input(input));
