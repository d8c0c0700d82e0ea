//! Every server under load while the dependencies flap: memory, descriptors, threads and tasks do not grow. The test
//! runs a fixed number of rounds. The long form takes at least ten minutes, and its result and plot are stored.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use health_core::{CheckExt as _, Endpoint, Health, Postgres, Redis, Status};
use health_tests::{
    mount::{Framework, serve},
    postgres, process,
    proxy::{NetworkFault, Proxy},
    redis,
    support::{long, millis, secs},
    wait,
};

/// Rounds of faults of the dependencies. The first `WARM` rounds are a warm-up and do not count.
const ROUNDS: usize = 8;
const WARM: usize = 2;
/// The minimum duration of the long form.
const LONG: Duration = secs(600);
const EVERY: Duration = millis(250);
const PATHS: [&str; 7] = [
    "/livez",
    "/readyz?verbose",
    "/health",
    "/health?format=text",
    "/health/metrics",
    "/health/checks/cache",
    "/health?format=health",
];
/// Number of requests after which a client opens a new connection.
const PER_CONNECTION: usize = 200;

/// The lines of the plot, each with its allowed growth from the first third to the last, and its colour.
const LINES: [(&str, f64, &str); 4] = [
    ("resident memory, MiB", 4.0, "#b5482f"),
    ("descriptors", 6.0, "#2f6fb5"),
    ("threads", 3.0, "#3a8a3a"),
    ("tasks", 3.0, "#8a5aa8"),
];

/// A measurement: the time since the start, and a number for each line.
struct Sample(Duration, [f64; 4]);

/// Runs one client of one server, with about 300 requests a second.
fn client(server: SocketAddr, over: &AtomicBool, answers: &AtomicU64) {
    let mut bytes = [0; 16 << 10];
    let mut paths = PATHS.iter().cycle();
    while !over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(wait::HANG)).unwrap();
        for path in paths.by_ref().take(PER_CONNECTION) {
            write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            // An answer arrives in one or two segments on loopback.
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

/// One round of refused, reset and lost connections, with a recovery after each. Each step lasts until both checks have
/// seen it.
fn round(proxies: &[Proxy], health: &Health) {
    for network in [NetworkFault::Refused, NetworkFault::Reset, NetworkFault::BlackHole] {
        for (network, status) in [(network, Status::Unhealthy), (NetworkFault::None, Status::Healthy)] {
            proxies.iter().for_each(|proxy| proxy.set(network));
            let all = || health.report().checks().iter().all(|check| check.status() == status);
            wait::until(&format!("{status} in {network:?}"), all);
        }
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Returns the median of a line.
fn middle(samples: &[Sample], line: usize) -> f64 {
    let mut numbers: Vec<f64> = samples.iter().map(|Sample(_, numbers)| numbers[line]).collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[test]
fn nothing_grows_under_load_while_dependencies_flap() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (database, cache) = (postgres::Server::start(), redis::Server::start());
    let proxies = [Proxy::before(database.port()), Proxy::before(cache.port())];
    let mut config = deadpool_postgres::tokio_postgres::Config::new();
    config.host("127.0.0.1").port(proxies[0].port()).user("app").dbname("postgres").password(postgres::PASSWORD);
    let health = runtime.block_on(async {
        let database =
            Postgres::new(postgres::pool(config, 4)).every(millis(200)).recheck(millis(200)).timeout(millis(800));
        let url = format!("redis://:{}@127.0.0.1:{}/0", redis::PASSWORD, proxies[1].port());
        let cache =
            Redis::new(redis::pool(&url, 4)).every(millis(200)).recheck(millis(200)).timeout(millis(800)).optional();
        let health = Health::builder().check("database", database).check("cache", cache).start().unwrap();
        assert!(health.ready().await);
        health
    });
    let servers =
        Framework::ALL.map(|framework| serve(framework, framework.outermost(), Endpoint::from(health.clone())));
    let (over, answers) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    let samples = Mutex::new(Vec::new());
    let began = Instant::now();
    let mut warm = 0;
    thread::scope(|scope| {
        for server in servers.iter().chain(&servers) {
            scope.spawn(|| client(server.address, &over, &answers));
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let usage = process::usage();
                let tasks = runtime.metrics().num_alive_tasks();
                let numbers = [usage.resident >> 10, descriptors(), usage.threads, tasks].map(|count| count as f64);
                let sample = Sample(began.elapsed(), [numbers[0] / 1024.0, numbers[1], numbers[2], numbers[3]]);
                samples.lock().unwrap().push(sample);
                thread::sleep(EVERY);
            }
        });
        // The load also ends when a round hangs or panics.
        let _over = Ends(Arc::clone(&over));
        let mut rounds = 0;
        while rounds < ROUNDS || long() && began.elapsed() < LONG {
            round(&proxies, &health);
            rounds += 1;
            if rounds == WARM {
                warm = samples.lock().unwrap().len();
            }
        }
    });
    let samples = samples.into_inner().unwrap();
    let flaps: Vec<u64> = health.report().checks().iter().map(|check| check.history().flaps()).collect();
    let answers = answers.load(Ordering::Relaxed);
    println!("{answers} answers in {:?}, and the checks changed {flaps:?} times", began.elapsed());
    assert!(answers > 1_000, "only {answers} answers");
    assert!(flaps.iter().all(|flaps| *flaps >= 3 * ROUNDS as u64), "the checks changed only {flaps:?} times");

    let (early, late) = samples[warm..].split_at((samples.len() - warm) / 3);
    let late = &late[late.len() / 2..];
    let grown: Vec<(f64, f64)> = (0..LINES.len()).map(|line| (middle(early, line), middle(late, line))).collect();
    if std::env::var_os("HEALTH_WRITE_SOAK").is_some() {
        write(&samples, &grown, answers, &flaps);
    }
    for ((name, allowed, _), (early, late)) in LINES.iter().zip(grown) {
        println!("{name}: {early:.1}, then {late:.1}");
        assert!(late <= early + allowed, "{name} grew from {early:.1} to {late:.1}");
    }
    runtime.block_on(health.stop());
}

/// Ends the load when the test ends.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn file(name: &str) -> String {
    format!("{}/../health-core/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Writes the result and its plot.
fn write(samples: &[Sample], grown: &[(f64, f64)], answers: u64, flaps: &[u64]) {
    let minutes = samples[samples.len() - 1].0.as_secs_f64() / 60.0;
    let mut text = format!(
        "# Memory, descriptors, threads and tasks under load for {minutes:.0} minutes\n\n\
         Written by the test `real::operations::soak`. `HEALTH_WRITE_SOAK=1 tests/run --long soak` updates this page.\n\
         Three servers and their clients run in one process. Proxies between the checks and the\n\
         servers of PostgreSQL and Redis refuse, reset and drop connections in turn. The clients received {answers}\n\
         responses. Meanwhile the two checks changed {} and {} times to or from Unhealthy.\n\n\
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

/// Draws each line in a strip of its own, from zero to its maximum.
fn plot(samples: &[Sample]) -> String {
    const WIDTH: f64 = 720.0;
    const STRIP: f64 = 90.0;
    let end = samples[samples.len() - 1].0.as_secs_f64();
    let mut text = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"840\" height=\"400\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
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
