//! The `Debug` output of every public type that holds an application's secret does not show the secret. The lists below
//! cover every public type.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc, time::Duration};

use deadpool_redis::redis::Client;
use health_core::{
    Bb8, Change, CheckError, CheckExt as _, Dogstatsd, Elasticsearch, Endpoint, Fred, Grpc, Health, Http, Kafka,
    KafkaLag, Memcached, Metrics, MongoDb, Mqtt, Nats, OpenTelemetry, Outcome, Postgres, R2d2, RabbitMq,
    RabbitMqConnection, RabbitMqQueue, Reason, Redis, RedisConnection, RedisQueue, Rendered, Request, Smtp, Sqlx,
    Upstream, Visibility, Webhook, check_fn, testing::Frozen,
};
use health_tests::{
    any_pool, daemon::Server as _, fred, kafka, mariadb, mongodb, nats, postgres, rabbitmq, redis, smtp,
    support::client, wait::HANG,
};
use rdkafka::consumer::BaseConsumer;
use tokio::task::block_in_place;

/// Long enough for a bearer token.
const SECRET: &str = "s3cr3tw0rd-of-the-application";
/// The part of the secret that no output may contain.
const WORD: &str = "s3cr3tw0rd";

/// Types that hold only names, addresses, limits and durations, or values that the endpoint's answers show anyway.
const PLAIN: &[&str] = &[
    "AgentCheck",
    "Applied",
    "Backlog",
    "BuildError",
    "Certificate",
    "ChangedOption",
    "Changes",
    "CheckBlocking",
    "CheckFn",
    "CheckHandle",
    "Cpu",
    "DedicatedServer",
    "DedicatedServerEnd",
    "Defaults",
    "DiskSpace",
    "Digits",
    "Dns",
    "Drain",
    "Drained",
    "Durations",
    "EndpointError",
    "ErrorRate",
    "ErrorRateCheck",
    "FileDescriptors",
    "Format",
    "Gauge",
    "GroupReport",
    "HeaderCache",
    "HeaderValue",
    "Headers",
    "Heartbeat",
    "HeartbeatCheck",
    "History",
    "Impact",
    "InFlight",
    "InvalidCheck",
    "Kind",
    "Latch",
    "LatchCheck",
    "Lifecycle",
    "LifecycleChange",
    "Limits",
    "Membership",
    "Memory",
    "MuteError",
    "Number",
    "PastResult",
    "Probe",
    "Prompter",
    "Quorum",
    "Reason",
    "RemoveError",
    "Response",
    "ResponseExtras",
    "RestartOption",
    "RuntimeLag",
    "Scripted",
    "Setting",
    "Settings",
    "SettingsError",
    "SettingsLoader",
    "SettingsMistake",
    "Shutdown",
    "SpoolDirectory",
    "Status",
    "Subject",
    "Systemd",
    "TaskAlive",
    "Tcp",
    "Toggle",
    "ToggleCheck",
    "Totals",
    "Transition",
    "UnknownCheck",
    "Uptime",
    "UptimeShare",
    "Visibility",
];

