//! Every networked check in front of the server that it watches, behind a proxy that makes the weather: what
//! `fault_table` and `fault_matrix` run.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use health_core::{
    Certificate, CheckExt as _, CheckReport, Dns, Grpc, Health, Http, Kafka, KafkaLag, Nats, Postgres, RabbitMq,
    RabbitMqQueue, Redis, RedisQueue, Registration, Sqlx, Status, Tcp, Upstream,
};
use health_tests::{
    certificates::Authority,
    daemon::Server,
    kafka,
    kafka_gate::Gate,
    mariadb, name_server, nats, port, postgres,
    proxy::Proxy,
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

use crate::support::{Mood, client, millis, secs};

/// Of every check here.
pub(crate) const TIMEOUT: Duration = secs(1);
/// A run that was given up is told of so much later at the latest, and twice as late as the machine itself stalls.
const GRACE: Duration = millis(300);

/// Whose name server it is.
pub(crate) const TEST: u8 = 1;

/// The columns of the table.
pub(crate) const FAULTS: [&str; 9] =
    ["refused", "black hole", "frozen", "killed", "restarted", "wrong password", "reset", "trickle", "endless"];

/// One check, and the server that it watches.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// The check, as its module is called.
    pub(crate) name: &'static str,
    /// What it says under each fault, in the order of the columns: a reason, `healthy` where the fault is beyond what it proves, or `-` where there
    /// is no such thing. A client that tells one or the other, as its own connections will have it, has both.
    pub(crate) cells: &'static str,
    pub(crate) start: fn() -> Place,
    /// The check, with the right or with the wrong credentials.
    pub(crate) check: fn(&Place, bool) -> Registration,
    /// What comes first in place of an answer, and then for ever.
    pub(crate) endless: (&'static [u8], &'static [u8]),
}

impl Row {
    /// Each fault, and what the check says under it.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        FAULTS.into_iter().zip(self.cells.split_whitespace())
    }
}

/// A running server behind its proxy.
pub(crate) struct Place {
    pub(crate) server: Box<dyn Server>,
    pub(crate) proxy: Proxy,
    /// Whom a TLS server's certificates are from, with the right password and with the wrong one.
    pub(crate) roots: Vec<Arc<RootCertStore>>,
}

impl Place {
    pub(crate) fn of(server: impl Server + 'static) -> Self {
        let proxy = Proxy::before(server.port());
        Self::behind(proxy, server)
    }

    pub(crate) fn behind(proxy: Proxy, server: impl Server + 'static) -> Self {
        Self { server: Box::new(server), proxy, roots: Vec::new() }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.proxy.port())
    }
}

pub(crate) const WRONG: &str = "not-the-password";

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

pub(crate) const ROWS: [Row; 15] = [
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
pub(crate) struct Watched {
    pub(crate) row: Row,
    pub(crate) health: Health,
    pub(crate) mood: Mood,
    failed: Mutex<FailedRuns>,
}

/// The failed runs that were counted, and the last run that was looked at.
#[derive(Default)]
struct FailedRuns {
    count: usize,
    until: Option<SystemTime>,
}

impl Watched {
    pub(crate) fn start(row: Row, place: &Place, right: bool) -> Self {
        let check = (row.check)(place, right);
        let check = check.every(millis(300)).recheck(millis(200)).timeout(TIMEOUT).readiness();
        let health = Health::builder().check("subject", check).start().unwrap();
        Self { row, health, mood: Mood::watch(), failed: Mutex::default() }
    }

    pub(crate) fn report(&self) -> Arc<CheckReport> {
        Arc::clone(&self.health.report().checks[0])
    }

    /// How many runs have failed, of those that were seen: the history keeps the last sixty.
    pub(crate) fn failed_runs(&self) -> usize {
        let history = &self.report().history;
        let mut failed = self.failed.lock().unwrap();
        let newer = history.results.iter().filter(|result| Some(result.at) > failed.until);
        let more = newer.filter(|result| result.status == Status::Unhealthy).count();
        failed.count += more;
        failed.until = history.results.iter().map(|result| result.at).max().max(failed.until);
        failed.count
    }

    /// Waits until it says so, and tells how long that took.
    pub(crate) async fn says(&self, expected: &str, within: Duration, during: &str) -> Duration {
        let began = Instant::now();
        loop {
            let report = self.report();
            let said = report.reason.map_or(report.status.as_str(), |reason| reason.as_str());
            if expected.split('/').any(|expected| said == expected) && !report.is_pending() {
                self.failed_runs();
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
    pub(crate) fn kept_deadlines(&self) {
        let report = self.report();
        let longest = report.history.results.iter().map(|result| result.duration).max();
        let stalled = self.mood.stalled();
        let allowed = TIMEOUT + GRACE + stalled * 2;
        assert!(longest < Some(allowed), "{}: a run took {longest:?}, with stalls of {stalled:?}", self.row.name);
    }
}

/// The rows to run: all, or those that `HEALTH_ROWS` names. Only root can put a name server of its own in place.
pub(crate) fn rows() -> Vec<Row> {
    let is_root = nix::unistd::geteuid().is_root();
    let wanted = std::env::var("HEALTH_ROWS").ok();
    let is_wanted = |row: &Row| wanted.as_deref().is_none_or(|wanted| wanted.split(',').any(|name| name == row.name));
    ROWS.into_iter().filter(is_wanted).filter(|row| is_root || row.name != "dns").collect()
}

/// Does something with every row at once, and panics with everything that went wrong.
pub(crate) async fn at_once<T, R>(
    of: Vec<T>,
    work: impl Fn(T) -> std::pin::Pin<Box<dyn Future<Output = R> + Send>>,
) -> Vec<R>
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
