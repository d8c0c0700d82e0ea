//! The program `health-probe`; its help says what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    health_probe::run(std::env::args_os().skip(1))
}
