//! Reports the uptime of the process and of the host as numbers. The check is always Healthy. That proves only that
//! this process answers, and not that anything works.

use std::{fs, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    check::{Check, CheckResult, outcome::Outcome},
    model::status::{Kind, Membership},
};

/// Reports the uptime of the process and, on Linux, of the host.
///
/// The check is always Healthy. That proves only that this process answers, and not that anything works.
///
/// - Least privilege: read access to `/proc/uptime`, which every user has.
/// - By default the check counts for the full report only.
/// - Observed values: `process`, the time since [`Uptime::new`], and `host`, both in `s`.
///
/// ```
/// use health_core::{Health, Uptime};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("uptime", Uptime::new()).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Uptime {
    since: Instant,
}

impl Default for Uptime {
    fn default() -> Self {
        Self::new()
    }
}

impl Uptime {
    /// Creates a check whose value `process` counts from this call on.
    pub fn new() -> Self {
        Self { since: Instant::now() }
    }
}

#[async_trait]
impl Check for Uptime {
    async fn check(&self) -> CheckResult {
        let outcome = Outcome::healthy().observe("process", tenths(self.since.elapsed()), "s");
        // The file is in memory, so the read does not block.
        let host = fs::read_to_string("/proc/uptime").ok();
        let host = host.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
        Ok(match host {
            Some(host) => outcome.observe("host", host, "s"),
            None => outcome,
        })
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn membership(&self) -> Membership {
        Membership::ReportOnly
    }

    fn proves(&self) -> &'static str {
        "This process answers. It does not prove that anything works."
    }
}

fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}
