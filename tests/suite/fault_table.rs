//! Every fault against every networked check, as data: one row per check, one cell per fault. A proxy in front of each
//! real server makes the weather; the server itself is frozen, killed and started again. The README shows the table.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use health_core::{
    Certificate, CheckExt as _, CheckReport, Dns, Grpc, Health, Http, Kafka, KafkaLag, Nats, Postgres, RabbitMq,
    RabbitMqQueue, Redis, RedisQueue, Registration, Sqlx, Tcp, Upstream,
};
use health_tests::{
    certificates::Authority,
    daemon::Server,
    kafka,
    kafka_gate::Gate,
    mariadb, name_server, nats, port, postgres, process,
    proxy::{Proxy, Weather},
    rabbitmq, redis,
    service::{self, Kind},
};
use rdkafka::{ClientConfig, consumer::BaseConsumer};
use tokio::{
    runtime::Handle,
    task::{JoinSet, block_in_place},
    time::sleep,
};
use tokio_rustls::rustls::RootCertStore;
use tonic::{metadata::MetadataValue, service::interceptor::InterceptedService, transport::Endpoint};

use crate::support::{Mood, client, long, millis, secs};

const TIMEOUT: Duration = secs(1);
/// A run that was given up is told of so much later at the latest, and twice as late as the machine itself stalls.
const GRACE: Duration = millis(300);
/// A fault shows within this: the timeout, an interval, and what the machine needs.
const NOTICED: Duration = secs(5);
/// A recovery shows within this; some clients wait before they connect again.
const RECOVERED: Duration = secs(8);

/// Whose name server it is.
const TEST: u8 = 1;

/// The columns.
const FAULTS: [&str; 9] =
    ["refused", "black hole", "frozen", "killed", "restarted", "wrong password", "reset", "trickle", "endless"];

/// One check, and the server that it watches.
#[derive(Clone, Copy)]
struct Row {
    /// The check, as its module is called.
    name: &'static str,
    /// What it says under each fault, in the order of the columns: a reason, `healthy` where the fault is beyond what it proves, or `-` where there
    /// is no such thing. A client that tells one or the other, as its own connections will have it, has both.
    cells: &'static str,
    start: fn() -> Place,
    /// The check, with the right or with the wrong credentials.
    check: fn(&Place, bool) -> Registration,
    /// What comes first in place of an answer, and then for ever.
    endless: (&'static [u8], &'static [u8]),
}

impl Row {
    /// Each fault, and what the check says under it.
    fn cells(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        FAULTS.into_iter().zip(self.cells.split_whitespace())
    }
}

/// A running server behind its proxy.
struct Place {
    server: Box<dyn Server>,
    proxy: Proxy,
    /// Whom a TLS server's certificates are from, with the right password and with the wrong one.
    roots: Vec<Arc<RootCertStore>>,
}

impl Place {
    fn of(server: impl Server + 'static) -> Self {
        let proxy = Proxy::before(server.port());
        Self::behind(proxy, server)
    }

    fn behind(proxy: Proxy, server: impl Server + 'static) -> Self {
        Self { server: Box::new(server), proxy, roots: Vec::new() }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.proxy.port())
    }
}

const WRONG: &str = "not-the-password";

fn password(right: bool, password: &str) -> &str {
    if right { password } else { WRONG }
}

fn bearer(right: bool) -> String {
    format!("Bearer {}", password(right, service::TOKEN))
}

fn kafka_place() -> Place {
    // The broker tells its clients to connect to the proxy.
    let port = port::free();
    let gate = Gate::before(port, kafka::PASSWORD);
    let proxy = Proxy::before(gate.port());
    let mut server = kafka::Server::advertising(port, proxy.port(), Some(gate));
    server.create_topic("orders", 2);
    Place::behind(proxy, server)
}

fn kafka_client(place: &Place, right: bool) -> ClientConfig {
    let mut config = kafka::config(place.proxy.port());
    config.set("group.id", "readers");
    kafka::with_password(config, password(right, kafka::PASSWORD))
}

