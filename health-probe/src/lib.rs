//! Requests a health endpoint and reports its status, for Docker's `HEALTHCHECK`, exec probes, Nagios and Icinga, and
//! scripts that wait for a service. The program is `health-probe`. This library provides the same as a function, for an
//! image that contains a single program:
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
//! The [help](HELP) lists the program's options.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

mod answer;
mod arguments;
mod ask;
#[cfg(feature = "grpc")]
mod grpc;
mod nagios;
mod probe;
mod target;
#[cfg(feature = "https")]
mod tls;
mod token;
mod verdict;

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use crate::arguments::{Asked, Wanted};

pub use crate::{
    probe::{Expect, Probe},
    target::Target,
    verdict::{CheckVerdict, State, Verdict},
};

/// The text that `--help` prints.
pub const HELP: &str = include_str!("help.txt");

/// Runs the program `health-probe`, prints the result on standard output, and returns the exit code: 0 if the result
/// passes, 1 if not; with `--nagios` 0 to 3. `arguments` are the arguments after the name of the program. Blocks the
/// calling thread.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let nagios = arguments::wants_nagios(&arguments);
    match arguments::read(&arguments) {
        // A plugin that only prints its help or version has checked nothing, which is UNKNOWN in Nagios.
        Ok(Wanted::Help) => {
            say(HELP);
            ExitCode::from(if nagios { 3 } else { 0 })
        }
        Ok(Wanted::Version) => {
            say(concat!("health-probe ", env!("CARGO_PKG_VERSION"), "\n"));
            ExitCode::from(if nagios { 3 } else { 0 })
        }
        Ok(Wanted::Ask(asked)) => report(&asked),
        // Nagios reads only standard output.
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

/// Returns the verbose output of a Nagios plugin for an HTTP answer, for consumers with their own connection and for
/// tests. `answer` is everything that the server sent until it closed the connection.
#[must_use]
pub fn nagios_output(answer: &[u8]) -> String {
    let verdict = match answer::read(answer) {
        Ok(answer) => verdict::of(&answer),
        Err(message) => Verdict::new(State::Unhealthy, message),
    };
    nagios::output(&verdict, std::time::Duration::ZERO, true)
}

/// Prints a text on standard output. A failed write is ignored, so that it does not change the exit code.
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
        say(&probe::text(&verdict, asked.probe.expect, asked.verbose));
    }
    if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
