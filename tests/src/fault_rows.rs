//! Every networked check and the server that it watches, behind a proxy that makes the faults of the network. The tests
//! of the fault table and of the fault matrix run these rows.

mod pooled;
mod watched;

use std::{sync::Arc, time::Duration};

use health_core::{
    Bb8, Certificate, CheckExt as _, Dns, Elasticsearch, Fred, Grpc, Http, Kafka, KafkaLag, Memcached, MongoDb, Nats,
    Postgres, R2d2, RabbitMq, RabbitMqConnection, RabbitMqQueue, Redis, RedisConnection, RedisQueue, Registration,
    Smtp, Sqlx, Tcp, Upstream,
};
use rdkafka::{ClientConfig, consumer::BaseConsumer};
use tokio::{runtime::Handle, task::block_in_place};
use tokio_rustls::rustls::RootCertStore;
use tonic::{metadata::MetadataValue, service::interceptor::InterceptedService, transport::Endpoint};

use crate::{
    any_pool::{self, Blocking, R2d2PostgresManager},
    certificates::Authority,
    daemon::Server,
    fred, kafka,
    kafka_gate::Gate,
    mariadb, memcached, mongodb, mosquitto, name_server, nats, port, postgres,
    proxy::Proxy,
    rabbitmq, redis,
    service::{self, Kind},
    smtp,
    support::{client, secs},
};

pub use self::{
    pooled::{Begun, Pooled, Taking},
    watched::Watched,
};

/// The deadline of every check in these rows.
pub const TIMEOUT: Duration = secs(1);

/// The number of the name server that these rows use: see [`name_server::address`].
pub const TEST: u8 = 1;

/// The columns of the table: the faults of server and network.
pub const FAULTS: [&str; 9] =
    ["refused", "black hole", "frozen", "killed", "restarted", "wrong password", "reset", "trickle", "endless"];

/// The columns of the table for faults of the application's pool and the server's answers:
///
/// - `busy`: tasks always wait for every connection of the pool.
/// - `full server`: all connections of the pool are in use, and the server has no room for another one.
/// - `idle ones dead`: the idle connections have died without a notice.
/// - `locked out`: the server refuses the user for a reason other than the password.
pub const POOL_FAULTS: [&str; 4] = ["busy", "full server", "idle ones dead", "locked out"];

/// Number of connections of a row's pool.
pub const PLACES: usize = 4;

/// One check, and the server that it watches.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name of the check's module.
    pub name: &'static str,
    /// The verdict under each fault, in the order of [`FAULTS`]: a reason, `healthy` if the fault is outside of what
    /// the check proves, or `-` if the fault does not exist for this check. `a/b` accepts two reasons, for a client
    /// whose own connections decide which of them it reports.
    pub cells: &'static str,
    /// The verdict under each of [`POOL_FAULTS`], in the same notation.
    pub pool_cells: &'static str,
    /// The application's pool, for a check that takes one.
    pub pool: Option<fn(&ServerUnderTest) -> Pooled>,
    /// Starts the server and its proxy.
    pub start: fn() -> ServerUnderTest,
    /// Creates the check, with the right or with the wrong credentials.
    pub check: fn(&ServerUnderTest, bool) -> Registration,
    /// The bytes that the fault `endless` sends in place of an answer: the first part once, then the second part
    /// again and again.
    pub endless: (&'static [u8], &'static [u8]),
}

impl Row {
    /// Returns each fault of server and network with the verdict under it.
    pub fn cells(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        FAULTS.into_iter().zip(self.cells.split_whitespace())
    }

    /// Returns each fault of pool and server with the verdict under it.
    pub fn pool_cells(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        POOL_FAULTS.into_iter().zip(self.pool_cells.split_whitespace())
    }
}

/// Takes a connection of any deadpool pool.
fn take<M, W>(pool: deadpool::managed::Pool<M, W>) -> Taking
where
    M: deadpool::managed::Manager<Type: Send, Error: std::fmt::Debug + Send> + 'static,
    W: From<deadpool::managed::Object<M>> + Send + 'static,
{
    Box::pin(async move { Box::new(pool.get().await.expect("a connection")) as Box<dyn Send> })
}

