//! Wakes, releases, refreshes and the delayed publication under [loom](https://docs.rs/loom). Each test runs under
//! every order of events with at most three preemptions. The sources of the signals are those of the core, over loom's
//! primitives. The store and Tokio's `Notify` are models.

#![cfg(test)]

mod time {
    pub(crate) type Nanos = u64;
    pub(crate) const NEVER: Nanos = Nanos::MAX;
}

#[allow(dead_code, reason = "the tests use only a part of each module")]
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
