//! What `Debug` shows of everything public that an application gives a secret to, and that no type is forgotten.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use health_core::{
    Certificate, Change, CheckError, CheckExt as _, Dogstatsd, Endpoint, Grpc, Health, Http, Kafka, KafkaLag, Metrics,
    Nats, OpenTelemetry, Outcome, Postgres, RabbitMq, RabbitMqQueue, Reason, Redis, RedisQueue, Rendered, Request,
    Sqlx, Tcp, Upstream, Visibility, Webhook, check_fn, testing::Frozen,
};
use health_tests::{daemon::Server as _, kafka, mariadb, nats, postgres, rabbitmq, redis};
use rdkafka::consumer::BaseConsumer;

use crate::support::client;

/// Long enough for a bearer token.
const SECRET: &str = "s3cr3tw0rd-of-the-application";

/// Types that hold no word of the application's but names, limits and durations.
const PLAIN: [&str; 56] = [
    "Additions",
    "AgentCheck",
    "Apart",
    "Backlog",
    "BuildError",
    "Changes",
    "CheckBlocking",
    "CheckFn",
    "Cpu",
    "Defaults",
    "DiskSpace",
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
    "Heartbeat",
    "HeartbeatCheck",
    "Impact",
    "InFlight",
    "Kind",
    "Latch",
    "LatchCheck",
    "Lifecycle",
    "LifecycleChange",
    "Membership",
    "Memory",
    "MuteError",
    "Number",
    "PastResult",
    "Probe",
    "Prompter",
    "Reason",
    "RemoveError",
    "Response",
    "RuntimeLag",
    "Scripted",
    "Settings",
    "Shutdown",
    "SpoolDirectory",
    "Status",
    "Subject",
    "Systemd",
    "TaskAlive",
    "Toggle",
    "ToggleCheck",
    "Totals",
    "Transition",
    "UnknownCheck",
    "Uptime",
    "Visibility",
];

/// Every other public type, as `Debug` shows it after it was given the secret in every place that takes one.
async fn shown() -> Vec<(&'static str, String)> {
    let url = |scheme: &str| format!("{scheme}://app:{SECRET}@127.0.0.1:1/x?token={SECRET}");
    let config = || kafka::with_password(kafka::config(1), SECRET).create::<BaseConsumer>().unwrap();
    let consumer = || Arc::new(config());
    let mut pg = deadpool_postgres::tokio_postgres::Config::new();
    pg.host("127.0.0.1").port(1).user("app").password(SECRET);
    let amqp = || rabbitmq::pool(&rabbitmq::url(1, SECRET), 1);
    let resp = || redis::pool(&format!("redis://:{SECRET}@127.0.0.1:1/0"), 1);
    let token: tonic::metadata::MetadataValue<_> = format!("Bearer {SECRET}").parse().unwrap();
    let channel = tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    let carries = move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", token.clone());
        Ok::<_, tonic::Status>(request)
    };
    let server = nats::Server::start();
    let (roots, builder) = (tokio_rustls::rustls::RootCertStore::empty(), Health::builder().secret(SECRET));
    let error = || CheckError::new(format!("cannot connect to {}", url("postgres")));
    let outcome = || Outcome::from(error()).reason(Reason::Unreachable).detail("dsn", format!("password={SECRET}"));

    let frozen = Frozen::new(Health::builder().secret(SECRET).check("x", check_fn(|| async { Ok(()) }))).unwrap();
    let health = frozen.health();
    let mut changes = health.subscribe();
    frozen.record("x", outcome().observe(SECRET.to_owned(), 1, SECRET.to_owned()), Duration::ZERO).unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(3_000_000_000);
    health.mute("x", later, format!("since {SECRET} was changed")).unwrap();
    let change = changes.next().await.unwrap();
    let Change::Check(of_a_check) = &change else { panic!("{change:?}") };
    let report = health.report();
    let check = &report.checks[0];
    let endpoint = Endpoint::new(health.clone()).full_for_bearer(SECRET).visibility(Visibility::Full);
    let bearer = format!("Bearer {SECRET}");
    let header = |_: &str| Some(bearer.as_str());
    let request = Request { method: "GET", path: "/health", query: Some(SECRET), peer: None, header: &header };
    vec![
        ("Builder", format!("{builder:?}")),
        ("Certificate", format!("{:?}", Certificate::endpoint("127.0.0.1:1", Arc::new(roots)))),
        ("Change", format!("{change:?}")),
        ("CheckChange", format!("{of_a_check:?}")),
        ("CheckError", format!("{:?}", error())),
        ("CheckReport", format!("{check:?}")),
        ("Dogstatsd", format!("{:?}", Dogstatsd::udp("127.0.0.1:1").unwrap())),
        ("Endpoint", format!("{endpoint:?}")),
        ("Frozen", format!("{frozen:?}")),
        ("Grpc", format!("{:?}", Grpc::new(tonic::service::interceptor::InterceptedService::new(channel, carries)))),
        ("HeaderValue", format!("{:?}", endpoint.respond(&request).unwrap().headers)),
        ("Headers", format!("{:?}", endpoint.respond(&request).unwrap().headers)),
        ("Health", format!("{health:?}")),
        ("History", format!("{:?}", check.history)),
        ("Http", format!("{:?}", Http::get(client(), url("http")).header("authorization", &bearer))),
        ("Kafka", format!("{:?}", Kafka::consumer(consumer()))),
        ("KafkaLag", format!("{:?}", KafkaLag::new(consumer()))),
        ("Metrics", format!("{:?}", Metrics::new().label("token", SECRET))),
        ("Muted", format!("{:?}", check.muted)),
        (
            "Nats",
            format!("{:?}", Nats::new(nats::client(server.port(), nats::PASSWORD).await))
                .replace(nats::PASSWORD, SECRET),
        ),
        ("Notice", notice().await),
        ("Observed", format!("{:?}", check.observed)),
        ("OpenTelemetry", format!("{:?}", OpenTelemetry::global().attribute("token", SECRET))),
        ("Outcome", format!("{:?}", outcome())),
        ("Postgres", format!("{:?}", Postgres::new(postgres::pool(pg, 1)))),
        ("RabbitMq", format!("{:?}", RabbitMq::new(amqp()))),
        ("RabbitMqQueue", format!("{:?}", RabbitMqQueue::new(amqp(), "q"))),
        ("Redis", format!("{:?}", Redis::new(resp()))),
        ("RedisQueue", format!("{:?}", RedisQueue::list(resp(), "q"))),
        ("Registration", format!("{:?}", Redis::new(resp()).optional())),
        ("Rendered", format!("{:?}", Rendered::new("text/plain", "x"))),
        ("Report", format!("{report:?}")),
        ("Request", format!("{request:?}").replace(&format!("query: Some(\"{SECRET}\")"), "")),
        ("Source", format!("{:?}", SourceOf::of(&health).await)),
        ("Sqlx", format!("{:?}", Sqlx::new(mariadb::pool(1, SECRET, 1)))),
        ("Tcp", format!("{:?}", Tcp::new("127.0.0.1:1"))),
        ("Upstream", format!("{:?}", Upstream::new(client(), url("http")).header("authorization", &bearer))),
        ("Webhook", format!("{:?}", Webhook::post(client(), url("http")).unwrap().header("authorization", &bearer))),
    ]
}

