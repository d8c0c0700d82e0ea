//! Other settings without a restart.

use crate::{
    config::{applied::Applied, error::BuildError, settings::Settings},
    health::Health,
};

impl Health {
    /// Replaces the operator's settings of the running service, all or nothing: those of the checks that run now, the
    /// inserted ones included, and those that are kept for checks that are inserted later. The change is published at
    /// once and whole before the call returns. Needs the feature `serde`.
    ///
    /// The plan of each check becomes the one that [`Builder::start`](crate::Builder::start) would have made: an option
    /// that the settings mention no more has the code's value again. History, streaks and mutes stay. A run under way
    /// keeps its deadline. A shorter interval holds at once, a longer one from the next run on. New thresholds judge
    /// from the next result on. A shorter `stale_after` counts from the call on, so that it expires no result that was
    /// fresh.
    ///
    /// What a running check cannot change stays as it is and is listed in [`Applied::needs_restart`]: `enabled`,
    /// `once`, and the options inside a check, such as limits, whose values are read at the restart.
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
    /// Every mistake that [`Builder::start`](crate::Builder::start) would find in these settings, with the same places,
    /// and [`BuildError::Stopped`] after [`stop`](Self::stop). Nothing has changed then.
    pub fn apply(&self, settings: Settings) -> Result<Applied, BuildError> {
        self.store().apply(settings)
    }
}
