//! The trait of publishers, which send the state of the service to other systems.

use std::sync::Arc;
#[cfg(feature = "opentelemetry")]
use std::sync::Weak;

use async_trait::async_trait;

#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
use crate::model::report::MetricsReport;
use crate::{
    engine::store::Store,
    model::{
        change::{Change, Changes},
        report::Report,
        status::Probe,
    },
};

/// A publisher, which sends the state of the service to another system. [`Health::publish`](crate::Health::publish)
/// starts it.
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
///             println!("{change:?}, the full report is {}", source.report().status());
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
    /// Publishes until [`Source::next`] returns `None`. The task runs on the runtime of the checks, so blocking work
    /// belongs in `spawn_blocking`. The task is aborted when the last [`Health`](crate::Health) is dropped. A panic
    /// ends this task only.
    async fn publish(self: Box<Self>, source: Source);
}

/// The state of the service, for a [`Publisher`]. It does not keep the checks running.
#[derive(Debug)]
pub struct Source {
    store: Arc<Store>,
    changes: Changes,
}

impl Source {
    pub(super) fn new(store: Arc<Store>) -> Self {
        let changes = store.subscribe();
        Self { store, changes }
    }

    /// Returns the number of changes that were lost because they were not read in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.changes.missed()
    }

    /// Waits for the next change. Returns `None` once the checks have stopped and every change was returned. Cancel
    /// safe: dropping the future loses no change.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.next().await
    }

    /// Returns the current full report.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        self.store.report(None)
    }

    /// Returns the current report of one probe.
    #[must_use]
    pub fn probe(&self, probe: Probe) -> Arc<Report> {
        self.store.report(Some(probe))
    }

    /// Returns the current severity of the full report, without the lifecycle: 0 for Healthy, 1 for Degraded, 2 for
    /// Unhealthy, and 3 for unknown. The severity is unknown if every check with the worst status is pending or stale.
    #[must_use]
    pub fn severity(&self) -> u8 {
        self.store.read().current().severity()
    }

    /// Reads the current statuses for metrics.
    #[cfg(feature = "metrics")]
    pub(crate) fn metrics<R>(&self, read: impl FnOnce(&MetricsReport) -> R) -> R {
        read(&self.store.read().current().metrics_report())
    }

    /// Returns a function that redacts secrets in a text, including secrets that are registered with the builder.
    #[cfg(feature = "webhook")]
    pub(crate) fn redactor(&self) -> impl Fn(&str) -> String + Send + use<> {
        let store = Arc::clone(&self.store);
        move |text| store.secrets().redact(text)
    }

    /// Returns a reader for callbacks that outlive the service.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn weak(&self) -> WeakSource {
        WeakSource(Arc::downgrade(&self.store))
    }
}

/// The state of the service, for a callback that must not keep the service alive.
#[cfg(feature = "opentelemetry")]
#[derive(Clone)]
pub(crate) struct WeakSource(Weak<Store>);

#[cfg(feature = "opentelemetry")]
impl WeakSource {
    /// Reads the current statuses for metrics. Does nothing once the service is dropped.
    pub(crate) fn metrics(&self, read: impl FnOnce(&MetricsReport)) {
        if let Some(store) = self.0.upgrade() {
            read(&store.read().current().metrics_report());
        }
    }
}
