//! A service that answers gRPC and HTTP on one port, with `grpc.health.v1` and the health routes over the same checks.
//! Its environment variables are:
//!
//! - `BIND_ADDR` (default `127.0.0.1:8080`) and `DRAIN_SECONDS` (default 10).
//! - `INVENTORY_URL`: another service that answers `grpc.health.v1`. If the variable is set, this service needs the
//!   other service to work.
//! - `HEALTH_TOKEN`: the bearer token that grants full visibility.

use std::{env, net::SocketAddr, str::FromStr, time::Duration};

use anyhow::Context as _;
use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};
use health_core::{CheckExt as _, Endpoint, Gauge, Grpc, Health, InFlight, TaskAlive};
use tokio::{net::TcpListener, sync::mpsc, time::sleep};
use tonic::{service::Routes, transport};

/// The largest number of jobs that wait.
const CAPACITY: usize = 50;
/// The duration of a job.
const JOB: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let address: SocketAddr = variable("BIND_ADDR", Some("127.0.0.1:8080"), "an address and a port")?;
    let drain: u64 = variable("DRAIN_SECONDS", Some("10"), "a whole number of seconds")?;

    // The drain waits for each accepted job, because a job is in flight until it is dropped.
    let (queue, mut jobs) = mpsc::channel::<InFlight>(CAPACITY);
    let worker = tokio::spawn(async move {
        while let Some(job) = jobs.recv().await {
            sleep(JOB).await;
            drop(job);
        }
    });
    // The check has a weak reference, because a strong one would keep the queue open for ever.
    let waiting = queue.downgrade();
    let length = move || waiting.upgrade().map_or(0, |queue| queue.max_capacity() - queue.capacity());
    let mut builder = Health::builder()
        .service("orders")
        .version(env!("CARGO_PKG_VERSION"))
        // A long queue counts for the full report only, because taking the instance out of traffic would not shorten
        // the queue.
        .check("queue", Gauge::new(length).unit("jobs").warn_above(CAPACITY / 2).fail_above(CAPACITY * 9 / 10).local())
        // A task that has panicked does not restart, so the process must be restarted.
        .check("worker", TaskAlive::new(worker).liveness());
    if env::var_os("INVENTORY_URL").is_some() {
        let inventory: transport::Endpoint = variable("INVENTORY_URL", None, "http://host:port")?;
        // Connects when it is first used, so that this service starts even if the other one is down.
        let channel = inventory.connect_timeout(Duration::from_secs(1)).connect_lazy();
        // A check of another service is optional by default. This one is critical, because nothing works without the
        // service.
        builder = builder.check("inventory", Grpc::new(channel).critical());
    }
    let health = builder.start()?;
    // From here on SIGTERM and SIGINT start a drain: readiness fails at once, and the service continues to serve until
    // the delay has passed.
    let leave = health_axum::shutdown(&health, Duration::from_secs(drain))?;
    let mut endpoint = Endpoint::new(health.clone());
    if env::var_os("HEALTH_TOKEN").is_some() {
        endpoint = endpoint.full_for_bearer(variable::<String>("HEALTH_TOKEN", None, "a token of plain text")?);
    }

    let grpc = Routes::new(health_tonic::service(health.clone()))
        // Add the services of the application with .add_service(..).
        .into_axum_router()
        // The fallback of tonic answers each unknown path with 200 and UNIMPLEMENTED in a header. gRPC clients read the
        // 404 of axum as UNIMPLEMENTED, too, and HTTP clients understand the 404.
        .reset_fallback();
    let service = health.clone();
    let accept = move || async move {
        // If the queue is full, the job is refused, and the caller must retry later.
        if queue.try_send(service.in_flight()).is_ok() { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE }
    };
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/jobs", post(accept))
        .merge(grpc)
        // Merged last, so that layers of the application, such as authentication and traces, do not wrap the probes.
        .merge(health_axum::routes(endpoint.validated()?));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // Serves HTTP/1.1 and, with axum's feature `http2`, HTTP/2 without TLS and without an upgrade, as gRPC clients use
    // it. A stream of `Watch` ends with the drain, so that it does not delay the shutdown.
    axum::serve(listener, app).with_graceful_shutdown(leave).await?;
    health.stop().await;
    Ok(())
}

/// Reads an environment variable. The error never has its value, which can contain a password.
fn variable<T: FromStr>(name: &str, default: Option<&str>, expected: &str) -> anyhow::Result<T> {
    let text = match env::var_os(name) {
        Some(value) => value.into_string().ok(),
        None => default.map(str::to_owned),
    };
    text.and_then(|text| text.parse().ok()).with_context(|| format!("{name} must be set to {expected}"))
}