fn rabbitmq_place() -> Place {
    let server = rabbitmq::Server::start();
    block_in_place(|| Handle::current().block_on(server.declare("orders")));
    Place::of(server)
}

fn amqp(place: &Place, right: bool) -> deadpool_lapin::Pool {
    rabbitmq::pool(&rabbitmq::url(place.proxy.port(), password(right, rabbitmq::PASSWORD)), 4)
}

fn resp(place: &Place, right: bool) -> deadpool_redis::Pool {
    redis::pool(&format!("redis://:{}@{}/0", password(right, redis::PASSWORD), place.address()), 4)
}

const ROWS: [Row; 15] = [
    Row {
        name: "certificate",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout rejected",
        start: || {
            let (known, stranger) = (Authority::new(), Authority::new());
            let server = service::Server::start(known.sign("localhost", -1, 90));
            server.keep(WRONG, &stranger.sign("localhost", -1, 90));
            let mut place = Place::of(server);
            place.roots = [known, stranger].iter().map(|authority| Arc::new(authority.roots())).collect();
            place
        },
        check: |place, right| {
            let roots = Arc::clone(&place.roots[usize::from(!right)]);
            let provider = tokio_rustls::rustls::crypto::ring::default_provider();
            Certificate::endpoint(format!("localhost:{}", place.proxy.port()), roots).crypto_provider(provider).into()
        },
        endless: (b"", b"x"),
    },
    // Over TCP, so that the proxy can stand before the name server; over UDP it is tested in `dns`.
    Row {
        name: "dns",
        cells: "unreachable timeout timeout unreachable unreachable - unreachable timeout timeout",
        start: || {
            let server = name_server::Server::start();
            let proxy = Proxy::at(name_server::address(TEST), server.port());
            Place::behind(proxy, server)
        },
        check: |_, _| Dns::new(name_server::NAME).at_least(2).into(),
        endless: (b"", b"\xff\xff"),
    },
    Row {
        name: "grpc",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: || Place::of(service::Server::start(Kind::Grpc)),
        check: |place, right| {
            let channel = Endpoint::from_shared(format!("http://{}", place.address())).unwrap().connect_lazy();
            let token: MetadataValue<_> = bearer(right).parse().unwrap();
            let carries = move |mut request: tonic::Request<()>| {
                request.metadata_mut().insert("authorization", token.clone());
                Ok(request)
            };
            Grpc::new(InterceptedService::new(channel, carries)).critical()
        },
        // Frames of an unknown kind, which HTTP/2 wants to be ignored.
        endless: (b"", b"\0\0\x08\x42\0\0\0\0\0........"),
    },
    Row {
        name: "http",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        start: || Place::of(service::Server::start(Kind::Http)),
        check: |place, right| {
            let check = Http::get(client(), format!("http://{}/status", place.address()));
            check.header("authorization", bearer(right)).body_contains("ready").critical()
        },
        endless: (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    },
    Row {
        name: "kafka",
        cells: "unreachable timeout/unreachable timeout/unreachable unreachable unreachable unreachable unreachable \
                timeout/unreachable unreachable",
        start: kafka_place,
        check: |place, right| {
            Kafka::consumer(Arc::new(kafka_client(place, right).create::<BaseConsumer>().unwrap()))
                .topic("orders")
                .into()
        },
        endless: (b"", b"\x7f\xff\xff\xff"),
    },
    Row {
        name: "kafka_lag",
        cells: "unreachable timeout/unreachable timeout/unreachable unreachable unreachable unreachable unreachable \
                timeout/unreachable unreachable",
        start: kafka_place,
        check: |place, right| {
            KafkaLag::new(Arc::new(kafka_client(place, right).create::<BaseConsumer>().unwrap())).topic("orders").into()
        },
        endless: (b"", b"\x7f\xff\xff\xff"),
    },
    Row {
        name: "nats",
        cells: "unreachable timeout timeout unreachable unreachable unreachable unreachable timeout timeout",
        start: || Place::of(nats::Server::start()),
        check: |place, right| {
            let client = nats::client(place.proxy.port(), password(right, nats::PASSWORD));
            Nats::new(block_in_place(|| Handle::current().block_on(client))).into()
        },
        endless: (b"", b"+OK\r\n"),
    },
    Row {
        name: "postgres",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        start: || Place::of(postgres::Server::start()),
        check: |place, right| {
            let mut config = deadpool_postgres::tokio_postgres::Config::new();
            config.host("127.0.0.1").port(place.proxy.port()).user("app").dbname("postgres");
            Postgres::new(postgres::pool(config.password(password(right, postgres::PASSWORD)).clone(), 4)).into()
        },
        // A notice, which may come at any time.
        endless: (b"", b"N\0\0\0\x17SNOTICE\0C00000\0Mx\0\0"),
    },
    Row {
        name: "rabbitmq",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: rabbitmq_place,
        check: |place, right| RabbitMq::new(amqp(place, right)).into(),
        // The heartbeat.
        endless: (b"", b"\x08\0\0\0\0\0\0\xce"),
    },
    Row {
        name: "rabbitmq_queue",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: rabbitmq_place,
        check: |place, right| RabbitMqQueue::new(amqp(place, right), "orders").into(),
        endless: (b"", b"\x08\0\0\0\0\0\0\xce"),
    },
    Row {
        name: "redis",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: || Place::of(redis::Server::start()),
        check: |place, right| Redis::new(resp(place, right)).into(),
        // The beginning of a very long string.
        endless: (b"$2000000000\r\n", b"x"),
    },
    Row {
        name: "redis_queue",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: || Place::of(redis::Server::start()),
        check: |place, right| RedisQueue::list(resp(place, right), "jobs").into(),
        endless: (b"$2000000000\r\n", b"x"),
    },
    Row {
        name: "sqlx",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: || Place::of(mariadb::Server::start()),
        check: |place, right| {
            Sqlx::new(mariadb::pool(place.proxy.port(), password(right, mariadb::PASSWORD), 4)).into()
        },
        // A packet of the greatest length.
        endless: (b"", b"\xff\xff\xff\0"),
    },
    Row {
        name: "tcp",
        cells: "unreachable healthy healthy unreachable unreachable - healthy healthy healthy",
        start: || Place::of(service::Server::start(Kind::Http)),
        check: |place, _| Tcp::new(place.address()).into(),
        endless: (b"", b"x"),
    },
    Row {
        name: "upstream",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        start: || Place::of(service::Server::start(Kind::Http)),
        check: |place, right| {
            let check = Upstream::new(client(), format!("http://{}/health", place.address()));
            check.header("authorization", bearer(right)).critical()
        },
        endless: (b"HTTP/1.1 200 OK\r\n\r\n{", b" "),
    },
];

/// A check of a row that is running.
struct Watched {
    row: Row,
    health: Health,
    mood: Mood,
}

impl Watched {
    fn start(row: Row, place: &Place, right: bool) -> Self {
        let check = (row.check)(place, right);
        let check = check.every(millis(300)).recheck(millis(200)).timeout(TIMEOUT).readiness();
        Self { row, health: Health::builder().check("subject", check).start().unwrap(), mood: Mood::watch() }
    }

    fn report(&self) -> Arc<CheckReport> {
        Arc::clone(&self.health.report().checks[0])
    }

    /// Waits until it says so, and tells how long that took.
    async fn says(&self, expected: &str, within: Duration, during: &str) -> Duration {
        let began = Instant::now();
        loop {
            let report = self.report();
            let said = report.reason.map_or(report.status.as_str(), |reason| reason.as_str());
            if expected.split('/').any(|expected| said == expected) && !report.is_pending() {
                return began.elapsed();
            }
            let (name, message) = (self.row.name, &report.message);
            assert!(
                began.elapsed() < within,
                "{name}, {during}: no {expected} within {within:?} but {said} {message:?}"
            );
            sleep(millis(10)).await;
        }
    }

    /// No run has taken longer than its deadline.
    fn kept_deadlines(&self) {
        let report = self.report();
        let longest = report.history.results.iter().map(|result| result.duration).max();
        let stalled = self.mood.stalled();
        let allowed = TIMEOUT + GRACE + stalled * 2;
        assert!(longest < Some(allowed), "{}: a run took {longest:?}, with stalls of {stalled:?}", self.row.name);
    }
}

/// Every fault of one row, from health to health.
async fn every_fault(row: Row, place: &mut Place) {
    let watched = Watched::start(row, place, true);
    for (fault, expected) in row.cells() {
        if expected == "-" {
            continue;
        }
        if fault == "wrong password" {
            wrong_password(row, expected, place).await;
            continue;
        }
        watched.says("healthy", secs(20), &format!("before {fault}")).await;
        block_in_place(|| begin(fault, row, place));
        let after = watched.says(expected, NOTICED, fault).await;
        sleep(if expected == "healthy" { millis(1500) } else { millis(300) }).await;
        // It stays so.
        watched.says(expected, secs(1), fault).await;
        watched.kept_deadlines();
        block_in_place(|| end(fault, place));
        let recovered = watched.says("healthy", RECOVERED, &format!("after {fault}")).await;
        println!("{} {fault}: {expected} after {after:.1?}, healthy after {recovered:.1?}", row.name);
    }
    watched.health.stop().await;
}

fn begin(fault: &str, row: Row, place: &mut Place) {
    match fault {
        "refused" => place.proxy.turns(Weather::Refused),
        "black hole" => place.proxy.turns(Weather::BlackHole),
        "frozen" => place.server.freeze(),
        // Nobody listens for a process that is gone.
        "killed" => {
            place.server.freeze();
            std::thread::sleep(millis(400));
            place.server.kill();
            place.proxy.turns(Weather::Refused);
        }
        "restarted" => {
            place.server.stop();
            place.proxy.turns(Weather::Refused);
        }
        "reset" => place.proxy.turns(Weather::Reset),
        "trickle" => place.proxy.turns(Weather::Trickle),
        _ => place.proxy.turns(Weather::Endless(row.endless.0, row.endless.1)),
    }
}

fn end(fault: &str, place: &mut Place) {
    match fault {
        "frozen" => place.server.thaw(),
        "killed" | "restarted" => place.server.run(),
        _ => {}
    }
    place.proxy.turns(Weather::Fair);
}

/// Wrong from the beginning, until the server takes it.
async fn wrong_password(row: Row, expected: &str, place: &mut Place) {
    let watched = Watched::start(row, place, false);
    let after = watched.says(expected, NOTICED, "wrong password").await;
    watched.kept_deadlines();
    // The client of NATS gives up for good once its password was refused.
    if row.name == "nats" {
        println!("{} wrong password: {expected} after {after:.1?}", row.name);
    } else {
        block_in_place(|| place.server.accept_password(WRONG));
        let recovered = watched.says("healthy", RECOVERED, "with the password accepted").await;
        println!("{} wrong password: {expected} after {after:.1?}, healthy after {recovered:.1?}", row.name);
        block_in_place(|| place.server.accept_password(right_password(row.name)));
    }
    watched.health.stop().await;
}

fn right_password(row: &str) -> &'static str {
    match row {
        "kafka" | "kafka_lag" => kafka::PASSWORD,
        "nats" => nats::PASSWORD,
        "postgres" => postgres::PASSWORD,
        "rabbitmq" | "rabbitmq_queue" => rabbitmq::PASSWORD,
        "redis" | "redis_queue" => redis::PASSWORD,
        "sqlx" => mariadb::PASSWORD,
        _ => service::TOKEN,
    }
}

