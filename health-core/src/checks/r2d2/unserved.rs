//! Since when a pool has served nobody, and what it said last.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    check::outcome::Outcome,
    checks::driver_error::text_reason,
    model::status::{Reason, Status},
};

/// What is known of a pool that serves nobody.
#[derive(Debug, Default)]
pub(super) struct Unserved(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when the pool has had no connection for a run that asked.
    since: Option<Instant>,
    has_served: bool,
    /// What an attempt to connect said. The pool tells it once, to whoever asks first, and tries again after pauses.
    text: Option<String>,
}

impl Unserved {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that the pool gave a connection.
    pub(super) fn serves(&self) {
        *self.state() = State { has_served: true, ..State::default() };
    }

    pub(super) fn has_served(&self) -> bool {
        self.state().has_served
    }

    /// Remembers that the server does not answer, which is another matter than saturation.
    pub(super) fn fails(&self) {
        self.state().since = None;
    }

    /// Returns what the pool said of its last failed attempt to connect, now or before, and what that means.
    pub(super) fn reason_of(&self, text: Option<String>) -> (Option<Reason>, String) {
        let mut state = self.state();
        let text = text.or_else(|| state.text.take());
        let reason = text.as_deref().map(|text| text_reason(text).unwrap_or(Reason::Failed));
        if reason != Some(Reason::Saturated) {
            state.since = None;
        }
        state.text.clone_from(&text);
        (reason, text.unwrap_or_else(|| "the pool gave no connection in time, and no reason".to_owned()))
    }

    /// The outcome of a pool that serves nobody: Degraded, and Unhealthy once that has lasted for the tolerated time.
    pub(super) fn saturated(&self, who: &str, tolerated: Duration) -> Outcome {
        let lasted = self.state().since.get_or_insert_with(Instant::now).elapsed();
        let message = format!("{who} has had no free connection for {:.1} s", lasted.as_secs_f64());
        let status = if lasted >= tolerated { Status::Unhealthy } else { Status::Degraded };
        Outcome::healthy().worsened(status, Reason::Saturated, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pool_that_serves_nobody_is_an_outage_after_a_time() {
        let unserved = Unserved::default();
        let status = || unserved.saturated("the pool", Duration::from_secs(10)).status;
        assert_eq!(status(), Status::Degraded);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(status(), Status::Degraded);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(status(), Status::Unhealthy);
        unserved.serves();
        assert_eq!(status(), Status::Degraded);
    }

    #[test]
    fn what_the_pool_has_said_once_holds_until_it_serves() {
        let unserved = Unserved::default();
        assert_eq!(unserved.reason_of(None).0, None);
        let refused = || Some("Connection refused (os error 111)".to_owned());
        assert_eq!(unserved.reason_of(refused()).0, Some(Reason::Unreachable));
        assert_eq!(unserved.reason_of(None).0, Some(Reason::Unreachable));
        assert_eq!(unserved.reason_of(Some("nobody knows".to_owned())).0, Some(Reason::Failed));
        unserved.serves();
        assert_eq!(unserved.reason_of(None).0, None);
    }
}
