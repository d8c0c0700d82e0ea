//! Telling other systems how the service is: one file per target. A publisher runs on a task of its own, apart from checks
//! and requests, so that one that hangs delays nothing.

#[cfg(feature = "agent_check")]
mod agent_check;
mod dogstatsd;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod systemd;
#[cfg(feature = "webhook")]
mod webhook;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    board::Board,
    model::{
        change::{Change, Changes},
        report::{CheckReport, Report},
        status::{Probe, Reason, Status},
    },
};

#[cfg(feature = "agent_check")]
pub use self::agent_check::AgentCheck;
pub use self::dogstatsd::Dogstatsd;
#[cfg(feature = "metrics")]
pub use self::metrics::Metrics;
#[cfg(feature = "opentelemetry")]
pub use self::opentelemetry::OpenTelemetry;
pub use self::systemd::Systemd;
#[cfg(feature = "webhook")]
pub use self::webhook::{Notice, Webhook};

/// Longer than anybody waits, and short enough to be added to any moment.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

/// Tells another system how the service is, from [`Health::publish`](crate::Health::publish) on.
///
/// ```
/// use health_core::{Health, Publisher, Source, async_trait};
///
/// /// Prints every change.
/// struct Printer;
///
/// #[async_trait]
/// impl Publisher for Printer {
///     async fn publish(self: Box<Self>, mut source: Source) {
///         while let Some(change) = source.next().await {
///             println!("{change:?}, and all is {}", source.report().status);
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().start()?;
/// health.publish(Printer);
/// # health.stop().await;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Publisher: Send + 'static {
    /// Publishes until [`Source::next`] says that there is no more. It is aborted when the last [`Health`](crate::Health) is
    /// dropped; a panic ends it and nothing else. It runs on the runtime of the checks, so what blocks its thread belongs
    /// into `spawn_blocking`.
    async fn publish(self: Box<Self>, source: Source);
}

/// What a [`Publisher`] knows of the service. It does not keep the checks running.
#[derive(Debug)]
pub struct Source {
    board: Arc<Board>,
    changes: Changes,
}

impl Source {
    pub(crate) fn new(board: Arc<Board>) -> Self {
        let changes = board.subscribe();
        Self { board, changes }
    }

    /// How many changes were lost because they were read too slowly.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.changes.missed()
    }

    /// Waits for the next change; `None` once the checks have stopped and every change was told. Can be cancelled.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.next().await
    }

    /// The full report, as of now.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        self.board.report(None)
    }

    /// The report of one probe, as of now.
    #[must_use]
    pub fn probe(&self, probe: Probe) -> Arc<Report> {
        self.board.report(Some(probe))
    }

    /// How severe it is, as of now, whatever the phase of life: 0 healthy, 1 degraded, 2 unhealthy, 3 not known, as all
    /// that makes it so bad is pending or stale.
    #[must_use]
    pub fn severity(&self) -> u8 {
        self.board.verdicts(|verdicts| verdicts.severity)
    }
}

/// Looks at once, at every change and every so often, and once more when the checks have stopped.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
async fn look(mut source: Source, every: Duration, mut at: impl FnMut(&Source)) {
    use tokio::time::{MissedTickBehavior, interval};
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_over = tokio::select! {
            _ = looks.tick() => false,
            change = source.next() => change.is_none(),
        };
        at(&source);
        if is_over {
            return;
        }
    }
}

/// The report without the phases of life, for what a deploy must not change. One whose scheduler is dead stays stale.
fn whatever_the_phase(mut report: Report) -> Report {
    if report.reason != Some(Reason::Stale) {
        report.reason = None;
        report.status = report.checks.iter().map(|check| report.counted(check)).max().unwrap_or(Status::Healthy);
    }
    report
}

/// What makes a report bad, in a few words: `database unreachable, cache slow`, or why it is bad whatever its checks say.
/// Empty where all is well. No word of a driver's.
pub(crate) fn cause(report: &Report) -> String {
    if report.status == Status::Healthy {
        return String::new();
    }
    let mut words: Vec<String> = report.reason.iter().map(ToString::to_string).collect();
    let say = |check: &CheckReport| {
        let why = check.reason.map_or(check.status.as_str(), |reason| reason.as_str());
        format!("{} {why}", check.name)
    };
    // A root may be a check that is not in this report.
    words.extend(report.root_causes.iter().map(|name| report.check(name).map_or_else(|| name.to_string(), say)));
    // What has not run yet is no root, and may be what makes it bad.
    let worst = report.checks.iter().filter(|check| report.counted(check) == report.status);
    let unnamed = worst.filter(|check| check.reason == Some(Reason::Pending) || report.root_causes.is_empty());
    words.extend(unnamed.map(|check| say(check)));
    words.join(", ")
}
