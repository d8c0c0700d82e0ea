//! The synchronization primitives of the signals and the wake requests. The tests in `tests/loom` replace this module
//! with the primitives of the model checker loom.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

pub(super) use tokio::sync::Notify;
