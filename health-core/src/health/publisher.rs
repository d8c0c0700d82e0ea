//! The contract of publishers, which tell other systems how the service is.

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

/// Tells another system how the service is, from the call of [`Health::publish`](crate::Health::publish) on.
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
///             println!("{change:?}, and all is {}", source.report().status());
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
    /// Publishes until [`Source::next`] returns `None`. The task is aborted when the last [`Health`](crate::Health) is
    /// dropped, and a panic ends nothing but the task. It runs on the runtime of the checks, so that work that blocks
    /// its thread belongs into `spawn_blocking`.
    async fn publish(self: Box<Self>, source: Source);
}

/// The service, as a [`Publisher`] reads it. It does not keep the checks running.
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

    /// The number of changes that were lost because they were read too slowly.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.changes.missed()
    }

    /// Waits for the next change. Returns `None` once the checks have stopped and every change was returned. Cancelling
    /// it loses no change.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.next().await
    }

    /// The full report as of now.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        self.store.report(None)
    }

    /// The report of one probe as of now.
    #[must_use]
    pub fn probe(&self, probe: Probe) -> Arc<Report> {
        self.store.report(Some(probe))
    }

    /// The severity of the full report as of now, without the lifecycle: 0 healthy, 1 degraded, 2 unhealthy, and 3
    /// unknown, if every check that makes it as bad as it is, is pending or stale.
    #[must_use]
    pub fn severity(&self) -> u8 {
        self.store.read().current().severity()
    }

    /// Reads the verdicts of the metrics as of now.
    #[cfg(feature = "metrics")]
    pub(crate) fn metrics<R>(&self, read: impl FnOnce(&MetricsReport) -> R) -> R {
        read(&self.store.read().current().metrics_report())
    }

    /// Returns a function that removes secrets from a text, those registered with the builder included.
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

/// The service, as a callback reads it that must not keep it alive.
#[cfg(feature = "opentelemetry")]
#[derive(Clone)]
pub(crate) struct WeakSource(Weak<Store>);

#[cfg(feature = "opentelemetry")]
impl WeakSource {
    /// Reads the verdicts of the metrics as of now. Does nothing once the service is gone.
    pub(crate) fn metrics(&self, read: impl FnOnce(&MetricsReport)) {
        if let Some(store) = self.0.upgrade() {
            read(&store.read().current().metrics_report());
        }
    }
}
