//! Input: the answer of another service, which is a content type, a line feed and a body.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../promises.rs"]
#[allow(dead_code, reason = "each program tests one of the promises")]
mod promises;

fuzz_target!(|input: &[u8]| promises::upstream_document_input(input));
