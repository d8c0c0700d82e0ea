//! Leaving on a signal, whatever the runtime does; what the examples do with it is in `examples`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use health_core::Health;
use health_tests::{port, process::Process, program, wait};
use nix::sys::signal::Signal;

#[test]
fn a_second_signal_ends_a_process_whose_runtime_is_blocked() {
    let mut command = Command::new(program::built().join("serve"));
    command.args(["blocked", &port::free().to_string(), "/"]).stdout(Stdio::piped());
    let mut process = Process::new(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "blocked\n");
    process.signal(Signal::SIGTERM);
    // The first signal asks, and does not end it: the process has seen it once it is pending no more.
    wait::until("the first signal is handled", || !is_pending(process.id(), Signal::SIGTERM));
    assert!(process.runs(), "the first signal asks, and does not end it");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.ended().code(), Some(143));
}

/// Whether a signal waits for a process to take it.
fn is_pending(id: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal as i32 - 1) & 1 == 1
}

#[test]
fn outside_a_runtime_with_signals_it_says_what_to_change() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let health = runtime.block_on(async { Health::builder().start().unwrap() });
    let error = runtime.block_on(async { health_core::shutdown(&health, Duration::ZERO).unwrap_err() });
    assert!(error.to_string().contains("enable_all()"), "{error}");
}
