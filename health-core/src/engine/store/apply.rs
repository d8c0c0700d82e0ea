//! Applies new settings to the running checks.

use std::sync::Arc;

use crate::{
    config::{
        applied::Applied,
        error::BuildError,
        replan::{Replanned, Running, replan},
        settings::Settings,
    },
    engine::store::Store,
    model::status::Lifecycle,
};

impl Store {
    /// Replaces the settings of running checks and of checks that are inserted later, with one publication. Changes
    /// nothing if it returns an error.
    pub(crate) fn apply(&self, settings: Settings) -> Result<Applied, BuildError> {
        // Held until the publication, so that no check is inserted or removed meanwhile.
        let mut state = self.lock();
        if state.lifecycle() == Lifecycle::Stopped {
            return Err(BuildError::Stopped);
        }
        let running: Vec<Running<'_>> = state
            .checks()
            .iter()
            .map(|check| Running { name: &check.name, registered: &check.registered, plan: &check.plan })
            .collect();
        let Replanned { presets, plans, applied } = replan(&self.presets.load(), settings, &running)?;
        self.presets.store(Arc::new(presets));
        if !plans.is_empty() {
            state.replan(plans, self.clock.now());
            self.publish_members(state);
        }
        Ok(applied)
    }
}