/// Rounds of losses, and how many connections there were after the last.
async fn rounds(row: Row, place: &mut Place, watched: &Watched, count: usize) -> usize {
    for round in 0..count {
        for (fault, expected) in row.cells() {
            // Servers take their time to start: some rounds do without that, unless there is time for all.
            let goes_on = round % 5 != 0 && (!long() || row.name.starts_with("rabbitmq"));
            let skipped = fault == "wrong password" || goes_on && matches!(fault, "killed" | "restarted");
            if expected != "-" && !skipped {
                block_in_place(|| begin(fault, row, place));
                watched.says(expected, NOTICED, fault).await;
                block_in_place(|| end(fault, place));
                watched.says("healthy", RECOVERED, &format!("after {fault}")).await;
            }
        }
    }
    // What was given up is closed by tasks that may need a moment.
    let connections = || port::connections_to(place.proxy.port());
    let mut least = connections();
    for _ in 0..20 {
        sleep(millis(100)).await;
        least = least.min(connections());
    }
    least
}

/// What this process uses once it has no more threads than these, or once those that Tokio lent to this test's own
/// blocking calls have gone.
async fn settled(threads: usize) -> process::Usage {
    let began = Instant::now();
    while process::usage().threads > threads && began.elapsed() < secs(12) {
        sleep(millis(100)).await;
    }
    process::usage()
}

