//! The defaults of a builder for options that a check does not set. Pure functions.

use std::time::Duration;

use crate::{check::options::Options, model::status::Impact};

/// The defaults for options that a check does not set, for [`Builder::defaults`](crate::Builder::defaults).
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
    /// Creates defaults that set no option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time between runs while a check is Healthy, as [`every`](crate::Registration::every) does. Default 5 s.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = Some(interval);
        self
    }

    /// Sets the deadline of one run, as [`timeout`](crate::Registration::timeout) does. Default 2 s.
    pub fn timeout(mut self, deadline: Duration) -> Self {
        self.timeout = Some(deadline);
        self
    }

    /// Sets how many failed runs in a row turn a check Unhealthy, as [`failures`](crate::Registration::failures) does.
    /// Default 1.
    pub fn failures(mut self, in_a_row: u32) -> Self {
        self.failures = Some(in_a_row);
        self
    }

    /// Sets the impact of failures. It overrides the default impact of every check type, for instance Optional for
    /// `Http`. Default: the impact of the check type.
    pub fn impact(mut self, impact: Impact) -> Self {
        self.impact = Some(impact);
        self
    }

    /// Sets the options that a registration does not set. Returns the names of the options that were set.
    pub(crate) fn fill(&self, options: &mut Options) -> Vec<&'static str> {
        let mut filled = Vec::new();
        let mut fills = |option, is_open: bool| {
            if is_open {
                filled.push(option);
            }
        };
        fills("every", options.every.is_none() && self.every.is_some());
        fills("timeout", options.timeout.is_none() && self.timeout.is_some());
        fills("failures", options.failures.is_none() && self.failures.is_some());
        fills("impact", options.impact.is_none() && self.impact.is_some());
        options.every = options.every.or(self.every);
        options.timeout = options.timeout.or(self.timeout);
        options.failures = options.failures.or(self.failures);
        options.impact = options.impact.or(self.impact);
        filled
    }
}
