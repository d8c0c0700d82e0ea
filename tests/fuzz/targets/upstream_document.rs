//! What another service answers: a content type, a line feed, a body.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../promises.rs"]
#[allow(dead_code, reason = "each program keeps one of the promises")]
mod promises;

fuzz_target!(|input: &[u8]| promises::upstream_document_input(input));
