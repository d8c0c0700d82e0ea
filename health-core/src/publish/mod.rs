//! Publishers: one file per external system that receives the state of the service.

#[cfg(feature = "agent_check")]
pub(crate) mod agent_check;
pub(crate) mod dogstatsd;
mod listens;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "opentelemetry")]
pub(crate) mod opentelemetry;
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod polling;
mod summary;
pub(crate) mod systemd;
#[cfg(feature = "webhook")]
pub(crate) mod webhook;

#[cfg(feature = "agent_check")]
pub use self::agent_check::AgentCheck;
#[cfg(feature = "metrics")]
pub use self::metrics::Metrics;
#[cfg(feature = "opentelemetry")]
pub use self::opentelemetry::OpenTelemetry;
#[cfg(feature = "webhook")]
pub use self::webhook::{Webhook, notice::Notice};
pub use self::{dogstatsd::Dogstatsd, systemd::Systemd};
pub use crate::health::publisher::{Publisher, Source};
