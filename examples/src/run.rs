//! The beginning and the end of every example.

use std::{error::Error, process::ExitCode};

use health_core::{BuildError, EndpointError};

use crate::{Settings, logs};

/// Initializes the log, reads the settings, calls `serve`, and returns the exit code: 0 for success, 1 for a failure, 2
/// for settings that are not usable.
pub async fn run<F, R>(serve: F) -> ExitCode
where
    F: FnOnce(Settings) -> R,
    R: Future<Output = Result<(), Box<dyn Error>>>,
{
    logs::to_stderr();
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match serve(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            // Checks that contradict each other or their settings, and a token that is too short, count as unusable
            // settings.
            let is_unusable = error.is::<BuildError>() || error.is::<EndpointError>();
            if is_unusable { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
