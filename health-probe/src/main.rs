//! The program `health-probe`. Its option `--help` prints its description.

use std::process::ExitCode;

fn main() -> ExitCode {
    health_probe::run(std::env::args_os().skip(1))
}
