//! Three servers under load while what they depend on flaps: memory, descriptors, threads and tasks stay where they were.
//! One minute, and ten in the long form, whose result and plot are kept.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use health_core::{CheckExt as _, Endpoint, Health, Postgres, Redis};
use health_tests::{
    mount::{Form, Framework, serve},
    postgres, process,
    proxy::{Proxy, Weather},
    redis,
};

use crate::support::{long, millis, secs};

/// What is measured before this is the way to where it stays.
const WARM: Duration = secs(12);
const EVERY: Duration = millis(500);
const PATHS: [&str; 7] = [
    "/livez",
    "/readyz?verbose",
    "/health",
    "/health?format=text",
    "/health/metrics",
    "/health/checks/cache",
    "/health?format=health",
];
/// A client connects anew after so many requests.
const PER_CONNECTION: usize = 200;

/// What may be more in the end than in the beginning, of each line of the plot.
const LINES: [(&str, f64, &str); 4] = [
    ("resident memory, MiB", 4.0, "#b5482f"),
    ("descriptors", 6.0, "#2f6fb5"),
    ("threads", 3.0, "#3a8a3a"),
    ("tasks", 3.0, "#8a5aa8"),
];

/// A moment: since the start, and a number for each line.
struct Sample(Duration, [f64; 4]);

/// One client of one server; it asks about three hundred times a second.
fn client(server: SocketAddr, over: &AtomicBool, answers: &AtomicU64) {
    let mut bytes = [0; 16 << 10];
    let mut paths = PATHS.iter().cycle();
    while !over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(secs(10))).unwrap();
        for path in paths.by_ref().take(PER_CONNECTION) {
            write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            // An answer of ours is one segment on loopback, or two.
            let mut length = 0;
            while !is_whole(&bytes[..length]) {
                let count = stream.read(&mut bytes[length..]).unwrap();
                assert!(count > 0, "{path}: closed after {length} bytes");
                length += count;
            }
            let code = std::str::from_utf8(&bytes[9..12]).unwrap();
            assert!(code == "200" || code == "503", "{path}: {code}");
            answers.fetch_add(1, Ordering::Relaxed);
            thread::sleep(millis(3));
        }
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = std::str::from_utf8(&bytes[..end]).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    bytes.len() >= end + 4 + length.parse::<usize>().unwrap()
}

