//! Asks a health endpoint: for Docker's `HEALTHCHECK`, exec probes, Nagios and Icinga, scripts that wait for a service.
//! The program is `health-probe`; this library is the same for an image that has a single program:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     let mut arguments = std::env::args_os().skip(1);
//!     if arguments.next().is_some_and(|first| first == "health") {
//!         // myapp health http://127.0.0.1:8080/readyz
//!         return health_probe::run(arguments);
//!     }
//!     // The service itself.
//!     std::process::ExitCode::SUCCESS
//! }
//! ```
//!
//! What the program understands is in its [help](HELP).

mod answer;
mod arguments;
mod ask;
#[cfg(feature = "grpc")]
mod grpc;
mod nagios;
mod probe;
mod target;
mod token;
mod verdict;

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use crate::arguments::{Asked, Wanted};

pub use crate::{
    probe::{Expect, Probe},
    target::Target,
    verdict::{CheckVerdict, State, Verdict},
};

/// What `--help` prints.
pub const HELP: &str = include_str!("help.txt");

/// Does what the arguments after the program's name say, prints what it found on standard output, and tells how to exit: 0
/// passes, 1 does not; with `--nagios` 0 to 3. Blocks the calling thread.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let nagios = arguments::wants_nagios(&arguments);
    match arguments::read(&arguments) {
        // A plugin that was only asked for help has checked nothing.
        Ok(Wanted::Help) => {
            say(HELP);
            ExitCode::from(if nagios { 3 } else { 0 })
        }
        Ok(Wanted::Version) => {
            say(concat!("health-probe ", env!("CARGO_PKG_VERSION"), "\n"));
            ExitCode::from(if nagios { 3 } else { 0 })
        }
        Ok(Wanted::Ask(asked)) => report(&asked),
        // Nagios reads standard output alone.
        Err(message) if nagios => {
            say(&format!("HEALTH UNKNOWN: {message}\n"));
            ExitCode::from(3)
        }
        Err(message) => {
            eprintln!("health-probe: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What a plugin for Nagios says, verbosely, of these bytes: everything that a server sent until it closed the connection of
/// HTTP/1.0. For consumers with a connection of their own, and for tests.
#[must_use]
pub fn nagios_output(answer: &[u8]) -> String {
    let verdict = match answer::read(answer) {
        Ok(answer) => verdict::of(&answer),
        Err(message) => Verdict::new(State::Unhealthy, message),
    };
    nagios::output(&verdict, std::time::Duration::ZERO, true)
}

/// On standard output. That nobody listens changes no exit code.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn report(asked: &Asked) -> ExitCode {
    let (verdict, took) = asked.probe.timed();
    let passes = asked.probe.expect.is_met_by(&verdict);
    if asked.nagios {
        if !asked.quiet {
            say(&nagios::output(&verdict, took, asked.verbose));
        }
        return ExitCode::from(nagios::code(verdict.state));
    }
    if !asked.quiet {
        say(&probe::text(&verdict, asked.verbose));
    }
    if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
