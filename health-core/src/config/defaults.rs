//! Defaults of a builder: what holds for every check that sets nothing else. Pure.

use std::time::Duration;

use crate::{check::options::Options, model::status::Impact};

/// What holds for every check that says nothing else, for [`Builder::defaults`](crate::Builder::defaults).
///
/// ```
/// use std::time::Duration;
/// use health_core::{Defaults, Health};
///
/// let builder = Health::builder().defaults(Defaults::new().every(Duration::from_secs(10)).failures(2));
/// # let _ = builder;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "defaults do nothing until they are given to a builder"]
pub struct Defaults {
    pub(super) every: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) failures: Option<u32>,
    pub(super) impact: Option<Impact>,
}

impl Defaults {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time between runs while healthy, as [`every`](crate::Registration::every).
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = Some(interval);
        self
    }

    /// The deadline of one run, as [`timeout`](crate::Registration::timeout).
    pub fn timeout(mut self, deadline: Duration) -> Self {
        self.timeout = Some(deadline);
        self
    }

    /// The failed runs in a row that turn a check bad, as [`failures`](crate::Registration::failures).
    pub fn failures(mut self, in_a_row: u32) -> Self {
        self.failures = Some(in_a_row);
        self
    }

    /// How far failures reach, also where a kind of check has an impact of its own.
    pub fn impact(mut self, impact: Impact) -> Self {
        self.impact = Some(impact);
        self
    }

    /// Fills in what a registration left open.
    pub(crate) fn fill(&self, options: &mut Options) {
        options.every = options.every.or(self.every);
        options.timeout = options.timeout.or(self.timeout);
        options.failures = options.failures.or(self.failures);
        options.impact = options.impact.or(self.impact);
    }
}
