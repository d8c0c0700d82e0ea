//! `growth CHECKS [RUNS]`: measures one service with this number of checks at an interval of one second, in one process
//! without sockets, and prints one line of JSON. With RUNS, it measures the memory after this number of runs of each
//! check instead of the times.

use std::{
    env,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use health_core::{CheckExt as _, Endpoint, Health, Outcome, Probe, Registration, Request, Status, check_fn};
use tokio::time::sleep;

/// The duration of the measurement of CPU time, and of each measurement of response times.
const WINDOW: Duration = Duration::from_secs(10);
/// The longest wait for readiness.
const PATIENCE: Duration = Duration::from_secs(60);
/// The number of checks that are inserted, at once and one by one.
const INSERTED: usize = 500;

fn check() -> Registration {
    check_fn(|| async { Ok(()) }).every(Duration::from_secs(1))
}

/// Returns the CPU time that this process has used.
fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("threads");
    let of = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    };
    threads.flatten().filter_map(of).sum()
}

/// Returns the resident anonymous memory of this process in bytes, without mapped files.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("resident memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

/// Returns the median and the 99th percentile, in microseconds.
fn quantiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
    (at(50), at(99))
}

/// Requests a path again and again, with a short pause before each request. Returns the median and the 99th percentile
/// of the response time in microseconds, and the length of the last answer in bytes.
async fn asked(endpoint: &Endpoint, path: &str, window: Duration) -> (f64, f64, usize) {
    let request = Request::new("GET", path, None, None, &|_, _| None);
    let (mut times, mut length) = (Vec::new(), 0);
    let began = Instant::now();
    while began.elapsed() < window {
        // Longer than the longest delay of a publication, so that most requests find new results.
        sleep(Duration::from_millis(23)).await;
        let asked = Instant::now();
        let response = black_box(endpoint.respond(black_box(&request))).expect("a path of the endpoint");
        times.push(asked.elapsed());
        length = response.content_length;
    }
    let (median, slowest) = quantiles(times);
    (median, slowest, length)
}

/// Changes the outcome of the check `first` and requests a run of it. Returns the time until a subscriber and a request
/// have seen the change.
async fn change(health: &Health, endpoint: &Endpoint, fails: &AtomicBool) -> Duration {
    let mut changes = health.subscribe();
    fails.store(!fails.load(Ordering::Relaxed), Ordering::Relaxed);
    let began = Instant::now();
    assert!(health.suspect("first"));
    while let Some(change) = changes.next().await {
        if let health_core::Change::Check(change) = change
            && &*change.check == "first"
        {
            break;
        }
    }
    let request = Request::new("GET", "/health/checks/first", None, None, &|_, _| None);
    let code = endpoint.respond(&request).expect("a path of the endpoint").status;
    assert_eq!(code == 503, fails.load(Ordering::Relaxed));
    began.elapsed()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = env::args().skip(1);
    let checks: usize = arguments.next().and_then(|it| it.parse().ok()).expect("the number of checks");
    let runs: Option<u32> = arguments.next().and_then(|it| it.parse().ok());
    let before = resident();

    let fails = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&fails);
    let first = check_fn(move || {
        let outcome = if told.load(Ordering::Relaxed) { Outcome::unhealthy("told so") } else { Outcome::healthy() };
        async { Ok(outcome) }
    });
    let began = Instant::now();
    let mut builder = Health::builder().check("first", first.every(Duration::from_secs(1)).optional());
    for number in 1..checks {
        builder = builder.check(format!("check-{number}"), check());
    }
    let health = builder.start().expect("a configuration without mistakes");
    let endpoint = Endpoint::new(health.clone());
    let is_ready = tokio::time::timeout(PATIENCE, health.ready()).await.is_ok_and(|ready| ready);
    let ready = is_ready.then(|| began.elapsed().as_secs_f64() * 1e3);
    print!("{{\"checks\":{checks},\"ready_ms\":{}", ready.map_or("null".to_owned(), |ms| format!("{ms:.1}")));

    if let Some(runs) = runs {
        let ran = || {
            let report = health.report();
            let least = report.checks().iter().map(|check| check.history().totals().durations().count()).min();
            least.unwrap_or_default() >= u64::from(runs)
        };
        while !ran() {
            sleep(Duration::from_millis(500)).await;
        }
        let each = resident().saturating_sub(before) / checks;
        println!(",\"runs\":{runs},\"resident_bytes_per_check\":{each}}}");
        return;
    }

    sleep(Duration::from_secs(2)).await;
    let used = processor_time();
    sleep(WINDOW).await;
    let cores = (processor_time() - used).as_secs_f64() / WINDOW.as_secs_f64();
    print!(",\"cores\":{cores:.4}");
    for (name, path) in [("livez", "/livez"), ("health", "/health"), ("metrics", "/health/metrics")] {
        let (median, slowest, length) = asked(&endpoint, path, WINDOW).await;
        print!(",\"{name}\":{{\"median_us\":{median:.1},\"p99_us\":{slowest:.1},\"bytes\":{length}}}");
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        // `suspect` starts at most one run of a check per second.
        sleep(Duration::from_millis(1_050)).await;
        slowest = slowest.max(change(&health, &endpoint, &fails).await);
    }
    print!(",\"slowest_change_ms\":{:.2}", slowest.as_secs_f64() * 1e3);

    let many = (0..INSERTED).map(|number| (format!("inserted-{number}"), check())).collect::<Vec<_>>();
    let began = Instant::now();
    health.insert_all(many).expect("names that are free");
    print!(",\"insert_all_500_ms\":{:.2}", began.elapsed().as_secs_f64() * 1e3);
    let many = (0..INSERTED).map(|number| (format!("single-{number}"), check())).collect::<Vec<_>>();
    let began = Instant::now();
    for (name, check) in many {
        health.insert(name, check).expect("a name that is free");
    }
    println!(
        ",\"insert_500_ms\":{:.2},\"readiness\":\"{:?}\"}}",
        began.elapsed().as_secs_f64() * 1e3,
        health.status(Probe::Readiness) == Status::Healthy
    );
}
