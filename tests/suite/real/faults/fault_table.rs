//! Every fault against every networked check, one test for each check. A proxy in front of the real server makes the
//! faults of the network. The server itself is frozen, killed and restarted. `docs/src/checks.md` shows the
//! table.

use std::{
    io::{self, Read as _},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use health_core::{Changes, Endpoint, Visibility};
use health_tests::{
    fault_rows::{Row, ServerUnderTest, TEST, TIMEOUT, WRONG, Watched, right_password, row},
    kafka, mariadb, memcached, mosquitto, name_server, nats, port, postgres,
    process::{self, Process},
    proxy::{NetworkFault, Proxy},
    rabbitmq, redis, service, smtp,
    support::{ask, long, millis},
    wait,
};
use tokio::task::block_in_place;
use tracing::Dispatch;
use tracing_subscriber::{
    filter::dynamic_filter_fn,
    fmt,
    layer::{Layer as _, SubscriberExt as _},
};

/// The number of lines of drivers that are scanned under an answer without end. Some drivers log each of its frames,
/// and all these lines have the same words.
const LINES: usize = 1_000;
/// The number of further lines of drivers that are scanned.
static LINES_LEFT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The maximum number of connections that a check can keep: the four of its pool, and one beside the pool.
const CONNECTIONS: usize = 5;
/// Memory that lapin leaks for each failed attempt to connect, in bytes: 6 to 10 kB, also without a check.
const LAPIN_KEEPS: usize = 8 << 10;
/// The allowed growth of the process's memory from the first round to the last, in bytes.
const MEMORY: usize = 16 << 20;
/// The memory that reading one answer may cost, in bytes.
const ONE_ANSWER: usize = 64 << 20;

/// Makes the allocator return large blocks to the system at once, so that the peak shows only memory in use.
const ALLOCATOR: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "131072");

/// Returns the number of rounds of faults after the first one. `HEALTH_ROUNDS` overrides it.
fn more_rounds() -> usize {
    let wanted = std::env::var("HEALTH_ROUNDS").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(if long() { 198 } else { 2 })
}

/// Asserts that each fault has its reason and that the check recovers, that no output contains a password, and that
/// nothing leaks.
fn under_every_fault(row: Row) {
    if std::env::var_os(ALLOCATOR.0).is_none() {
        return in_a_process_with_the_allocator(row);
    }
    let scan = Scan::default();
    let logging = scan.logging();
    // A thread of its own, because the mounts of `name_server::ask` belong to a thread. The runtime's threads inherit
    // them.
    let test = thread::spawn(move || {
        if row.name == "dns" {
            name_server::ask(name_server::address(TEST), "use-vc");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            // The threads of this test's own blocking calls end quickly, so that they do not count.
            .thread_keep_alive(millis(50))
            .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&logging)))
            .build()
            .unwrap();
        runtime.block_on(runtime.spawn(every_stage(row))).unwrap();
    });
    if let Err(panic) = test.join() {
        std::panic::resume_unwind(panic);
    }
    assert!(scan.is_told.load(Ordering::Relaxed), "the log has no line about the check");
    // These drivers log through `tracing`, the others log nothing.
    let is_traced =
        ["elasticsearch", "grpc", "http", "nats", "rabbitmq", "rabbitmq_connection", "rabbitmq_queue", "upstream"]
            .contains(&row.name);
    assert!(!is_traced || scan.is_traced.load(Ordering::Relaxed), "the log has no lines of the driver");
    assert!(!scan.has_password.load(Ordering::Relaxed), "the log contains a password");
}

/// Runs the test of this row in a child process, because the allocator must be configured before the process starts.
fn in_a_process_with_the_allocator(row: Row) {
    let (_, module) = module_path!().split_once("::").expect("a module of this suite");
    let test = format!("{module}::every_fault_has_its_reason_and_the_check_recovers::{}", row.name);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", &test]).env(ALLOCATOR.0, ALLOCATOR.1).stdout(Stdio::piped());
    let mut process = Process::new(command.spawn().unwrap());
    let mut output = String::new();
    process.child().stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let status = process.child().wait().unwrap();
    println!("{output}");
    assert!(status.success() && output.contains("1 passed"), "{test}: {status}");
}

