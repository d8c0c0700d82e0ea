//! Programs and formats that read what we write.

mod dogstatsd;
mod health_tonic;
mod metrics;
mod opentelemetry;
mod prometheus;
mod webhook;
