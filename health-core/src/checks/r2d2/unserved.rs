//! Records the time since which a pool has served no connection, and the text of its last error.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    check::outcome::Outcome,
    checks::{driver_error::text_reason, saturation::Saturation},
    model::status::Reason,
};

/// The record of a pool that serves no connection.
#[derive(Debug, Default)]
pub(super) struct Unserved {
    saturation: Saturation,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    has_served: bool,
    /// The text of the last failed attempt to connect. The pool reports it once, to the first caller, and connects
    /// again after pauses.
    text: Option<String>,
}

impl Unserved {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the pool gave a connection.
    pub(super) fn serves(&self) {
        self.saturation.ends();
        *self.state() = State { has_served: true, ..State::default() };
    }

    pub(super) fn has_served(&self) -> bool {
        self.state().has_served
    }

    /// Records that the server does not answer. This ends a saturation, so the time of the next one starts anew.
    pub(super) fn fails(&self) {
        self.saturation.ends();
    }

    /// Returns the text of the last failed attempt to connect, from this run or an earlier one, and its reason. Without
    /// a text the reason is `None`.
    pub(super) fn reason_of(&self, text: Option<String>) -> (Option<Reason>, String) {
        let mut state = self.state();
        let text = text.or_else(|| state.text.take());
        let reason = text.as_deref().map(|text| text_reason(text).unwrap_or(Reason::Failed));
        if reason != Some(Reason::Saturated) {
            self.saturation.ends();
        }
        state.text.clone_from(&text);
        (reason, text.unwrap_or_else(|| "the pool gave no connection in time and reported no error".to_owned()))
    }

    /// Returns the outcome of a pool that serves no connection.
    pub(super) fn saturated(&self, who: &str, tolerated: Duration) -> Outcome {
        self.saturation.worsen(Outcome::healthy(), who, tolerated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::status::Status;

    #[tokio::test(start_paused = true)]
    async fn a_pool_that_serves_again_has_its_whole_tolerated_time() {
        let unserved = Unserved::default();
        let status = || unserved.saturated("the pool", Duration::from_secs(10)).status;
        assert_eq!(status(), Status::Degraded);
        tokio::time::advance(Duration::from_secs(10)).await;
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