async fn every_stage(row: Row) {
    let mut subject = block_in_place(row.start);
    wrong_password(row, &mut subject).await;
    let watched = Watched::start(row, &subject, true);
    let mut changes = watched.health.subscribe();
    watched.says("healthy", "before any fault").await;
    for (fault, expected) in row.cells() {
        under(fault, expected, &mut subject, &watched, true).await;
    }
    has_no_password(&format!("{:?}", (row.check)(&subject, true)), "a registration's Debug output");
    assert!(told(&mut changes).await > 1, "the check never changed");

    let connections = || port::connections_to(subject.proxy.port());
    let first = same(&connections).await;
    let (before, names) = (settled().await, process::threads());
    let (_, failed_before) = watched.runs();
    for _ in 0..more_rounds() {
        for (fault, expected) in row.cells() {
            // Servers take long to start, so only the long form repeats these rounds.
            if !matches!(fault, "killed" | "restarted") || long() && !row.name.starts_with("rabbitmq") {
                under(fault, expected, &mut subject, &watched, false).await;
            }
        }
    }
    let connections = || port::connections_to(subject.proxy.port());
    let most = (first + 1).clamp(1, CONNECTIONS).max(first);
    let what = format!("{}: at most {most} connections are left", row.name);
    wait::ok(&what, || if connections() <= most { Ok(()) } else { Err(connections()) }).await;
    let what = format!("{}: no more threads than {names:?}", row.name);
    let threads = || if process::usage().threads <= before.threads { Ok(()) } else { Err(process::threads()) };
    wait::ok(&what, threads).await;
    let attempts = usize::try_from(watched.runs().1 - failed_before).unwrap();
    let allowed = MEMORY + if row.name.starts_with("rabbitmq") { attempts * LAPIN_KEEPS } else { 0 };
    let what = format!("{}: at most {allowed} bytes more than {before:?}", row.name);
    let fits = || {
        let now = process::usage();
        if now.resident <= before.resident + allowed { Ok(now) } else { Err(now) }
    };
    let after = wait::ok(&what, fits).await;
    println!("{}: {before:?}, then {after:?}; {} connections", row.name, connections());

    flood(row, &subject, &watched).await;
    watched.health.stop().await;
}

/// Starts a fault, waits for its verdict, ends the fault and waits until the check is healthy.
async fn under(fault: &str, expected: &str, subject: &mut ServerUnderTest, watched: &Watched, first: bool) {
    if expected == "-" || fault == "wrong password" {
        return;
    }
    if fault == "killed" {
        // Freezing first ensures that a run is in progress when the server is killed.
        subject.server.freeze();
        let before = watched.runs().0;
        wait::true_of("a run against a frozen server", || watched.runs().0 > before).await;
    }
    if fault == "endless" {
        LINES_LEFT.store(LINES, Ordering::Relaxed);
    }
    block_in_place(|| begin(fault, watched.row, subject));
    watched.goes_on_saying(expected, fault).await;
    if first {
        no_output_has_a_password(watched);
    }
    block_in_place(|| end(fault, subject));
    watched.says("healthy", &format!("after {fault}")).await;
    // Until now the driver was still reading what it had received of an endless answer.
    LINES_LEFT.store(usize::MAX, Ordering::Relaxed);
}

/// Asserts that each fault of the application's pool and of the server has its reason and that the check recovers.
async fn every_stage_of_a_pool(row: Row) {
    let subject = block_in_place(row.start);
    let pooled = (row.pool.expect("a pool"))(&subject);
    for (fault, expected) in row.pool_cells() {
        // Opens every connection of the pool. By the second run sqlx has returned them.
        drop(pooled.take_all().await);
        // A fault without an outage gets a long deadline, so that a slow machine fails no run. The fault matrix
        // measures the time.
        let timeout = if expected == "healthy" { TIMEOUT * 10 } else { TIMEOUT };
        let before = Watched::check_within(timeout, row, (pooled.check)());
        before.goes_on_saying("healthy", &format!("before {fault}")).await;
        let begun = pooled.begin(fault, &subject).await;
        // A second check finds the server full from its first run. The check that ran before may keep a connection
        // beside the pool.
        let after = (fault == "full server").then(|| Watched::check(row, (pooled.check)()));
        for watched in after.iter().chain([&before]) {
            if expected == "healthy" {
                let runs = watched.runs().0;
                wait::true_of("eight runs", || watched.runs().0 >= runs + 8).await;
                assert_eq!(watched.not_healthy(), 0, "{}, {fault}: {:?}", row.name, watched.report());
            } else {
                watched.goes_on_saying(expected, fault).await;
            }
        }
        begun.end(&subject);
        for watched in after.iter().chain([&before]) {
            watched.says("healthy", &format!("after {fault}")).await;
            watched.health.stop().await;
        }
    }
}

