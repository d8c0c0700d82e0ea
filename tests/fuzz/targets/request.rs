//! Input: a byte that chooses the visibility, and a request: method, path, query, Accept and Authorization, one line
//! each.
#![no_main]

use std::sync::LazyLock;

use health_core::{Endpoint, Visibility};
use libfuzzer_sys::fuzz_target;

#[path = "../promises.rs"]
#[allow(dead_code, reason = "each program tests one of the promises")]
mod promises;

static ENDPOINTS: LazyLock<[(Visibility, Endpoint); 3]> = LazyLock::new(promises::endpoints);

fuzz_target!(|input: &[u8]| promises::request_input(&ENDPOINTS, input));
