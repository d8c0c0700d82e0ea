//! The program `health-probe`; `--help` describes it.

use std::process::ExitCode;

fn main() -> ExitCode {
    health_probe::run(std::env::args_os().skip(1))
}