/// The rows to run: all, or those that `HEALTH_ROWS` names. Only root can put a name server of its own in place.
fn rows() -> Vec<Row> {
    let is_root = nix::unistd::geteuid().is_root();
    let wanted = std::env::var("HEALTH_ROWS").ok();
    let is_wanted = |row: &Row| wanted.as_deref().is_none_or(|wanted| wanted.split(',').any(|name| name == row.name));
    ROWS.into_iter().filter(is_wanted).filter(|row| is_root || row.name != "dns").collect()
}

/// Does something with every row at once, and panics with everything that went wrong.
async fn at_once<T, R>(of: Vec<T>, work: impl Fn(T) -> std::pin::Pin<Box<dyn Future<Output = R> + Send>>) -> Vec<R>
where
    R: Send + 'static,
{
    let mut tasks = JoinSet::new();
    of.into_iter().for_each(|it| drop(tasks.spawn(work(it))));
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(result) => done.push(result),
            Err(error) => failed.push(error.to_string()),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    done
}

#[test]
#[ignore = "needs every server: tests/run"]
fn every_fault_has_its_reason_its_deadline_and_its_recovery() {
    // A thread of its own, because its mounts are: the runtime's threads come from it and see the same.
    let test = std::thread::spawn(|| {
        if rows().iter().any(|row| row.name == "dns") {
            name_server::ask(name_server::address(TEST), "use-vc");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build().unwrap();
        runtime.block_on(runtime.spawn(the_table())).unwrap();
    });
    if let Err(panic) = test.join() {
        std::panic::resume_unwind(panic);
    }
}

async fn the_table() {
    let places = at_once(rows(), |row| Box::pin(async move { (row, block_in_place(row.start)) })).await;
    let places = at_once(places, |(row, mut place)| {
        Box::pin(async move {
            every_fault(row, &mut place).await;
            (row, place)
        })
    })
    .await;

    // Again and again, and nothing grows.
    let subjects = places.into_iter().map(|(row, place)| (Watched::start(row, &place, true), place)).collect();
    let run = |count: usize| {
        move |(watched, mut place): (Watched, Place)| -> std::pin::Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(async move {
                watched.says("healthy", secs(20), "before the rounds").await;
                let connections = rounds(watched.row, &mut place, &watched, count).await;
                (connections, (watched, place))
            })
        }
    };
    let first = at_once(subjects, run(2)).await;
    let before = settled(0).await;
    let mut connections: Vec<(&str, usize)> = first.iter().map(|(count, (it, _))| (it.row.name, *count)).collect();
    let subjects = first.into_iter().map(|(_, subject)| subject).collect();
    let last = at_once(subjects, run(if long() { 198 } else { 8 })).await;
    let after = settled(before.threads).await;
    println!("{before:?}, then {after:?}");
    for (count, (watched, _)) in &last {
        let name = watched.row.name;
        let at = connections.iter().position(|(known, _)| *known == name).unwrap();
        let (_, earlier) = connections.swap_remove(at);
        println!("{name}: {earlier} connections, then {count}");
        // One may still be closing; a leak would be one for each round at least.
        assert!(*count <= earlier + 1, "{name}: {earlier} connections became {count}");
    }
    assert!(after.threads <= before.threads, "{before:?} became {after:?}");
    // `tests/run` has the allocator give back at once what is freed; else it keeps the largest buffers of each thread.
    assert!(after.resident <= before.resident + (16 << 20), "{before:?} became {after:?}");
    for (_, (watched, _)) in last {
        watched.health.stop().await;
    }
}