/// What a webhook is told, with everything.
async fn notice() -> String {
    let (sender, receiver) = std::sync::mpsc::channel();
    let failing = || async { Err::<(), _>(CheckError::new(format!("password={SECRET}, or so"))) };
    let health = Health::builder().secret(SECRET).check("x", check_fn(failing)).start().unwrap();
    health.refresh("x").await.unwrap();
    let webhook = Webhook::post(client(), "http://127.0.0.1:1/").unwrap().visibility(Visibility::Full);
    health.publish(webhook.body_with(move |notice| {
        sender.send(format!("{notice:?}")).unwrap();
        serde_json::json!({})
    }));
    let shown = tokio::task::block_in_place(|| receiver.recv_timeout(Duration::from_secs(5)).unwrap());
    health.stop().await;
    assert!(shown.contains("or so"), "{shown}");
    shown
}

/// A publisher that hands out what its source shows of itself.
struct SourceOf(tokio::sync::oneshot::Sender<String>);

impl SourceOf {
    async fn of(_frozen: &Health) -> String {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let failing = || async { Err::<(), _>(CheckError::new(format!("password={SECRET}"))) };
        let health = Health::builder().secret(SECRET).check("x", check_fn(failing)).start().unwrap();
        health.refresh("x").await.unwrap();
        health.publish(Self(sender));
        let shown = receiver.await.unwrap();
        health.stop().await;
        shown
    }
}

#[health_core::async_trait]
impl health_core::Publisher for SourceOf {
    async fn publish(self: Box<Self>, source: health_core::Source) {
        self.0.send(format!("{source:?}")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS: tests/run"]
async fn no_debug_output_has_a_secret() {
    for (name, shown) in shown().await {
        assert!(!shown.contains("s3cr3tw0rd"), "{name}: {shown}");
    }
    let probe = health_probe::Probe::to(health_probe::Target::parse("http://127.0.0.1:1/").unwrap()).token(SECRET);
    assert!(!format!("{probe:?}").contains("s3cr3tw0rd"), "{probe:?}");
}

/// Every public type is here, by one list or the other; called with those that the documentation knows.
pub(crate) async fn no_type_is_forgotten(known: &BTreeSet<String>) {
    let shown: BTreeSet<String> = shown().await.into_iter().map(|(name, _)| name.to_owned()).collect();
    let all: BTreeSet<String> = shown.into_iter().chain(PLAIN.iter().map(|name| (*name).to_owned())).collect();
    let forgotten: Vec<_> = known.difference(&all).collect();
    let gone: Vec<_> = all.difference(known).collect();
    assert!(forgotten.is_empty() && gone.is_empty(), "add {forgotten:?}, and take {gone:?} away");
}
