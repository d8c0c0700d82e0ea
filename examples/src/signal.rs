//! Leaving when asked to.

use std::time::Duration;

use health_core::Health;
use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM or SIGINT, then drains: readiness is 503 from that moment on, and this returns when the delay is
/// over and the server should finish what it is doing.
///
/// # Errors
///
/// The process cannot listen for signals.
pub fn shutdown(health: Health, drain: Duration) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    // Registered before the server starts, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(seconds = drain.as_secs(), "draining");
        health.drain(drain).await;
    })
}
