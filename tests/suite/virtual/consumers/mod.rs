//! Programs and formats that read what we write.

mod agent_check;
mod dogstatsd;
mod health_tonic;
mod metrics;
mod opentelemetry;
mod prometheus;
mod webhook;
