//! The polling loop of publishers that export the current state of a source.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::health::publisher::Source;

/// Calls `export` at once, at every change, after every `every`, and a last time when the checks have stopped.
pub(super) async fn poll(mut source: Source, every: Duration, mut export: impl FnMut(&Source)) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_over = tokio::select! {
            _ = ticks.tick() => false,
            change = source.next() => change.is_none(),
        };
        export(&source);
        if is_over {
            return;
        }
    }
}