fn begin(fault: &str, row: Row, subject: &mut ServerUnderTest) {
    match fault {
        "refused" => subject.proxy.set(NetworkFault::Refused),
        "black hole" => subject.proxy.set(NetworkFault::BlackHole),
        "frozen" => subject.server.freeze(),
        // The proxy refuses connections, as the port of a dead process does.
        "killed" => {
            subject.server.kill();
            subject.proxy.set(NetworkFault::Refused);
        }
        "restarted" => {
            subject.server.stop();
            subject.proxy.set(NetworkFault::Refused);
        }
        "reset" => subject.proxy.set(NetworkFault::Reset),
        "trickle" => subject.proxy.set(NetworkFault::Trickle),
        _ => subject.proxy.set(NetworkFault::Endless(row.endless.0, row.endless.1)),
    }
}

fn end(fault: &str, subject: &mut ServerUnderTest) {
    match fault {
        "frozen" => subject.server.thaw(),
        "killed" | "restarted" => subject.server.run(),
        _ => {}
    }
    subject.proxy.set(NetworkFault::None);
}

/// Starts with the wrong password, until the server accepts it.
async fn wrong_password(row: Row, subject: &mut ServerUnderTest) {
    let expected = row.cells().find(|(fault, _)| *fault == "wrong password").unwrap().1;
    if expected == "-" {
        return;
    }
    let watched = Watched::start(row, subject, false);
    has_no_password(&format!("{:?}", (row.check)(subject, false)), "a registration's Debug output");
    watched.says(expected, "wrong password").await;
    no_output_has_a_password(&watched);
    // These clients never retry after their password was refused.
    if !["nats", "redis_connection"].contains(&row.name) {
        block_in_place(|| subject.server.accept_password(WRONG));
        watched.says("healthy", "with the password accepted").await;
        block_in_place(|| subject.server.accept_password(right_password(row.name)));
    }
    watched.health.stop().await;
}

/// Sends an endless answer as fast as the check reads it, until its deadline. Reading it must cost bounded memory.
async fn flood(row: Row, subject: &ServerUnderTest, watched: &Watched) {
    // An answer of a name server is at most 64 KiB long. The clients of Redis collect a string until it is complete, so
    // only the deadline or the client's own timeout limits it.
    if ["dns", "fred", "redis", "redis_connection", "redis_queue"].contains(&row.name) {
        return;
    }
    watched.says("healthy", "before the flood").await;
    process::forget_peak();
    let before = process::usage();
    LINES_LEFT.store(LINES, Ordering::Relaxed);
    block_in_place(|| subject.proxy.set(NetworkFault::Flood(row.endless.0, row.endless.1)));
    let (first, _) = watched.runs();
    wait::true_of("two runs in the flood", || watched.runs().0 >= first + 2).await;
    let peak = process::usage().peak.saturating_sub(before.resident);
    println!("{}: {} MiB at the peak, in runs of {TIMEOUT:?}", row.name, peak >> 20);
    // A check of a pool may read a second answer beside the pool at the same time.
    let answers = if row.pool.is_some() { 2 } else { 1 };
    assert!(peak < answers * ONE_ANSWER, "{}: {peak} bytes", row.name);
    block_in_place(|| subject.proxy.set(NetworkFault::None));
    watched.says("healthy", "after the flood").await;
}

/// Returns the process's resource usage once its number of threads is stable.
async fn settled() -> process::Usage {
    same(&|| process::usage().threads).await;
    process::usage()
}

/// Returns a number once it is the same in ten readings.
async fn same(look: &(impl Fn() -> usize + Sync)) -> usize {
    let mut looks = Vec::new();
    wait::ok("a stable number", || {
        looks.push(look());
        let last = looks[looks.len() - 1];
        let stays = looks.len() >= 10 && looks.iter().rev().take(10).all(|look| *look == last);
        if stays { Ok(last) } else { Err(last) }
    })
    .await
}

/// Counts the received changes and asserts that none of them contains a password.
async fn told(changes: &mut Changes) -> usize {
    let mut count = 0;
    while let Ok(Some(change)) = tokio::time::timeout(millis(1), changes.next()).await {
        has_no_password(&format!("{change:?}"), "a notification");
        count += 1;
    }
    count
}

fn no_output_has_a_password(watched: &Watched) {
    let health = &watched.health;
    has_no_password(&format!("{health:?} {:?}", health.report()), watched.row.name);
    for visibility in Visibility::ALL {
        let endpoint = Endpoint::new(health.clone()).visibility(*visibility);
        for path in [
            "/health",
            "/health?format=health",
            "/health?format=text",
            "/health/metrics",
            "/health/checks/subject",
            "/readyz?verbose",
            "/readyz/subject",
        ] {
            has_no_password(&String::from_utf8_lossy(&ask(&endpoint, "GET", path).body), path);
        }
    }
}

