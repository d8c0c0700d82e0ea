//! The time since which a pool has had no free connection for a check.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    check::outcome::Outcome,
    model::status::{Reason, Status},
};

/// The default of `saturated_for`, the time without a free connection after which a pool is Unhealthy.
pub(crate) const SATURATED_FOR: Duration = Duration::from_secs(10);

/// The saturation of a pool: the time of its start, if the pool is saturated.
#[derive(Debug, Default)]
pub(crate) struct Saturation(Mutex<Option<Instant>>);

impl Saturation {
    /// Records that the pool has no free connection. Returns the start of the saturation.
    pub(crate) fn begins(&self) -> Instant {
        *self.since().get_or_insert_with(Instant::now)
    }

    /// Records that the pool has a free connection, or that its server does not answer.
    pub(crate) fn ends(&self) {
        *self.since() = None;
    }

    /// Worsens the outcome of a saturated pool: to Degraded, and to Unhealthy once the saturation has lasted for the
    /// tolerated time. `who` names the pool in the message.
    pub(crate) fn worsen(&self, outcome: Outcome, who: &str, tolerated: Duration) -> Outcome {
        let lasted = self.begins().elapsed();
        let message = format!("{who} has had no free connection for {:.1} s", lasted.as_secs_f64());
        let status = if lasted >= tolerated { Status::Unhealthy } else { Status::Degraded };
        outcome.worsened(status, Reason::Saturated, message)
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_saturated_pool_is_unhealthy_after_the_tolerated_time() {
        let saturation = Saturation::default();
        let status = || saturation.worsen(Outcome::healthy(), "the pool", SATURATED_FOR).status;
        assert_eq!(status(), Status::Degraded);
        tokio::time::advance(SATURATED_FOR - Duration::from_secs(1)).await;
        assert_eq!(status(), Status::Degraded);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(status(), Status::Unhealthy);
        saturation.ends();
        assert_eq!(status(), Status::Degraded);
    }
}
