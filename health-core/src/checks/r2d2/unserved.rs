//! Records the time since which a pool has served no connection, and the text of its last error.

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

/// The record of a pool that serves no connection.
#[derive(Debug, Default)]
pub(super) struct Unserved(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The start of the current saturation.
    since: Option<Instant>,
    has_served: bool,
    /// The text of the last failed attempt to connect. The pool reports it once, to the first caller, and connects
    /// again after pauses.
    text: Option<String>,
}

impl Unserved {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the pool gave a connection.
    pub(super) fn serves(&self) {
        *self.state() = State { has_served: true, ..State::default() };
    }

    pub(super) fn has_served(&self) -> bool {
        self.state().has_served
    }

    /// Records that the server does not answer. This ends a saturation, so the time of the next one starts anew.
    pub(super) fn fails(&self) {
        self.state().since = None;
    }

    /// Returns the text of the last failed attempt to connect, from this run or an earlier one, and its reason. Without
    /// a text the reason is `None`.
    pub(super) fn reason_of(&self, text: Option<String>) -> (Option<Reason>, String) {
        let mut state = self.state();
        let text = text.or_else(|| state.text.take());
        let reason = text.as_deref().map(|text| text_reason(text).unwrap_or(Reason::Failed));
        if reason != Some(Reason::Saturated) {
            state.since = None;
        }
        state.text.clone_from(&text);
        (reason, text.unwrap_or_else(|| "the pool gave no connection in time and reported no error".to_owned()))
    }

    /// Returns the outcome of a pool that serves no connection: Degraded, and Unhealthy once this state has lasted for
    /// the tolerated time.
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
    async fn a_pool_that_serves_no_connection_is_unhealthy_after_the_tolerated_time() {
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
    fn the_error_of_a_pool_is_kept_until_the_pool_serves() {
        let unserved = Unserved::default();
        assert_eq!(unserved.reason_of(None).0, None);
        let refused = || Some("Connection refused (os error 111)".to_owned());
        assert_eq!(unserved.reason_of(refused()).0, Some(Reason::Unreachable));
        assert_eq!(unserved.reason_of(None).0, Some(Reason::Unreachable));
        assert_eq!(unserved.reason_of(Some("an unknown text".to_owned())).0, Some(Reason::Failed));
        unserved.serves();
        assert_eq!(unserved.reason_of(None).0, None);
    }
}
