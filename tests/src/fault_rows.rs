//! Every networked check in front of the server that it watches, behind a proxy that makes the faults of the network: the rows that the
//! tests of the fault table and of the fault matrix run.

use std::{sync::Arc, time::Duration};

use health_core::{
    Certificate, CheckExt as _, CheckReport, Dns, Grpc, Health, Http, Kafka, KafkaLag, Nats, Postgres, RabbitMq,
    RabbitMqQueue, Redis, RedisQueue, Registration, Sqlx, Status, Tcp, Upstream,
};
use rdkafka::{ClientConfig, consumer::BaseConsumer};
use tokio::{runtime::Handle, task::block_in_place};
use tokio_rustls::rustls::RootCertStore;
use tonic::{metadata::MetadataValue, service::interceptor::InterceptedService, transport::Endpoint};

use crate::{
    certificates::Authority,
    daemon::Server,
    kafka,
    kafka_gate::Gate,
    mariadb, name_server, nats, port, postgres,
    proxy::Proxy,
    rabbitmq, redis,
    service::{self, Kind},
    support::{client, millis, secs},
    wait,
};

/// The deadline of every check here.
pub const TIMEOUT: Duration = secs(1);

/// The number of the name server that these rows ask: see [`name_server::address`].
pub const TEST: u8 = 1;

/// The columns of the table.
pub const FAULTS: [&str; 9] =
    ["refused", "black hole", "frozen", "killed", "restarted", "wrong password", "reset", "trickle", "endless"];

/// One check, and the server that it watches.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The check, as its module is called.
    pub name: &'static str,
    /// What it says under each fault, in the order of the columns: a reason, `healthy` where the fault is beyond what it proves, or `-` where there
    /// is no such thing. A client that tells one or the other, as its own connections will have it, has both.
    pub cells: &'static str,
    /// Starts the server and its proxy.
    pub start: fn() -> ServerUnderTest,
    /// The check, with the right or with the wrong credentials.
    pub check: fn(&ServerUnderTest, bool) -> Registration,
    /// What comes first in place of an answer, and then for ever.
    pub endless: (&'static [u8], &'static [u8]),
}

impl Row {
    /// Each fault, and what the check says under it.
    pub fn cells(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        FAULTS.into_iter().zip(self.cells.split_whitespace())
    }
}

/// A running server behind its proxy.
#[expect(missing_debug_implementations, reason = "a server is any type that can suffer")]
pub struct ServerUnderTest {
    /// The server.
    pub server: Box<dyn Server>,
    /// What stands before it.
    pub proxy: Proxy,
    /// Whom a TLS server's certificates are from, with the right password and with the wrong one.
    pub roots: Vec<Arc<RootCertStore>>,
}

impl ServerUnderTest {
    /// A server behind a proxy of its own.
    pub fn of(server: impl Server + 'static) -> Self {
        let proxy = Proxy::before(server.port());
        Self::behind(proxy, server)
    }

    /// A server behind this proxy.
    pub fn behind(proxy: Proxy, server: impl Server + 'static) -> Self {
        Self { server: Box::new(server), proxy, roots: Vec::new() }
    }

    /// Where the proxy listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.proxy.port())
    }
}

/// A password that no server accepts at first.
pub const WRONG: &str = "not-the-password";

fn password(right: bool, password: &str) -> &str {
    if right { password } else { WRONG }
}

fn bearer(right: bool) -> String {
    format!("Bearer {}", password(right, service::TOKEN))
}

fn kafka_under_test() -> ServerUnderTest {
    // The broker tells its clients to connect to the proxy.
    let port = port::free();
    let gate = Gate::before(port, kafka::PASSWORD);
    let proxy = Proxy::before(gate.port());
    let mut server = kafka::Server::advertising(port, proxy.port(), Some(gate));
    server.create_topic("orders", 2);
    ServerUnderTest::behind(proxy, server)
}

fn kafka_client(subject: &ServerUnderTest, right: bool) -> ClientConfig {
    let mut config = kafka::config(subject.proxy.port());
    config.set("group.id", "readers");
    kafka::with_password(config, password(right, kafka::PASSWORD))
}

fn rabbitmq_under_test() -> ServerUnderTest {
    let server = rabbitmq::Server::start();
    block_in_place(|| Handle::current().block_on(server.declare("orders")));
    ServerUnderTest::of(server)
}

