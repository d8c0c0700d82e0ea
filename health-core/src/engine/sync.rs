//! The primitives under the signals and the waiting publication. A model checker puts its own in their place.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

pub(super) use tokio::sync::Notify;
