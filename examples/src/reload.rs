//! The settings of checks again, without a restart.

use std::{error::Error, io};

use health_core::Health;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
};

use crate::settings;

/// Reads the settings of checks again on each SIGHUP, and applies them. The log says what has changed and what needs a restart.
/// A mistake changes nothing.
///
/// # Errors
///
/// The signal cannot be received.
pub fn reload_on_hangup(health: &Health) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    let health = health.clone();
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            // A file can be on a file system that hangs.
            match spawn_blocking(settings::checks).await {
                Ok(Ok(settings)) => apply(&health, settings),
                Ok(Err(error)) => refused(&error),
                Err(error) => refused(&error),
            }
        }
    });
    Ok(())
}

fn apply(health: &Health, settings: health_core::Settings) {
    let applied = match health.apply(settings) {
        Ok(applied) => applied,
        Err(error) => return refused(&error),
    };
    for option in applied.changed() {
        tracing::info!(%option, "setting changed");
    }
    for option in applied.needs_restart() {
        tracing::warn!(%option, "setting needs a restart");
    }
    let (changed, needs_restart) = (applied.changed().len(), applied.needs_restart().len());
    tracing::info!(changed, needs_restart, "settings applied");
}

fn refused(error: &dyn Error) {
    tracing::error!(%error, "settings not applied: those before hold");
}
