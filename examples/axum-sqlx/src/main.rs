//! A service on axum with PostgreSQL over sqlx, Redis as a cache, another service over HTTP, and an OpenAPI document
//! that includes the paths of the health endpoint. Its environment variables are:
//!
//! - `DATABASE_URL`, `REDIS_URL` and `UPSTREAM_URL`, which must be set.
//! - `BIND_ADDR` (default `127.0.0.1:8080`) and `DRAIN_SECONDS` (default 10).
//! - `HEALTH_TOKEN`: the bearer token that grants full visibility.

use std::{env, fmt::Display, net::SocketAddr, str::FromStr, time::Duration};

use anyhow::Context as _;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use health_core::{CheckExt as _, Endpoint, Health, Http, RedisConnection, Sqlx};
use redis::{
    AsyncTypedCommands as _, Client, ConnectionInfo,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use reqwest::{Url, redirect::Policy};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::net::TcpListener;
use utoipa::OpenApi;

/// The shared state of the handlers.
#[derive(Clone)]
struct App {
    database: PgPool,
    cache: ConnectionManager,
}

/// The application's own OpenAPI document.
#[derive(OpenApi)]
#[openapi(info(title = "orders"), paths(time))]
struct Api;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let address: SocketAddr = variable("BIND_ADDR", Some("127.0.0.1:8080"), "an address and a port")?;
    let drain: u64 = variable("DRAIN_SECONDS", Some("10"), "a whole number of seconds")?;
    let database: PgConnectOptions = variable("DATABASE_URL", None, "postgres://user:password@host:5432/database")?;
    let cache: ConnectionInfo = variable("REDIS_URL", None, "redis://user:password@host:6379/0")?;
    let upstream: Url = variable("UPSTREAM_URL", None, "the http:// or https:// URL of a page of another service")?;

    // Both connect when they are first used. If the database is down, the service starts and is not ready, instead of
    // ending and being restarted again and again.
    let database = PgPoolOptions::new()
        .max_connections(8)
        // A request that gets no connection in this time fails. The default of sqlx is 30 s.
        .acquire_timeout(Duration::from_secs(2))
        .connect_lazy_with(database);
    let client = Client::open(cache)?;
    // Without retries, because every request would wait for them. The next command connects again.
    let once = ConnectionManagerConfig::new().set_number_of_retries(0);
    let cache = ConnectionManager::new_lazy_with_config(client.clone(), once)?;
    // reqwest with `rustls-no-provider` uses the cryptography provider of the process. An error means that one is
    // already set.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Redirects are not followed, so that the check sees the redirect as the answer.
    let http = reqwest::Client::builder().redirect(Policy::none()).build()?;

    let health = Health::builder()
        .service("orders")
        .version(env!("CARGO_PKG_VERSION"))
        .check("database", Sqlx::new(database.clone()))
        // Without the cache the service is slower, but works. A failure makes it Degraded, and it stays ready.
        .check("cache", RedisConnection::new(cache.clone(), client).optional())
        // A check of another service is optional by default, so that its outage does not take down every caller.
        .check("upstream", Http::get(http, upstream).slow_above(Duration::from_millis(500)))
        .start()?;
    // From here on SIGTERM and SIGINT start a drain: readiness fails at once, and the service continues to serve until
    // the delay has passed.
    let leave = health_axum::shutdown(&health, Duration::from_secs(drain))?;

    let mut endpoint = Endpoint::new(health.clone());
    if env::var_os("HEALTH_TOKEN").is_some() {
        endpoint = endpoint.full_for_bearer(variable::<String>("HEALTH_TOKEN", None, "a token of plain text")?);
    }
    let endpoint = endpoint.validated()?;
    let mut document = Api::openapi();
    // Called after the options of the endpoint are set, which the document reflects.
    document.merge(endpoint.openapi());
    let document = document.to_json()?;

    let app = Router::new()
        .route("/time", get(time))
        .route("/openapi.json", get(move || async move { ([(CONTENT_TYPE, "application/json")], document) }))
        .with_state(App { database, cache })
        // Merged last, so that layers of the application, such as authentication and traces, do not wrap the probes.
        .merge(health_axum::routes(endpoint));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(leave).await?;
    health.stop().await;
    Ok(())
}

/// Returns the time of the database, at most one second old.
#[utoipa::path(
    get,
    path = "/time",
    responses((status = 200, description = "The time", body = String), (status = 503, description = "No database"))
)]
async fn time(State(App { database, mut cache }): State<App>) -> Result<String, StatusCode> {
    match cache.get("time").await {
        Ok(Some(time)) => return Ok(time),
        Ok(None) => {}
        // Continues with the database.
        Err(error) => warn("reading the cache failed", &error),
    }
    let time: String = sqlx::query_scalar("SELECT now()::text").fetch_one(&database).await.map_err(|error| {
        // The text of the driver is only logged. Callers get only the status code.
        warn("the query of the database failed", &error);
        StatusCode::SERVICE_UNAVAILABLE
    })?;
    if let Err(error) = cache.set_ex("time", &time, 1).await {
        warn("writing the cache failed", &error);
    }
    Ok(time)
}

fn warn(what: &str, error: &dyn Display) {
    tracing::warn!(%error, "{what}");
}

/// Reads an environment variable. The error never has its value, because a mistyped URL still contains its password.
fn variable<T: FromStr>(name: &str, default: Option<&str>, expected: &str) -> anyhow::Result<T> {
    let text = match env::var_os(name) {
        Some(value) => value.into_string().ok(),
        None => default.map(str::to_owned),
    };
    text.and_then(|text| text.parse().ok()).with_context(|| format!("{name} must be set to {expected}"))
}
