//! The time that the program `health-probe` takes in addition to the answer of the server. A probe every second must
//! cost little.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use health_tests::{
    bare_clock::{BareClock, measure},
    port, program,
};

/// The limit for the duration of a probe, as a multiple of that of a program that does nothing.
const AT_MOST: u32 = 20;

#[tokio::test]
async fn a_probe_costs_little_more_than_a_program_that_does_nothing() {
    let listener = TcpListener::bind(port::local(0)).unwrap();
    let url = format!("http://{}/livez", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let probe = || Command::new(program::built().join("health-probe")).args(["-q", &url]).status();
    let nothing = || Command::new("true").status();
    let took = |run: &dyn Fn() -> std::io::Result<std::process::ExitStatus>| {
        let began = Instant::now();
        assert!(run().unwrap().success());
        began.elapsed()
    };
    let step = async || {
        // The programs alternate, so that both run at the same moments.
        let both: Vec<(Duration, Duration)> = (0..20).map(|_| (took(&probe), took(&nothing))).collect();
        let least = |of: fn(&(Duration, Duration)) -> Duration| both.iter().map(of).min().unwrap();
        (least(|both| both.0), least(|both| both.1))
    };
    let (probe, nothing) = measure("a probe", &BareClock::start(), step, |(probe, nothing)| {
        assert!(*probe < *nothing * AT_MOST, "a probe takes {probe:?}, a program that does nothing {nothing:?}");
    })
    .await;
    println!("a probe takes {probe:?}, a program that does nothing {nothing:?}");
}
