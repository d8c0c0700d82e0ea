//! Shutdown on a signal, also if the runtime is blocked. The module `examples` tests the shutdown of the examples.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use health_core::Health;
use health_tests::{port, process::Process, program, wait};
use nix::sys::signal::Signal;

/// Returns a process with a blocked runtime after its first signal, and the moment before that signal.
fn asked() -> (Process, Instant) {
    let mut command = Command::new(program::built().join("serve"));
    command.args(["blocked", &port::free().to_string(), "/"]).stdout(Stdio::piped());
    let mut process = Process::new(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "blocked\n");
    let began = Instant::now();
    signalled(&process, Signal::SIGTERM);
    assert!(process.runs(), "the first signal must not end the process");
    (process, began)
}

/// Sends a signal and waits until the process has handled it, that is until the signal is no longer pending.
fn signalled(process: &Process, signal: Signal) {
    process.signal(signal);
    wait::until("the signal is handled", || !is_pending(process.id(), signal));
}

#[test]
fn a_later_signal_ends_a_process_whose_runtime_is_blocked() {
    let (mut process, _) = asked();
    wait::until("an end by a signal", || {
        process.signal(Signal::SIGTERM);
        !process.runs()
    });
    assert_eq!(process.ended().code(), Some(143));
}

/// Wrappers send a signal to the process group and to the child, and a terminal and a shell may send one each.
#[test]
fn duplicates_of_the_first_signal_end_nothing() {
    // On a machine that stalls, a second may pass before the duplicates are sent. Such a try proves nothing and is
    // repeated.
    wait::until("duplicates within a second", || {
        let (mut process, began) = asked();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGTERM] {
            signalled(&process, signal);
        }
        // A handler that ends the process does so at once.
        let is_alive = process.runs();
        let in_time = began.elapsed() < Duration::from_millis(900);
        assert!(is_alive || !in_time, "a duplicate signal ended the process");
        in_time
    });
}

/// Returns whether a signal is pending for a process.
fn is_pending(id: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let Some(mask) = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")) else { return false };
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal as i32 - 1) & 1 == 1
}

#[test]
fn on_a_runtime_without_signals_the_error_says_what_to_change() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let health = runtime.block_on(async { Health::builder().start().unwrap() });
    let error = runtime.block_on(async { health_core::shutdown(&health, Duration::ZERO).unwrap_err() });
    assert!(error.to_string().contains("enable_all()"), "{error}");
}