/// Takes a connection of an sqlx pool.
fn acquire(pool: sqlx::MySqlPool) -> Taking {
    Box::pin(async move { Box::new(pool.acquire().await.expect("a connection")) as Box<dyn Send> })
}

/// Takes a connection of a bb8 pool. Without the yield, a task that gives back a connection and takes one again at once
/// always wins against waiting tasks.
fn get<M: bb8::ManageConnection>(pool: bb8::Pool<M>) -> Taking {
    Box::pin(async move {
        tokio::task::yield_now().await;
        loop {
            if let Ok(connection) = pool.get_owned().await {
                return Box::new(connection) as Box<dyn Send>;
            }
        }
    })
}

/// An r2d2 pool, and the port of its server.
type BlockingPool = (Arc<Blocking<r2d2::Pool<R2d2PostgresManager>>>, u16);

fn blocking_check((pool, port): BlockingPool) -> Registration {
    R2d2::new(pool.get().clone()).beside(any_pool::r2d2_manager(port, postgres::PASSWORD)).into()
}

/// Takes a connection of an r2d2 pool, which blocks.
fn get_blocking((pool, _): BlockingPool) -> Taking {
    let get = move || (0..20).find_map(|_| pool.get().get().ok()).map(Blocking::new);
    Box::pin(async move {
        let taken = tokio::task::spawn_blocking(get).await;
        Box::new(taken.expect("no panic").expect("a connection")) as Box<dyn Send>
    })
}

/// A running server behind its proxy.
#[expect(missing_debug_implementations, reason = "a server is any type that implements `Server`")]
pub struct ServerUnderTest {
    /// The server.
    pub server: Box<dyn Server>,
    /// The proxy in front of the server.
    pub proxy: Proxy,
    /// The roots of a TLS server's certificates: first for the right password, then for the wrong one.
    pub roots: Vec<Arc<RootCertStore>>,
}

impl ServerUnderTest {
    /// Puts a server behind a proxy of its own.
    pub fn of(server: impl Server + 'static) -> Self {
        let proxy = Proxy::before(server.port());
        Self::behind(proxy, server)
    }

    /// Puts a server behind this proxy.
    pub fn behind(proxy: Proxy, server: impl Server + 'static) -> Self {
        Self { server: Box::new(server), proxy, roots: Vec::new() }
    }

    /// Returns the address on which the proxy listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.proxy.port())
    }
}

/// A password that the server does not accept at first.
pub const WRONG: &str = "not-the-password";

fn password(right: bool, password: &str) -> &str {
    if right { password } else { WRONG }
}

fn bearer(right: bool) -> String {
    format!("Bearer {}", password(right, service::TOKEN))
}

fn kafka_under_test() -> ServerUnderTest {
    // The broker advertises the proxy's address to its clients.
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
    rabbitmq::pool(&rabbitmq::url(subject.proxy.port(), password(right, rabbitmq::PASSWORD)), PLACES)
}

fn sql(subject: &ServerUnderTest, right: bool) -> deadpool_postgres::Pool {
    let mut config = deadpool_postgres::tokio_postgres::Config::new();
    config.host("127.0.0.1").port(subject.proxy.port()).user("app").dbname("postgres");
    postgres::pool(config.password(password(right, postgres::PASSWORD)).clone(), PLACES)
}

fn mysql(subject: &ServerUnderTest, right: bool) -> sqlx::MySqlPool {
    let places = u32::try_from(PLACES).expect("a small pool");
    mariadb::pool(subject.proxy.port(), password(right, mariadb::PASSWORD), places)
}

fn resp(subject: &ServerUnderTest, right: bool) -> deadpool_redis::Pool {
    redis::pool(&format!("redis://:{}@{}/0", password(right, redis::PASSWORD), subject.address()), PLACES)
}

/// A notice of PostgreSQL, which the server may send at any time.
const NOTICE: (&[u8], &[u8]) = (b"", b"N\0\0\0\x17SNOTICE\0C00000\0Mx\0\0");

