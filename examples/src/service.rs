//! The health of the example service: its checks, its publishers and its endpoint.

use std::error::Error;

use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod, tokio_postgres::NoTls};
use health_core::{CheckExt as _, Dogstatsd, Endpoint, Health, Postgres, Redis, RedisQueue, Systemd};

use crate::{Queue, Settings, reload_on_hangup, work};

/// A started service, ready to be mounted.
#[derive(Clone, Debug)]
pub struct Service {
    /// The handle with which the program drains and stops.
    pub health: Health,
    /// The endpoint that an adapter mounts.
    pub endpoint: Endpoint,
    /// The queue for the jobs of the application.
    pub queue: Queue,
}

/// Starts the worker and the checks on the current runtime, and applies their settings again on SIGHUP.
///
/// # Errors
///
/// Returns an error if the settings name a check or an option that does not exist, or have an invalid value or a token
/// that is too short, and if the handler of SIGHUP cannot be registered.
pub fn start(settings: &Settings) -> Result<Service, Box<dyn Error>> {
    let (queue, heartbeat) = work::start_worker();
    let mut builder = Health::builder()
        .settings(settings.checks.clone())
        .service(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .check("queue", queue.check())
        .check("worker", heartbeat.check().liveness());
    for secret in &settings.secrets {
        builder = builder.secret(secret);
    }
    if let Some(pool) = postgres_pool(settings) {
        builder = builder.check("database", Postgres::new(pool));
    }
    if let Some(pool) = redis_pool(settings) {
        builder = builder
            .check("cache", Redis::new(pool.clone()).optional())
            .check("jobs", RedisQueue::list(pool, "jobs").warn_above(1_000).fail_above(10_000));
    }
    let health = builder.start()?;
    reload_on_hangup(&health)?;
    health.publish(Systemd::new());
    if let Some(agent) = settings.dogstatsd {
        match Dogstatsd::udp(agent) {
            Ok(dogstatsd) => health.publish(dogstatsd),
            Err(error) => tracing::warn!(%error, "DogStatsD not available: no service checks are sent"),
        }
    }
    let mut endpoint = Endpoint::new(health.clone());
    if let Some(token) = &settings.token {
        endpoint = endpoint.full_for_bearer(token);
    }
    Ok(Service { health, endpoint: endpoint.validated()?, queue })
}

fn postgres_pool(settings: &Settings) -> Option<deadpool_postgres::Pool> {
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(settings.database.clone()?, NoTls, config);
    // Building fails only if timeouts are set without a runtime.
    deadpool_postgres::Pool::builder(manager).max_size(8).build().ok()
}

fn redis_pool(settings: &Settings) -> Option<deadpool_redis::Pool> {
    // The settings have a URL that is already parsed. Building fails only if timeouts are set.
    let manager = deadpool_redis::Manager::new(settings.redis.clone()?).ok()?;
    deadpool_redis::Pool::builder(manager).max_size(8).build().ok()
}
