//! New settings without a restart.

use crate::{
    config::{applied::Applied, error::BuildError, settings::Settings},
    health::Health,
};

impl Health {
    /// Replaces the operator's settings of the running service, all or nothing. The new settings apply to the running
    /// checks, including inserted ones, and to checks that are inserted later. The change is published in one snapshot
    /// before the call returns.
    ///
    /// Each check gets the options that [`Builder::start`](crate::Builder::start) would have computed: an option that
    /// is no longer in the settings has the value from the code again. History, streaks and mutes are kept. A run in
    /// progress keeps its deadline. A shorter interval takes effect at once, a longer one with the next run. New
    /// thresholds take effect with the next result. A shorter `stale_after` counts from the call on, so that no fresh
    /// result expires.
    ///
    /// Options that a running check cannot change keep their values and are listed in [`Applied::needs_restart`]:
    /// `enabled`, `once`, and the options inside a check, such as its limits. The values of the options inside a check
    /// are not validated before the restart.
    ///
    /// ```
    /// use health_core::{Health, Settings, check_fn, serde_json::from_str};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let health = Health::builder().check("license", check_fn(|| async { Ok(()) })).start()?;
    /// let settings: Settings = from_str(r#"{"checks": {"license": {"timeout": "1s", "stale_after": "1m"}}}"#)?;
    /// let applied = health.apply(settings)?;
    /// let changed: Vec<String> = applied.changed().iter().map(ToString::to_string).collect();
    /// assert_eq!(changed, ["license: timeout 2s -> 1s", "license: stale_after 17s -> 60s"]);
    /// assert!(applied.needs_restart().is_empty());
    ///
    /// let mistyped: Settings = from_str(r#"{"checks": {"license": {"timeout": "3s", "failures": 0}}}"#)?;
    /// assert!(health.apply(mistyped).is_err());
    /// assert_eq!(health.report().checks()[0].timeout().as_secs(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns every mistake that [`Builder::start`](crate::Builder::start) would find in these settings, with the same
    /// places, and [`BuildError::Stopped`] after [`stop`](Self::stop). In both cases nothing changes.
    pub fn apply(&self, settings: Settings) -> Result<Applied, BuildError> {
        self.store().apply(settings)
    }
}
