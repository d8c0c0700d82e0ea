//! The check of a row while it runs, and what it says.

use std::{sync::Arc, time::Duration};

use health_core::{CheckReport, Health, Registration, Status};

use super::{Row, ServerUnderTest, TIMEOUT};
use crate::{support::millis, wait};

/// A check of a row that is running.
#[derive(Debug)]
pub struct Watched {
    /// The row.
    pub row: Row,
    /// What watches the server, by a check called `subject`.
    pub health: Health,
}

impl Watched {
    /// Starts the check, with the right or with the wrong credentials.
    ///
    /// # Panics
    ///
    /// The check is refused.
    #[must_use]
    pub fn start(row: Row, subject: &ServerUnderTest, right: bool) -> Self {
        Self::check(row, (row.check)(subject, right))
    }

    /// Starts this check of the row.
    ///
    /// # Panics
    ///
    /// The check is refused.
    #[must_use]
    pub fn check(row: Row, check: Registration) -> Self {
        Self::check_within(TIMEOUT, row, check)
    }

    /// Starts this check of the row with a deadline of its own.
    ///
    /// # Panics
    ///
    /// The check is refused.
    #[must_use]
    pub fn check_within(timeout: Duration, row: Row, check: Registration) -> Self {
        let check = check.every(millis(300)).recheck(millis(200)).timeout(timeout).readiness();
        let health = Health::builder().check("subject", check).start().expect("a check that is accepted");
        Self { row, health }
    }

    /// What the check shows now.
    #[must_use]
    pub fn report(&self) -> Arc<CheckReport> {
        Arc::clone(&self.health.report().checks()[0])
    }

    /// How many runs have finished, and how many of them have failed.
    #[must_use]
    pub fn runs(&self) -> (u64, u64) {
        let report = self.report();
        let totals = report.history().totals();
        (totals.durations().count(), totals.runs(Status::Unhealthy))
    }

    /// How many of the finished runs were not healthy.
    #[must_use]
    pub fn not_healthy(&self) -> u64 {
        let report = self.report();
        let totals = report.history().totals();
        totals.durations().count() - totals.runs(Status::Healthy)
    }

    /// Whether the check shows this: a status, a reason, or one of several with a `/` between them.
    fn shows(&self, expected: &str) -> Result<(), String> {
        let report = self.report();
        let shown = report.reason().map_or(report.status().as_str(), |reason| reason.as_str());
        if expected.split('/').any(|expected| shown == expected) && !report.is_pending() {
            return Ok(());
        }
        Err(format!("{shown} {:?}", report.message()))
    }

    /// Waits until the check shows this.
    ///
    /// # Panics
    ///
    /// It does not within [`wait::HANG`].
    pub async fn says(&self, expected: &str, during: &str) {
        let what = format!("{}, {during}: {expected}", self.row.name);
        wait::ok(&what, || self.shows(expected)).await;
    }

    /// Waits until the check shows this after two more runs, so that it is not what it showed before.
    ///
    /// # Panics
    ///
    /// It does not within [`wait::HANG`].
    pub async fn goes_on_saying(&self, expected: &str, during: &str) {
        let before = self.runs().0;
        let what = format!("{}, {during}: two more runs", self.row.name);
        wait::true_of(&what, || self.runs().0 >= before + 2).await;
        self.says(expected, during).await;
    }
}