/// A type's name, and the `Debug` output of a value that holds the secret.
type Row = (&'static str, String);

/// Creates a value from the secret and returns its `Debug` output. The closure must use the secret, because the lints
/// reject an unused argument.
fn holds<T: Debug>(name: &'static str, make: impl FnOnce(&str) -> T) -> Row {
    (name, format!("{:?}", make(SECRET)))
}

/// Returns the `Debug` output of a value that must contain the replacement of a redacted secret.
fn redacted(name: &'static str, value: &impl Debug) -> Row {
    let shown = format!("{value:?}");
    assert!(shown.contains("***"), "{name} was not given the secret: {shown}");
    (name, shown)
}

fn url(scheme: &str, secret: &str) -> String {
    format!("{scheme}://app:{secret}@127.0.0.1:1/x?token={secret}")
}

/// Returns the `Debug` output of every other public type, with the secret in every place that accepts one.
async fn shown() -> Vec<Row> {
    let bearer = |secret: &str| format!("Bearer {secret}");
    let consumer = |secret: &str| {
        let config = kafka::with_password(kafka::config(1), secret);
        assert_eq!(config.get("sasl.password"), Some(secret));
        Arc::new(config.create::<BaseConsumer>().unwrap())
    };
    let amqp = |secret: &str| rabbitmq::pool(&rabbitmq::url(1, secret), 1);
    let resp = |secret: &str| redis::pool(&format!("redis://:{secret}@127.0.0.1:1/0"), 1);
    let mut rows = vec![
        holds("Bb8", |secret| Bb8::new(any_pool::bb8(1, secret, 1))),
        holds("Builder", |secret| Health::builder().secret(secret)),
        holds("CheckError", |secret| CheckError::new(format!("cannot connect to {}", url("postgres", secret)))),
        holds("Dogstatsd", |secret| Dogstatsd::udp("127.0.0.1:1").unwrap().tag(format!("password={secret}"))),
        holds("Elasticsearch", |secret| {
            Elasticsearch::new(client(), format!("http://app:{secret}@127.0.0.1:1"))
                .header("authorization", bearer(secret))
        }),
        holds("Endpoint", |secret| Endpoint::new(Health::builder().start().unwrap()).full_for_bearer(secret)),
        holds("Fred", |secret| Fred::new(fred::client(1, secret, None))),
        holds("Grpc", |secret| {
            let token: tonic::metadata::MetadataValue<_> = bearer(secret).parse().unwrap();
            let carries = move |mut request: tonic::Request<()>| {
                request.metadata_mut().insert("authorization", token.clone());
                Ok::<_, tonic::Status>(request)
            };
            let channel = tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
            Grpc::new(tonic::service::interceptor::InterceptedService::new(channel, carries))
        }),
        holds("Http", |secret| Http::get(client(), url("http", secret)).header("authorization", bearer(secret))),
        holds("Kafka", |secret| Kafka::consumer(consumer(secret))),
        holds("KafkaLag", |secret| KafkaLag::new(consumer(secret))),
        holds("Memcached", |secret| Memcached::new("127.0.0.1:1").credentials("app", secret)),
        holds("Metrics", |secret| Metrics::new().label("token", secret)),
        holds("OpenTelemetry", |secret| OpenTelemetry::global().attribute("token", secret.to_owned())),
        holds("Outcome", |secret| {
            let error = CheckError::new(format!("cannot connect to {}", url("postgres", secret)));
            Outcome::from(error).reason(Reason::Unreachable).detail("dsn", format!("password={secret}"))
        }),
        holds("Postgres", |secret| {
            let mut config = deadpool_postgres::tokio_postgres::Config::new();
            config.host("127.0.0.1").port(1).user("app").password(secret);
            Postgres::new(postgres::pool(config, 1))
        }),
        holds("R2d2", |secret| R2d2::new(any_pool::r2d2(1, secret, 1)).beside(any_pool::r2d2_manager(1, secret))),
        holds("RabbitMq", |secret| RabbitMq::new(amqp(secret))),
        holds("RabbitMqConnection", |secret| {
            let secret = secret.to_owned();
            RabbitMqConnection::current(move || {
                assert!(!secret.is_empty());
                None
            })
        }),
        holds("RabbitMqQueue", |secret| RabbitMqQueue::new(amqp(secret), "q")),
        holds("Redis", |secret| Redis::new(resp(secret))),
        holds("RedisConnection", |secret| {
            let client = Client::open(format!("redis://:{secret}@127.0.0.1:1/0")).unwrap();
            RedisConnection::new(redis::manager(client.clone()), client)
        }),
        holds("RedisQueue", |secret| RedisQueue::list(resp(secret), "q")),
        holds("Registration", |secret| Redis::new(resp(secret)).optional()),
        holds("Rendered", |secret| Rendered::new("text/plain", secret.to_owned())),
        holds("Smtp", |secret| Smtp::new(smtp::transport(1, secret))),
        holds("Sqlx", |secret| Sqlx::new(mariadb::pool(1, secret, 1))),
        holds("Upstream", |secret| {
            Upstream::new(client(), url("http", secret)).header("authorization", bearer(secret))
        }),
        holds("Webhook", |secret| {
            Webhook::post(client(), url("http", secret)).unwrap().header("authorization", bearer(secret))
        }),
        (
            "MongoDb",
            format!("{:?}", MongoDb::new(mongodb::client(1, SECRET).await).beside(mongodb::options(1, SECRET).await)),
        ),
        nats().await,
    ];
    rows.extend(mqtt());
    rows.push(holds("Request", |secret| {
        let bearer = bearer(secret);
        let header = |_: &str| Some(bearer.as_str());
        let lines = |name: &str, line: usize| header(name).filter(|_| line == 0);
        let request = Request::new("GET", "/health", None, None, &lines);
        format!("{request:?}")
    }));
    rows.extend(of_a_report().await);
    rows.push(notice().await);
    rows.push(source().await);
    rows
}

/// Returns the output of a check whose client is connected with the secret.
async fn nats() -> Row {
    let server = block_in_place(|| nats::Server::start_with(SECRET));
    let client = nats::client(server.port(), SECRET).await;
    let connected = || client.connection_state() == async_nats::connection::State::Connected;
    health_tests::wait::true_of("a connection with the secret", connected).await;
    ("Nats", format!("{:?}", Nats::new(client)))
}

/// Returns the outputs of a check and of its observer, which has received an error that contains the secret.
fn mqtt() -> [Row; 2] {
    let mut options = rumqttc::MqttOptions::new("app", "127.0.0.1", 1);
    options.set_credentials("app", SECRET);
    let (client, _event_loop) = rumqttc::AsyncClient::new(options, 1);
    let (mqtt, observer) = Mqtt::new(client);
    observer.observe(&Err(std::io::Error::other(url("mqtt", SECRET)).into()));
    [("Mqtt", format!("{mqtt:?}")), ("MqttObserver", format!("{observer:?}"))]
}

/// Returns the outputs of the types through which a check's result passes. Their values are redacted.
async fn of_a_report() -> Vec<Row> {
    let frozen = Frozen::new(Health::builder().secret(SECRET).check("x", check_fn(|| async { Ok(()) }))).unwrap();
    let health = frozen.health();
    let mut changes = health.subscribe();
    let error = CheckError::new(format!("{SECRET}: cannot connect to {}", url("postgres", SECRET)));
    let outcome = Outcome::from(error).reason(Reason::Unreachable).detail("dsn", format!("password={SECRET}"));
    frozen.record("x", outcome.observe(SECRET.to_owned(), 1, SECRET.to_owned()), Duration::ZERO).unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(3_000_000_000);
    health.mute("x", later, format!("since {SECRET} was changed")).unwrap();
    let change = changes.next().await.unwrap();
    let Change::Check(of_a_check) = &change else { panic!("{change:?}") };
    let report = health.report();
    let check = &report.checks()[0];
    vec![
        redacted("Change", &change),
        redacted("CheckChange", of_a_check),
        redacted("CheckReport", check),
        redacted("Muted", &check.muted()),
        redacted("Observed", &check.observed()),
        redacted("Report", &report),
        // The output has only the names of the checks, but the value holds the report.
        ("Health", format!("{health:?}")),
        ("Frozen", format!("{frozen:?}")),
    ]
}

/// Returns the output of a webhook's notice with full visibility.
async fn notice() -> Row {
    let (sender, receiver) = std::sync::mpsc::channel();
    let failing = || async { Err::<(), _>(CheckError::new(format!("password={SECRET}, or so"))) };
    let health = Health::builder().secret(SECRET).check("x", check_fn(failing)).start().unwrap();
    health.refresh("x").await.unwrap();
    let webhook = Webhook::post(client(), "http://127.0.0.1:1/").unwrap().visibility(Visibility::Full);
    health.publish(webhook.body_with(move |notice| {
        let _ = sender.send(redacted("Notice", notice));
        serde_json::json!({})
    }));
    let row = block_in_place(|| receiver.recv_timeout(HANG).unwrap());
    health.stop().await;
    row
}

/// A publisher that returns the `Debug` output of its source.
struct SourceOf(tokio::sync::oneshot::Sender<String>);

async fn source() -> Row {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let failing = || async { Err::<(), _>(CheckError::new(format!("password={SECRET}"))) };
    let health = Health::builder().secret(SECRET).check("x", check_fn(failing)).start().unwrap();
    health.refresh("x").await.unwrap();
    health.publish(SourceOf(sender));
    let shown = receiver.await.unwrap();
    health.stop().await;
    ("Source", shown)
}

#[health_core::async_trait]
impl health_core::Publisher for SourceOf {
    async fn publish(self: Box<Self>, source: health_core::Source) {
        self.0.send(format!("{source:?}")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_debug_output_has_a_secret() {
    for (name, shown) in shown().await {
        assert!(!shown.contains(WORD), "{name}: {shown}");
    }
    let probe = health_probe::Probe::to(health_probe::Target::parse("http://127.0.0.1:1/").unwrap()).token(SECRET);
    assert!(!format!("{probe:?}").contains(WORD), "{probe:?}");
}

/// Asserts that the two lists cover all public types. `known` has the types of the documentation.
pub(crate) async fn no_type_is_forgotten(known: &BTreeSet<String>) {
    let shown: BTreeSet<String> = shown().await.into_iter().map(|(name, _)| name.to_owned()).collect();
    let all: BTreeSet<String> = shown.into_iter().chain(PLAIN.iter().map(|name| (*name).to_owned())).collect();
    let forgotten: Vec<_> = known.difference(&all).collect();
    let gone: Vec<_> = all.difference(known).collect();
    assert!(
        forgotten.is_empty() && gone.is_empty(),
        "the lists of debug_output.rs lack {forgotten:?} and must no longer have {gone:?}"
    );
}