/// Every networked check.
pub const ROWS: &[Row] = &[
    // Three rows test a pool of any driver, all with PostgreSQL: this one, `diesel` and `r2d2`. Only the pool can close
    // a dead idle connection: it tests each one until its `connection_timeout` is over, and serves no task once it is
    // testing all of them.
    Row {
        name: "bb8",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        pool_cells: "healthy saturated healthy/saturated rejected",
        pool: Some(|subject| {
            let pool = any_pool::bb8(subject.proxy.port(), postgres::PASSWORD, PLACES);
            Pooled::of(pool, |pool| Bb8::new(pool).into(), get)
        }),
        start: || ServerUnderTest::of(postgres::Server::start()),
        check: |subject, right| {
            let password = password(right, postgres::PASSWORD);
            Bb8::new(any_pool::bb8(subject.proxy.port(), password, PLACES)).into()
        },
        endless: NOTICE,
    },
    Row {
        name: "certificate",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout rejected",
        pool_cells: "- - - -",
        pool: None,
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
            let provider = rustls::crypto::ring::default_provider();
            Certificate::endpoint(format!("localhost:{}", subject.proxy.port()), roots).crypto_provider(provider).into()
        },
        endless: (b"", b"x"),
    },
    // diesel-async on bb8.
    Row {
        name: "diesel",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        pool_cells: "healthy saturated healthy/saturated rejected",
        pool: Some(|subject| {
            let pool = any_pool::diesel(subject.proxy.port(), postgres::PASSWORD, PLACES);
            Pooled::of(pool, |pool| Bb8::new(pool).into(), get)
        }),
        start: || ServerUnderTest::of(postgres::Server::start()),
        check: |subject, right| {
            let password = password(right, postgres::PASSWORD);
            Bb8::new(any_pool::diesel(subject.proxy.port(), password, PLACES)).into()
        },
        endless: NOTICE,
    },
    // Over TCP, so that the proxy can stand in front of the name server. The tests of `dns` use UDP.
    Row {
        name: "dns",
        cells: "unreachable timeout timeout unreachable unreachable - unreachable timeout timeout",
        pool_cells: "- - - -",
        pool: None,
        start: || {
            let server = name_server::Server::start();
            let proxy = Proxy::at(name_server::address(TEST), server.port());
            ServerUnderTest::behind(proxy, server)
        },
        check: |_, _| Dns::new(name_server::NAME).at_least(2).into(),
        endless: (b"", b"\xff\xff"),
    },
    Row {
        name: "elasticsearch",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        pool_cells: "- - - -",
        pool: None,
        start: || ServerUnderTest::of(service::Server::start(Kind::Elasticsearch)),
        check: |subject, right| {
            let check = Elasticsearch::new(client(), format!("http://{}", subject.address()));
            check.header("authorization", bearer(right)).into()
        },
        endless: (b"HTTP/1.1 200 OK\r\n\r\n{", b" "),
    },
    Row {
        name: "fred",
        cells: "unreachable timeout/unreachable timeout/unreachable unreachable unreachable rejected unreachable \
                timeout/unreachable timeout/unreachable",
        pool_cells: "- - - -",
        pool: None,
        start: || ServerUnderTest::of(redis::Server::start()),
        check: |subject, right| {
            let client = fred::client(subject.proxy.port(), password(right, redis::PASSWORD), Some(TIMEOUT));
            // Created before the client connects, so that the check sees why the connection fails.
            let check = Fred::new(client.clone());
            fred::connect(&client);
            check.into()
        },
        // The start of a very long string.
        endless: (b"$2000000000\r\n", b"x"),
    },
    Row {
        name: "grpc",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        pool_cells: "- - - -",
        pool: None,
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
        // Frames of an unknown type. HTTP/2 requires the receiver to ignore them.
        endless: (b"", b"\0\0\x08\x42\0\0\0\0\0........"),
    },
    Row {
        name: "http",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        pool_cells: "- - - -",
        pool: None,
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
        pool_cells: "- - - -",
        pool: None,
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
        pool_cells: "- - - -",
        pool: None,
        start: kafka_under_test,
        check: |subject, right| {
            KafkaLag::new(Arc::new(kafka_client(subject, right).create::<BaseConsumer>().expect("a consumer")))
                .topic("orders")
                .into()
        },
        endless: (b"", b"\x7f\xff\xff\xff"),
    },
    Row {
        name: "memcached",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        pool_cells: "- - - -",
        pool: None,
        start: || ServerUnderTest::of(memcached::Server::start()),
        check: |subject, right| {
            Memcached::new(subject.address()).credentials("app", password(right, memcached::PASSWORD)).into()
        },
        endless: (b"", b"x"),
    },
    Row {
        name: "mongodb",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        pool_cells: "- - - -",
        pool: None,
        start: || ServerUnderTest::of(service::Server::start(Kind::MongoDb)),
        check: |subject, right| {
            let (port, password) = (subject.proxy.port(), password(right, service::TOKEN));
            let options = block_in_place(|| Handle::current().block_on(mongodb::options(port, password)));
            let client = ::mongodb::Client::with_options(options.clone()).expect("valid options");
            MongoDb::new(client).beside(options).into()
        },
        // The length of a message of no known type.
        endless: (b"", b"\0\0\0\x02"),
    },
    Row {
        name: "mqtt",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        pool_cells: "- - - -",
        pool: None,
        start: || ServerUnderTest::of(mosquitto::Server::start()),
        check: |subject, right| {
            mosquitto::Application::start(subject.proxy.port(), password(right, mosquitto::PASSWORD)).into()
        },
        // The answer to a ping, which rumqttc accepts at any time.
        endless: (b"", b"\xd0\0"),
    },
    Row {
        name: "nats",
        cells: "unreachable timeout timeout unreachable unreachable unreachable unreachable timeout timeout",
        pool_cells: "- - - -",
        pool: None,
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
        pool_cells: "healthy saturated healthy rejected",
        pool: Some(|subject| Pooled::of(sql(subject, true), |pool| Postgres::new(pool).into(), take)),
        start: || ServerUnderTest::of(postgres::Server::start()),
        check: |subject, right| Postgres::new(sql(subject, right)).into(),
        endless: NOTICE,
    },
    // The test of an r2d2 connection has no deadline. So one dead connection keeps the check from using the pool, and
    // an answer without end to the test of a connection beside the pool keeps the check from opening another one.
    Row {
        name: "r2d2",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed/timeout",
        pool_cells: "healthy saturated saturated rejected",
        pool: Some(|subject| {
            let port = subject.proxy.port();
            let pool = any_pool::r2d2(port, postgres::PASSWORD, PLACES);
            Pooled::of((Arc::new(Blocking::new(pool)), port), blocking_check, get_blocking)
        }),
        start: || ServerUnderTest::of(postgres::Server::start()),
        check: |subject, right| {
            let (port, password) = (subject.proxy.port(), password(right, postgres::PASSWORD));
            let manager = any_pool::r2d2_manager(port, password);
            R2d2::new(any_pool::r2d2(port, password, PLACES)).beside(manager).into()
        },
        endless: NOTICE,
    },
    Row {
        name: "rabbitmq",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        pool_cells: "healthy saturated healthy rejected",
        pool: Some(|subject| Pooled::of(amqp(subject, true), |pool| RabbitMq::new(pool).into(), take)),
        start: rabbitmq_under_test,
        check: |subject, right| RabbitMq::new(amqp(subject, right)).into(),
        // A heartbeat frame.
        endless: (b"", b"\x08\0\0\0\0\0\0\xce"),
    },
    // A connection that recovers by itself. With a wrong password the connection cannot be created, so there is no
    // verdict.
    Row {
        name: "rabbitmq_connection",
        cells: "unreachable timeout timeout unreachable unreachable - unreachable timeout timeout",
        pool_cells: "- - - -",
        pool: None,
        start: rabbitmq_under_test,
        check: |subject, right| {
            let url = rabbitmq::url(subject.proxy.port(), password(right, rabbitmq::PASSWORD));
            let connection = block_in_place(|| Handle::current().block_on(rabbitmq::recovering(&url)));
            RabbitMqConnection::new(Arc::new(connection)).into()
        },
        endless: (b"", b"\x08\0\0\0\0\0\0\xce"),
    },
    Row {
        name: "rabbitmq_queue",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        pool_cells: "healthy saturated healthy rejected",
        pool: Some(|subject| Pooled::of(amqp(subject, true), |pool| RabbitMqQueue::new(pool, "orders").into(), take)),
        start: rabbitmq_under_test,
        check: |subject, right| RabbitMqQueue::new(amqp(subject, right), "orders").into(),
        endless: (b"", b"\x08\0\0\0\0\0\0\xce"),
    },
    Row {
        name: "redis",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        pool_cells: "healthy saturated healthy rejected",
        pool: Some(|subject| Pooled::of(resp(subject, true), |pool| Redis::new(pool).into(), take)),
        start: || ServerUnderTest::of(redis::Server::start()),
        check: |subject, right| Redis::new(resp(subject, right)).into(),
        // The start of a very long string.
        endless: (b"$2000000000\r\n", b"x"),
    },
    // A connection that reconnects by itself.
    Row {
        name: "redis_connection",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        pool_cells: "- - - -",
        pool: None,
        start: || ServerUnderTest::of(redis::Server::start()),
        check: |subject, right| {
            let url = format!("redis://:{}@{}/0", password(right, redis::PASSWORD), subject.address());
            let client = deadpool_redis::redis::Client::open(url).expect("a URL");
            RedisConnection::new(redis::manager(client.clone()), client).into()
        },
        endless: (b"$2000000000\r\n", b"x"),
    },
    Row {
        name: "redis_queue",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        pool_cells: "healthy saturated healthy rejected",
        pool: Some(|subject| Pooled::of(resp(subject, true), |pool| RedisQueue::list(pool, "jobs").into(), take)),
        start: || ServerUnderTest::of(redis::Server::start()),
        check: |subject, right| RedisQueue::list(resp(subject, right), "jobs").into(),
        endless: (b"$2000000000\r\n", b"x"),
    },
    Row {
        name: "smtp",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed/timeout",
        pool_cells: "- - - -",
        pool: None,
        start: || ServerUnderTest::of(smtp::Server::start()),
        check: |subject, right| {
            Smtp::new(smtp::transport(subject.proxy.port(), password(right, smtp::PASSWORD))).into()
        },
        endless: (b"", smtp::ENDLESS_REPLY),
    },
    Row {
        name: "sqlx",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout timeout",
        pool_cells: "healthy saturated healthy rejected",
        pool: Some(|subject| Pooled::of(mysql(subject, true), |pool| Sqlx::new(pool).into(), acquire)),
        start: || ServerUnderTest::of(mariadb::Server::start()),
        check: |subject, right| Sqlx::new(mysql(subject, right)).into(),
        // A packet of the maximum length.
        endless: (b"", b"\xff\xff\xff\0"),
    },
    Row {
        name: "tcp",
        cells: "unreachable healthy healthy unreachable unreachable - healthy healthy healthy",
        pool_cells: "- - - -",
        pool: None,
        start: || ServerUnderTest::of(service::Server::start(Kind::Http)),
        check: |subject, _| Tcp::new(subject.address()).into(),
        endless: (b"", b"x"),
    },
    Row {
        name: "upstream",
        cells: "unreachable timeout timeout unreachable unreachable rejected unreachable timeout failed",
        pool_cells: "- - - -",
        pool: None,
        start: || ServerUnderTest::of(service::Server::start(Kind::Http)),
        check: |subject, right| {
            let check = Upstream::new(client(), format!("http://{}/health", subject.address()));
            check.header("authorization", bearer(right)).critical()
        },
        endless: (b"HTTP/1.1 200 OK\r\n\r\n{", b" "),
    },
];

/// Returns the row of this name.
///
/// # Panics
///
/// Panics if there is no such row.
#[must_use]
pub fn row(name: &str) -> Row {
    ROWS.iter().copied().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}"))
}

/// Returns the password that a row's server accepts at first.
#[must_use]
pub fn right_password(row: &str) -> &'static str {
    match row {
        "kafka" | "kafka_lag" => kafka::PASSWORD,
        "memcached" => memcached::PASSWORD,
        "mqtt" => mosquitto::PASSWORD,
        "nats" => nats::PASSWORD,
        "bb8" | "diesel" | "postgres" | "r2d2" => postgres::PASSWORD,
        "rabbitmq" | "rabbitmq_connection" | "rabbitmq_queue" => rabbitmq::PASSWORD,
        "fred" | "redis" | "redis_connection" | "redis_queue" => redis::PASSWORD,
        "smtp" => smtp::PASSWORD,
        "sqlx" => mariadb::PASSWORD,
        _ => service::TOKEN,
    }
}