/// Every password of the test servers, and the wrong one.
const PASSWORDS: [&str; 11] = [
    WRONG,
    kafka::PASSWORD,
    mariadb::PASSWORD,
    memcached::PASSWORD,
    mosquitto::PASSWORD,
    nats::PASSWORD,
    postgres::PASSWORD,
    rabbitmq::PASSWORD,
    redis::PASSWORD,
    smtp::PASSWORD,
    service::TOKEN,
];

fn has_no_password(text: &str, output: &str) {
    for password in PASSWORDS {
        assert!(!text.contains(password), "{output} contains {password}: {text}");
    }
}

/// Scans every line of the log, of `health` and of the drivers, and stores none.
#[derive(Clone, Default)]
struct Scan {
    is_told: Arc<AtomicBool>,
    is_traced: Arc<AtomicBool>,
    has_password: Arc<AtomicBool>,
}

impl Scan {
    fn logging(&self) -> Dispatch {
        let scan = self.clone();
        let lines = fmt::layer().with_ansi(false).with_writer(move || scan.clone());
        let is_scanned = dynamic_filter_fn(|line, _| {
            let next = |left: usize| left.checked_sub(1);
            line.target() == "health" || LINES_LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
        });
        Dispatch::new(tracing_subscriber::registry().with(lines.with_filter(is_scanned)))
    }
}

impl io::Write for Scan {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.is_told.fetch_or(text.contains(" health: check is "), Ordering::Relaxed);
        self.is_traced.fetch_or(text.contains("TRACE"), Ordering::Relaxed);
        if PASSWORDS.iter().any(|password| text.contains(password)) {
            self.has_password.store(true, Ordering::Relaxed);
            // The start of the line identifies it without showing the password.
            eprintln!("a line of {} characters contains a password: {:.60}", text.len(), text);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Defines a test for each row, with the name of its check.
macro_rules! rows {
    ($($name:ident),+ $(,)?) => {
        const TESTED: &[&str] = &[$(stringify!($name)),+];

        mod every_fault_has_its_reason_and_the_check_recovers {
            $(#[test]
            fn $name() {
                super::under_every_fault(super::row(stringify!($name)));
            })+
        }
    };
}

rows!(
    bb8,
    certificate,
    diesel,
    dns,
    elasticsearch,
    fred,
    grpc,
    http,
    kafka,
    kafka_lag,
    memcached,
    mongodb,
    mqtt,
    nats,
    postgres,
    r2d2,
    rabbitmq,
    rabbitmq_connection,
    rabbitmq_queue,
    redis,
    redis_connection,
    redis_queue,
    smtp,
    sqlx,
    tcp,
    upstream,
);

/// Defines a test for each row with a pool, with the name of its check.
macro_rules! pools {
    ($($name:ident),+ $(,)?) => {
        const POOLS: &[&str] = &[$(stringify!($name)),+];

        mod every_fault_of_a_pool_has_its_reason_and_the_check_recovers {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::every_stage_of_a_pool(super::row(stringify!($name))).await;
            })+
        }
    };
}

pools!(bb8, diesel, postgres, r2d2, rabbitmq, rabbitmq_queue, redis, redis_queue, sqlx);

#[test]
fn every_row_has_a_test() {
    let rows: Vec<&str> = health_tests::fault_rows::ROWS.iter().map(|row| row.name).collect();
    assert_eq!(TESTED, rows);
    let pools = health_tests::fault_rows::ROWS.iter().filter(|row| row.pool.is_some()).map(|row| row.name);
    assert_eq!(POOLS, pools.collect::<Vec<_>>());
}

/// The proxy's fault `Reset` is a TCP reset.
#[test]
fn a_reset_of_the_proxy_is_a_tcp_reset() {
    use std::io::Write as _;
    let server = std::net::TcpListener::bind(port::local(0)).unwrap();
    let proxy = Proxy::before(server.local_addr().unwrap().port());
    let mut client = std::net::TcpStream::connect(port::local(proxy.port())).unwrap();
    // The proxy connects to the server only after it has accepted a client.
    let (mut accepted, _) = server.accept().unwrap();
    let echo = thread::spawn(move || {
        let mut bytes = [0; 8];
        accepted.read_exact(&mut bytes).unwrap();
        let _ = accepted.write_all(&bytes);
        let _ = accepted.read(&mut bytes);
    });
    proxy.set(NetworkFault::Reset);
    client.write_all(b"01234567").unwrap();
    let mut answer = Vec::new();
    let end = client.read_to_end(&mut answer).unwrap_err();
    assert_eq!((answer.as_slice(), end.kind()), (b"012".as_slice(), io::ErrorKind::ConnectionReset));
    drop(client);
    echo.join().unwrap();
}
