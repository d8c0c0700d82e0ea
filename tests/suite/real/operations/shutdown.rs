//! Leaving on a signal, whatever the runtime does; what the examples do with it is in `examples`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use health_core::Health;
use health_tests::{port, process::Process, program, wait};
use nix::sys::signal::Signal;

/// A process whose runtime is blocked, after its first signal, and the moment before that signal.
fn asked() -> (Process, Instant) {
    let mut command = Command::new(program::built().join("serve"));
    command.args(["blocked", &port::free().to_string(), "/"]).stdout(Stdio::piped());
    let mut process = Process::new(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "blocked\n");
    let began = Instant::now();
    signalled(&process, Signal::SIGTERM);
    assert!(process.runs(), "the first signal asks, and does not end it");
    (process, began)
}

/// Sends a signal and waits until the process has seen it: until it is pending no more.
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

/// Wrappers send a signal to the group and to the child, and a terminal and a shell one each.
#[test]
fn duplicates_of_the_first_signal_end_nothing() {
    // On a machine that is stalled the second may be up before they are sent: then they say nothing.
    wait::until("duplicates within a second", || {
        let (mut process, began) = asked();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGTERM] {
            signalled(&process, signal);
        }
        // A handler that ends the process does so at once.
        let is_alive = process.runs();
        let in_time = began.elapsed() < Duration::from_millis(900);
        assert!(is_alive || !in_time, "a duplicate ended it");
        in_time
    });
}

/// Whether a signal waits for a process to take it.
fn is_pending(id: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let Some(mask) = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")) else { return false };
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal as i32 - 1) & 1 == 1
}

#[test]
fn outside_a_runtime_with_signals_it_says_what_to_change() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let health = runtime.block_on(async { Health::builder().start().unwrap() });
    let error = runtime.block_on(async { health_core::shutdown(&health, Duration::ZERO).unwrap_err() });
    assert!(error.to_string().contains("enable_all()"), "{error}");
}