/// As fast as it can be read, for as long as the deadline lets it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs every server: tests/run"]
async fn an_endless_answer_at_full_speed_costs_bounded_memory() {
    // Any name server's answer fits into 64 KiB.
    let rows = rows().into_iter().filter(|row| row.name != "dns").collect();
    for (row, place) in at_once(rows, |row| Box::pin(async move { (row, block_in_place(row.start)) })).await {
        let watched = Watched::start(row, &place, true);
        watched.says("healthy", secs(20), "before the flood").await;
        process::forget_peak();
        let before = process::usage();
        block_in_place(|| place.proxy.turns(Weather::Flood(row.endless.0, row.endless.1)));
        sleep(TIMEOUT * 2).await;
        let peak = process::usage().peak.saturating_sub(before.resident);
        println!("{}: {} MiB at the peak", row.name, peak >> 20);
        // The client of Redis gathers a string until it is whole, so that only the deadline bounds it.
        let allowed = if row.name.starts_with("redis") { usize::MAX } else { 64 << 20 };
        assert!(peak < allowed, "{}: {peak} bytes", row.name);
        block_in_place(|| place.proxy.turns(Weather::Fair));
        watched.says("healthy", RECOVERED, "after the flood").await;
        watched.health.stop().await;
    }
}

/// What the tests call a reset is one.
#[tokio::test]
async fn the_proxys_reset_is_a_reset() {
    use std::io::{Read as _, Write as _};
    let server = std::net::TcpListener::bind(port::local(0)).unwrap();
    let proxy = Proxy::before(server.local_addr().unwrap().port());
    let echo = std::thread::spawn(move || {
        let (mut client, _) = server.accept().unwrap();
        let mut bytes = [0; 8];
        client.read_exact(&mut bytes).unwrap();
        let _ = client.write_all(&bytes);
        let _ = client.read(&mut bytes);
    });
    let mut client = std::net::TcpStream::connect(port::local(proxy.port())).unwrap();
    // Until the proxy has it.
    sleep(millis(50)).await;
    proxy.turns(Weather::Reset);
    client.write_all(b"01234567").unwrap();
    let mut answer = Vec::new();
    let end = client.read_to_end(&mut answer).unwrap_err();
    assert_eq!((answer.as_slice(), end.kind()), (b"012".as_slice(), std::io::ErrorKind::ConnectionReset));
    drop(client);
    echo.join().unwrap();
}

