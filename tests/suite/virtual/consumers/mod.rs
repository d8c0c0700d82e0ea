//! Tests of the formats and protocols through which other programs read the health of a service.

mod agent_check;
mod dogstatsd;
mod health_tonic;
mod metrics;
mod opentelemetry;
mod prometheus;
mod webhook;
