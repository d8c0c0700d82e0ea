//! A service on actix-web with PostgreSQL over diesel-async, jobs for RabbitMQ over one connection of lapin, and a page
//! `/metrics` that has the numbers of the checks together with the application's own. It reads `DATABASE_URL` and
//! `AMQP_URL`, which must be set, `BIND_ADDR` (default `127.0.0.1:8080`), `DRAIN_SECONDS` (default 10) and
//! `HEALTH_TOKEN`, the bearer token that grants full visibility.

use std::{
    env,
    fmt::Display,
    net::{SocketAddr, TcpListener},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, error::ErrorServiceUnavailable, web};
use anyhow::Context as _;
use diesel::{dsl::sql, sql_types::Text};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl as _,
    pooled_connection::{AsyncDieselConnectionManager, bb8::Pool},
};
use health_core::{Bb8, CheckExt as _, Durations, Endpoint, Health, Metrics, RabbitMqConnection};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
    uri::AMQPUri,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::{sleep, timeout};

/// The name of the queue for the jobs.
const JOBS: &str = "jobs";
/// The time for which a request waits for a connection to the database, or for a broker that is short of memory. At
/// startup the service waits five times as long for the broker.
const LIMIT: Duration = Duration::from_secs(2);
/// The time for answers that are in progress when the drain is over, in seconds.
const LAST_ANSWERS: u64 = 5;

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let address: SocketAddr = variable("BIND_ADDR", Some("127.0.0.1:8080"), "an address and a port")?;
    let drain: u64 = variable("DRAIN_SECONDS", Some("10"), "a whole number of seconds")?;
    let database: String = variable("DATABASE_URL", None, "postgres://user:password@host:5432/database")?;
    let broker: AMQPUri = variable("AMQP_URL", None, "amqp://user:password@host:5672/vhost, with / as %2f")?;

    // Before the checks start, because earlier durations are not recorded. The buckets make a histogram of them.
    let buckets: Vec<f64> = Durations::bounds().iter().map(Duration::as_secs_f64).collect();
    let metrics = PrometheusBuilder::new().set_buckets(&buckets)?.install_recorder()?;
    let recorded = metrics.clone();
    actix_web::rt::spawn(async move {
        loop {
            // A recorder that the application renders itself keeps every value until this call aggregates the values.
            recorded.run_upkeep();
            sleep(Duration::from_secs(5)).await;
        }
    });

    // Connects when a connection is first used, so that the service starts even if the database is down.
    let database = Pool::builder()
        .max_size(8)
        .connection_timeout(LIMIT)
        .build(AsyncDieselConnectionManager::<AsyncPgConnection>::new(database))
        .await?;
    // By default lapin does not recover a lost connection and its channels, and its backoff gives up after 16 attempts.
    // It has no lazy connection: unlike the database, the broker must be reachable when the service starts.
    let properties =
        ConnectionProperties::default().configure_backoff(|it| it.with_max_delay(LIMIT).without_max_times());
    let broker = timeout(LIMIT * 5, Connection::connect_uri(broker, properties.enable_auto_recover())).await;
    let broker = broker.context("the broker at AMQP_URL does not answer")?.context("connecting to AMQP_URL failed")?;
    let jobs = broker.create_channel().await?;
    // The broker confirms a job once it is on disk, in a queue that survives a restart. So no accepted job is lost.
    jobs.confirm_select(ConfirmSelectOptions::default()).await?;
    jobs.queue_declare(JOBS.into(), QueueDeclareOptions::durable(), FieldTable::default()).await?;

    let health = Health::builder()
        .service("orders")
        .version(env!("CARGO_PKG_VERSION"))
        .check("database", Bb8::new(database.clone()))
        // Without the broker the service accepts no jobs, but everything else works: Degraded, and still ready.
        .check("broker", RabbitMqConnection::new(Arc::new(broker)).optional())
        .start()?;
    health.publish(Metrics::new());
    // From here on SIGTERM and SIGINT start a drain: not ready at once, and the service serves until the delay ends.
    let leave = health_actix::shutdown(&health, Duration::from_secs(drain))?;
    let mut endpoint = Endpoint::new(health.clone());
    if env::var_os("HEALTH_TOKEN").is_some() {
        endpoint = endpoint.full_for_bearer(variable::<String>("HEALTH_TOKEN", None, "a token of plain text")?);
    }
    let probes = health_actix::routes(endpoint.validated()?);
    let (database, jobs, metrics) = (web::Data::new(database), web::Data::new(jobs), web::Data::new(metrics));

    let listener = TcpListener::bind(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    HttpServer::new(move || {
        App::new()
            .service(probes.clone())
            .app_data(database.clone())
            .app_data(jobs.clone())
            .app_data(metrics.clone())
            .route("/version", web::get().to(version))
            .route("/jobs", web::post().to(accept))
            .route("/metrics", web::get().to(export))
    })
    .shutdown_signal(leave)
    .shutdown_timeout(LAST_ANSWERS)
    .listen(listener)?
    .run()
    .await?;
    health.stop().await;
    Ok(())
}

/// Returns the version of the database.
async fn version(database: web::Data<Pool<AsyncPgConnection>>) -> actix_web::Result<String> {
    let mut connection = database.get().await.map_err(unavailable)?;
    diesel::select(sql::<Text>("version()")).get_result(&mut connection).await.map_err(unavailable)
}

/// Adds a job to the queue.
async fn accept(jobs: web::Data<Channel>, job: web::Bytes) -> actix_web::Result<HttpResponse> {
    let on_disk = BasicProperties::default().with_delivery_mode(2);
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = async { jobs.basic_publish("".into(), JOBS.into(), mandatory, &job, on_disk).await?.await };
    match timeout(LIMIT, sent).await.map_err(unavailable)?.map_err(unavailable)? {
        Confirmation::Ack(None) => Ok(HttpResponse::Accepted().finish()),
        _ => Err(unavailable("the broker refused the job, or the queue does not exist")),
    }
}

/// Returns all recorded metrics, including the numbers of the checks.
async fn export(metrics: web::Data<PrometheusHandle>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(metrics.render())
}

/// Logs the text of a driver, and returns a fixed text for the caller.
fn unavailable(error: impl Display) -> actix_web::Error {
    tracing::warn!(%error, "a request failed");
    ErrorServiceUnavailable("try again later")
}

/// Reads an environment variable. The error never has its value, because a mistyped URL still contains its password.
fn variable<T: FromStr>(name: &str, default: Option<&str>, expected: &str) -> anyhow::Result<T> {
    let text = match env::var_os(name) {
        Some(value) => value.into_string().ok(),
        None => default.map(str::to_owned),
    };
    text.and_then(|text| text.parse().ok()).with_context(|| format!("{name} must be set to {expected}"))
}
