//! Publishers: one file per system that is told how the service is.

#[cfg(feature = "agent_check")]
pub(crate) mod agent_check;
pub(crate) mod dogstatsd;
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