fn amqp(subject: &ServerUnderTest, right: bool) -> deadpool_lapin::Pool {
    rabbitmq::pool(&rabbitmq::url(subject.proxy.port(), password(right, rabbitmq::PASSWORD)), 4)
}

fn resp(subject: &ServerUnderTest, right: bool) -> deadpool_redis::Pool {
    redis::pool(&format!("redis://:{}@{}/0", password(right, redis::PASSWORD), subject.address()), 4)
}

/// Every networked check.
pub const ROWS: [Row; 15] = [
    Row {
        name: "certificate",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout rejected",
        start: || {
            let (known, stranger) = (Authority::new(), Authority::new());
            let server = service::Server::start(known.sign("localhost", -1, 90));
            server.keep(WRONG, &stranger.sign("localhost", -1, 90));
            let mut subject = ServerUnderTest::of(server);
            subject.roots = [known, stranger].iter().map(|authority| Arc::new(authority.roots())).collect();
            subject
        },
        check: |subject, right| {
            let roots = Arc::clone(&subject.roots[usize::from(!right)]);
            let provider = tokio_rustls::rustls::crypto::ring::default_provider();
            Certificate::endpoint(format!("localhost:{}", subject.proxy.port()), roots).crypto_provider(provider).into()
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
            ServerUnderTest::behind(proxy, server)
        },
        check: |_, _| Dns::new(name_server::NAME).at_least(2).into(),
        endless: (b"", b"\xff\xff"),
    },
    Row {
        name: "grpc",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: || ServerUnderTest::of(service::Server::start(Kind::Grpc)),
        check: |subject, right| {
            let channel = Endpoint::from_shared(format!("http://{}", subject.address())).expect("a URL").connect_lazy();
            let token: MetadataValue<_> = bearer(right).parse().expect("a token");
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
        start: || ServerUnderTest::of(service::Server::start(Kind::Http)),
        check: |subject, right| {
            let check = Http::get(client(), format!("http://{}/status", subject.address()));
            check.header("authorization", bearer(right)).body_contains("ready").critical()
        },
        endless: (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    },
    Row {
        name: "kafka",
        cells: "unreachable timeout/unreachable timeout/unreachable unreachable unreachable unreachable unreachable \
                timeout/unreachable unreachable",
        start: kafka_under_test,
        check: |subject, right| {
            Kafka::consumer(Arc::new(kafka_client(subject, right).create::<BaseConsumer>().expect("a consumer")))
                .topic("orders")
                .into()
        },
        endless: (b"", b"\x7f\xff\xff\xff"),
    },
    Row {
        name: "kafka_lag",
        cells: "unreachable timeout/unreachable timeout/unreachable unreachable unreachable unreachable unreachable \
                timeout/unreachable unreachable",
        start: kafka_under_test,
        check: |subject, right| {
            KafkaLag::new(Arc::new(kafka_client(subject, right).create::<BaseConsumer>().expect("a consumer")))
                .topic("orders")
                .into()
        },
        endless: (b"", b"\x7f\xff\xff\xff"),
    },
    Row {
        name: "nats",
        cells: "unreachable timeout timeout unreachable unreachable unreachable unreachable timeout timeout",
        start: || ServerUnderTest::of(nats::Server::start()),
        check: |subject, right| {
            let client = nats::client(subject.proxy.port(), password(right, nats::PASSWORD));
            Nats::new(block_in_place(|| Handle::current().block_on(client))).into()
        },
        endless: (b"", b"+OK\r\n"),
    },
    Row {
        name: "postgres",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        start: || ServerUnderTest::of(postgres::Server::start()),
        check: |subject, right| {
            let mut config = deadpool_postgres::tokio_postgres::Config::new();
            config.host("127.0.0.1").port(subject.proxy.port()).user("app").dbname("postgres");
            Postgres::new(postgres::pool(config.password(password(right, postgres::PASSWORD)).clone(), 4)).into()
        },
        // A notice, which may come at any time.
        endless: (b"", b"N\0\0\0\x17SNOTICE\0C00000\0Mx\0\0"),
    },
    Row {
        name: "rabbitmq",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: rabbitmq_under_test,
        check: |subject, right| RabbitMq::new(amqp(subject, right)).into(),
        // The heartbeat.
        endless: (b"", b"\x08\0\0\0\0\0\0\xce"),
    },
    Row {
        name: "rabbitmq_queue",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: rabbitmq_under_test,
        check: |subject, right| RabbitMqQueue::new(amqp(subject, right), "orders").into(),
        endless: (b"", b"\x08\0\0\0\0\0\0\xce"),
    },
    Row {
        name: "redis",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: || ServerUnderTest::of(redis::Server::start()),
        check: |subject, right| Redis::new(resp(subject, right)).into(),
        // The beginning of a very long string.
        endless: (b"$2000000000\r\n", b"x"),
    },
    Row {
        name: "redis_queue",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: || ServerUnderTest::of(redis::Server::start()),
        check: |subject, right| RedisQueue::list(resp(subject, right), "jobs").into(),
        endless: (b"$2000000000\r\n", b"x"),
    },
    Row {
        name: "sqlx",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        start: || ServerUnderTest::of(mariadb::Server::start()),
        check: |subject, right| {
            Sqlx::new(mariadb::pool(subject.proxy.port(), password(right, mariadb::PASSWORD), 4)).into()
        },
        // A packet of the greatest length.
        endless: (b"", b"\xff\xff\xff\0"),
    },
    Row {
        name: "tcp",
        cells: "unreachable healthy healthy unreachable unreachable - healthy healthy healthy",
        start: || ServerUnderTest::of(service::Server::start(Kind::Http)),
        check: |subject, _| Tcp::new(subject.address()).into(),
        endless: (b"", b"x"),
    },
    Row {
        name: "upstream",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        start: || ServerUnderTest::of(service::Server::start(Kind::Http)),
        check: |subject, right| {
            let check = Upstream::new(client(), format!("http://{}/health", subject.address()));
            check.header("authorization", bearer(right)).critical()
        },
        endless: (b"HTTP/1.1 200 OK\r\n\r\n{", b" "),
    },
];

/// The row of this name.
///
/// # Panics
///
/// There is none.
#[must_use]
pub fn row(name: &str) -> Row {
    ROWS.into_iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}"))
}

/// The password that a row's server accepts at first.
#[must_use]
pub fn right_password(row: &str) -> &'static str {
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

/// A check of a row that is running.
#[derive(Debug)]
pub struct Watched {
    /// The row.
    pub row: Row,
    /// What watches the server, by a check called `subject`.
    pub health: Health,
}

impl Watched {
    /// Starts the check, with the right or with the wrong credentials.
    ///
    /// # Panics
    ///
    /// The check is refused.
    #[must_use]
    pub fn start(row: Row, subject: &ServerUnderTest, right: bool) -> Self {
        let check = (row.check)(subject, right);
        let check = check.every(millis(300)).recheck(millis(200)).timeout(TIMEOUT).readiness();
        let health = Health::builder().check("subject", check).start().expect("a check that is accepted");
        Self { row, health }
    }

    /// What the check shows now.
    #[must_use]
    pub fn report(&self) -> Arc<CheckReport> {
        Arc::clone(&self.health.report().checks()[0])
    }

    /// How many runs have finished, and how many of them have failed.
    #[must_use]
    pub fn runs(&self) -> (u64, u64) {
        let report = self.report();
        let totals = report.history().totals();
        (totals.durations().count(), totals.runs(Status::Unhealthy))
    }

    /// Whether the check shows this: a status, a reason, or one of several with a `/` between them.
    fn shows(&self, expected: &str) -> Result<(), String> {
        let report = self.report();
        let shown = report.reason().map_or(report.status().as_str(), |reason| reason.as_str());
        if expected.split('/').any(|expected| shown == expected) && !report.is_pending() {
            return Ok(());
        }
        Err(format!("{shown} {:?}", report.message()))
    }

    /// Waits until the check shows this.
    ///
    /// # Panics
    ///
    /// It does not within [`wait::HANG`].
    pub async fn says(&self, expected: &str, during: &str) {
        let what = format!("{}, {during}: {expected}", self.row.name);
        wait::ok(&what, || self.shows(expected)).await;
    }

    /// Waits until the check shows this after two more runs, so that it is not what it showed before.
    ///
    /// # Panics
    ///
    /// It does not within [`wait::HANG`].
    pub async fn goes_on_saying(&self, expected: &str, during: &str) {
        let before = self.runs().0;
        let what = format!("{}, {during}: two more runs", self.row.name);
        wait::true_of(&what, || self.runs().0 >= before + 2).await;
        self.says(expected, during).await;
    }
}