/// Every check that talks to something is in the table.
#[test]
fn every_networked_check_has_a_row() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../health-core/src/checks");
    let local = [
        "backlog",
        "blocking",
        "cgroup",
        "closure",
        "cpu",
        "disk_space",
        "error_rate",
        "file_descriptors",
        "gauge",
        "heartbeat",
        "latch",
        "limits",
        "memory",
        "mod",
        "pool",
        "pool_tests",
        "resolve",
        "runtime_lag",
        "spool_directory",
        "task_alive",
        "toggle",
        "upstream_document",
        "upstream_document_tests",
        "uptime",
    ];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(local.contains(&name) != ROWS.iter().any(|row| row.name == name), "{name}");
    }
}

/// The table, as the README shows it.
fn table() -> String {
    let mut text = format!("| check | {} |\n|{}\n", FAULTS.join(" | "), "---|".repeat(FAULTS.len() + 1));
    for row in ROWS {
        writeln!(text, "| `{}` | {} |", row.name, row.cells().map(|(_, said)| said).collect::<Vec<_>>().join(" | "))
            .unwrap();
    }
    text
}

#[test]
fn the_readme_shows_this_table() {
    assert!(ROWS.iter().all(|row| row.cells().count() == FAULTS.len()));
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    assert!(readme.contains(&table()), "the README does not have:\n{}", table());
}
