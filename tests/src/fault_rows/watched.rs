//! The running check of a row, and its verdict.

use std::{sync::Arc, time::Duration};

use health_core::{CheckReport, Health, Registration, Status};

use super::{Row, ServerUnderTest, TIMEOUT};
use crate::{support::millis, wait};

/// A running check of a row.
#[derive(Debug)]
pub struct Watched {
    /// The row.
    pub row: Row,
    /// The handle whose only check, `subject`, watches the server.
    pub health: Health,
}

impl Watched {
    /// Starts the check, with the right or with the wrong credentials.
    ///
    /// # Panics
    ///
    /// Panics if the check is refused.
    #[must_use]
    pub fn start(row: Row, subject: &ServerUnderTest, right: bool) -> Self {
        Self::check(row, (row.check)(subject, right))
    }

    /// Starts the given check of the row.
    ///
    /// # Panics
    ///
    /// Panics if the check is refused.
    #[must_use]
    pub fn check(row: Row, check: Registration) -> Self {
        Self::check_within(TIMEOUT, row, check)
    }

    /// Starts the given check of the row with a deadline of its own.
    ///
    /// # Panics
    ///
    /// Panics if the check is refused.
    #[must_use]
    pub fn check_within(timeout: Duration, row: Row, check: Registration) -> Self {
        let check = check.every(millis(300)).recheck(millis(200)).timeout(timeout).readiness();
        let health = Health::builder().check("subject", check).start().expect("a check that is accepted");
        Self { row, health }
    }

    /// Returns the current report of the check.
    #[must_use]
    pub fn report(&self) -> Arc<CheckReport> {
        Arc::clone(&self.health.report().checks()[0])
    }

    /// Returns the number of finished runs, and how many of them failed.
    #[must_use]
    pub fn runs(&self) -> (u64, u64) {
        let report = self.report();
        let totals = report.history().totals();
        (totals.durations().count(), totals.runs(Status::Unhealthy))
    }

    /// Returns the number of finished runs that were not healthy.
    #[must_use]
    pub fn not_healthy(&self) -> u64 {
        let report = self.report();
        let totals = report.history().totals();
        totals.durations().count() - totals.runs(Status::Healthy)
    }

    /// Compares the check's status or reason with an expected one, or with several that are separated by `/`. Returns
    /// the actual one with its message if they differ or the check is pending.
    fn shows(&self, expected: &str) -> Result<(), String> {
        let report = self.report();
        let shown = report.reason().map_or(report.status().as_str(), |reason| reason.as_str());
        if expected.split('/').any(|expected| shown == expected) && !report.is_pending() {
            return Ok(());
        }
        Err(format!("{shown} {:?}", report.message()))
    }

    /// Waits until the check shows this status or reason.
    ///
    /// # Panics
    ///
    /// Panics if the check shows another status or reason after [`wait::HANG`].
    pub async fn says(&self, expected: &str, during: &str) {
        let what = format!("{}, {during}: {expected}", self.row.name);
        wait::ok(&what, || self.shows(expected)).await;
    }

    /// Waits for two more runs and then until the check shows this status or reason, so that the verdict is a new one.
    ///
    /// # Panics
    ///
    /// Panics if the check shows another status or reason after [`wait::HANG`].
    pub async fn goes_on_saying(&self, expected: &str, during: &str) {
        let before = self.runs().0;
        let what = format!("{}, {during}: two more runs", self.row.name);
        wait::true_of(&what, || self.runs().0 >= before + 2).await;
        self.says(expected, during).await;
    }
}
