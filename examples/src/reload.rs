//! Reloads the settings of checks without a restart.

use std::{error::Error, io};

use health_core::Health;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
};

use crate::settings;

/// Starts a task that reads the settings of checks again on each SIGHUP, and applies them. Changed options, and options
/// that need a restart, are logged. If the settings have a mistake, nothing is changed.
///
/// # Errors
///
/// Returns an error if the signal handler cannot be registered.
pub fn reload_on_hangup(health: &Health) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    let health = health.clone();
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            // On a blocking thread, because the file can be on a file system that hangs.
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
    tracing::error!(%error, "settings not applied: the previous settings stay in effect");
}
