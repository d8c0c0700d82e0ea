//! Wakes, releases, refreshes and the waiting publication under [loom](https://docs.rs/loom): each test runs under every
//! order of events with at most three preemptions. The sources of the signals are the core's own, over loom's primitives; the
//! store and Tokio's `Notify` are modelled.

#![cfg(test)]

mod time {
    pub(crate) type Nanos = u64;
    pub(crate) const NEVER: Nanos = Nanos::MAX;
}

#[allow(dead_code, reason = "the tests use a part of each")]
mod engine {
    #[path = "../../../../health-core/src/engine/signals.rs"]
    pub(crate) mod signals;
    #[path = "../sync.rs"]
    mod sync;
    mod tests;
    #[path = "../../../../health-core/src/engine/store/waiting.rs"]
    mod waiting;
    #[path = "../../../../health-core/src/engine/wake.rs"]
    mod wake;
}