/// Well, gone, well, cut off, well, silent.
fn flap(proxies: &[Proxy], over: &AtomicBool) {
    let weathers = [(Weather::Refused, 400), (Weather::Reset, 400), (Weather::BlackHole, 1_300)];
    for (weather, lasts) in weathers.iter().cycle() {
        for (weather, lasts) in [(Weather::Fair, 700), (*weather, *lasts)] {
            if over.load(Ordering::Relaxed) {
                return;
            }
            proxies.iter().for_each(|proxy| proxy.turns(weather));
            thread::sleep(millis(lasts));
        }
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The middle of the numbers of a line.
fn middle(samples: &[Sample], line: usize) -> f64 {
    let mut numbers: Vec<f64> = samples.iter().map(|Sample(_, numbers)| numbers[line]).collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[test]
#[ignore = "needs PostgreSQL and Redis: tests/run"]
fn nothing_grows_under_load_while_dependencies_flap() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (database, cache) = (postgres::Server::start(), redis::Server::start());
    let proxies = [Proxy::before(database.port()), Proxy::before(cache.port())];
    let mut config = deadpool_postgres::tokio_postgres::Config::new();
    config.host("127.0.0.1").port(proxies[0].port()).user("app").dbname("postgres").password(postgres::PASSWORD);
    let health = runtime.block_on(async {
        let database = Postgres::new(postgres::pool(config, 4)).every(secs(1)).timeout(millis(800));
        let url = format!("redis://:{}@127.0.0.1:{}/0", redis::PASSWORD, proxies[1].port());
        let cache = Redis::new(redis::pool(&url, 4)).every(secs(1)).timeout(millis(800)).optional();
        let health = Health::builder().check("database", database).check("cache", cache).start().unwrap();
        assert!(health.ready().await);
        health
    });
    let servers = [Framework::Actix, Framework::Axum, Framework::Warp]
        .map(|framework| serve(framework, Form::Middleware, Endpoint::from(health.clone())));
    let lasts = if long() { secs(600) } else { secs(60) };
    let (over, answers) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    let mut samples = Vec::new();
    thread::scope(|scope| {
        for server in servers.iter().chain(&servers) {
            scope.spawn(|| client(server.address, &over, &answers));
        }
        scope.spawn(|| flap(&proxies, &over));
        // Also when a sample could not be taken.
        let _over = Ends(Arc::clone(&over));
        let began = Instant::now();
        while began.elapsed() < lasts {
            let usage = process::usage();
            let tasks = runtime.metrics().num_alive_tasks();
            let numbers = [usage.resident >> 10, descriptors(), usage.threads, tasks].map(|count| count as f64);
            samples.push(Sample(began.elapsed(), [numbers[0] / 1024.0, numbers[1], numbers[2], numbers[3]]));
            thread::sleep(EVERY);
        }
    });
    let flaps: Vec<u64> = health.report().checks.iter().map(|check| check.history.flaps).collect();
    let answers = answers.load(Ordering::Relaxed);
    println!("{answers} answers in {lasts:?}, and the checks turned {flaps:?} times");
    assert!(answers > 100 * lasts.as_secs(), "{answers} answers are no load");
    assert!(flaps.iter().all(|flaps| *flaps > lasts.as_secs() / 4), "{flaps:?} changes are no flapping");

    let warm = samples.iter().position(|Sample(at, _)| *at >= WARM).unwrap();
    let (early, late) = samples[warm..].split_at((samples.len() - warm) / 3);
    let late = &late[late.len() / 2..];
    let grown: Vec<(f64, f64)> = (0..LINES.len()).map(|line| (middle(early, line), middle(late, line))).collect();
    if std::env::var_os("HEALTH_WRITE_SOAK").is_some() {
        write(&samples, &grown, answers, &flaps);
    }
    for ((name, allowed, _), (early, late)) in LINES.iter().zip(grown) {
        println!("{name}: {early:.1}, then {late:.1}");
        assert!(late <= early + allowed, "{name}: {early:.1} became {late:.1}");
    }
    runtime.block_on(health.stop());
}

/// Ends the load with the test.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn file(name: &str) -> String {
    format!("{}/../health-core/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What was measured, and its plot.
fn write(samples: &[Sample], grown: &[(f64, f64)], answers: u64, flaps: &[u64]) {
    let minutes = samples[samples.len() - 1].0.as_secs_f64() / 60.0;
    let mut text = format!(
        "# Under load for {minutes:.0} minutes\n\n\
         Written by the test `soak` of `tests/suite`: `HEALTH_WRITE_SOAK=1 tests/run --long` writes it anew. Three servers and their\n\
         clients in one process, which checks PostgreSQL and Redis behind proxies that refuse, reset and swallow in turn. The\n\
         clients got {answers} answers; meanwhile the two checks turned {} and {} times between good and Unhealthy.\n\n\
         ![Memory, descriptors, threads and tasks over time](soak.svg)\n\n\
         | | in the first third | in the last third |\n|---|---|---|\n",
        flaps[0], flaps[1]
    );
    for ((name, ..), (early, late)) in LINES.iter().zip(grown) {
        let _ = writeln!(text, "| {name} | {early:.1} | {late:.1} |");
    }
    std::fs::write(file("SOAK.md"), text).unwrap();
    std::fs::write(file("soak.svg"), plot(samples)).unwrap();
}

/// Each line in a strip of its own, from nothing to its greatest number.
fn plot(samples: &[Sample]) -> String {
    const WIDTH: f64 = 720.0;
    const STRIP: f64 = 90.0;
    let end = samples[samples.len() - 1].0.as_secs_f64();
    let mut text = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"840\" height=\"400\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"840\" height=\"400\" fill=\"#fff\"/>\n",
    );
    for (line, (name, _, colour)) in LINES.iter().enumerate() {
        let most = samples.iter().map(|Sample(_, numbers)| numbers[line]).fold(1.0, f64::max);
        let base = (line as f64 + 1.0) * STRIP;
        let at = |Sample(at, numbers): &Sample| {
            let (x, y) = (at.as_secs_f64() / end * WIDTH + 10.0, base - numbers[line] / most * (STRIP - 30.0));
            format!("{x:.1},{y:.1}")
        };
        let points: Vec<String> = samples.iter().map(at).collect();
        let _ = writeln!(text, "<text x=\"10\" y=\"{:.0}\" fill=\"{colour}\">{name}</text>", base - STRIP + 22.0);
        let _ = writeln!(text, "<line x1=\"10\" x2=\"730\" y1=\"{base}\" y2=\"{base}\" stroke=\"#ccc\"/>");
        let _ = writeln!(text, "<text x=\"736\" y=\"{:.0}\">{most:.1}</text>", base - STRIP + 34.0);
        let _ = writeln!(text, "<text x=\"736\" y=\"{base}\">0</text>");
        let _ = writeln!(text, "<polyline fill=\"none\" stroke=\"{colour}\" points=\"{}\"/>", points.join(" "));
    }
    let _ = writeln!(text, "<text x=\"10\" y=\"384\">0</text><text x=\"690\" y=\"384\">{end:.0} s</text>\n</svg>");
    text
}
