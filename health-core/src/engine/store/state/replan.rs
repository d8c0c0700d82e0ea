//! Replaces the plans of tracked checks in one change.

use std::sync::Arc;

use crate::{
    config::plan::Plan,
    engine::{
        snapshot::entry::Entry,
        store::{ranks, state::State, tracked_check::TrackedCheck},
    },
    time::Nanos,
};

impl State {
    /// Replaces the plans of the checks at these positions, and notifies their tasks. Requires a settled state. Walks
    /// over all checks, because dependencies, probes and tags may have changed.
    pub(in crate::engine::store) fn replan(&mut self, plans: Vec<(usize, Arc<Plan>)>, now: Nanos) {
        for (position, plan) in plans {
            if let Some(check) = self.checks.get_mut(position) {
                check.replan(plan, now);
            }
        }
        for check in &mut self.checks {
            check.links = None;
            check.rank = 0;
        }
        let contents = &self.contents;
        ranks::link(&mut self.checks, 0, |name| contents.position(name));
        // The views are rebuilt before any check is settled, because an entry can be replaced only within the same
        // views.
        let renewed = |(check, entry): (&TrackedCheck, &Arc<Entry>)| {
            if check.changed { Arc::new(check.entry(self.is_local(check), false)) } else { Arc::clone(entry) }
        };
        let entries: Vec<Arc<Entry>> = self.checks.iter().zip(self.contents.entries()).map(renewed).collect();
        self.contents = self.contents.with_entries(self.service, entries);
        self.rebuild_lists();
        self.checks.iter().filter(|check| check.changed).for_each(|check| check.signals.repace());
    }
}
