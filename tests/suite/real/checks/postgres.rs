//! The `Postgres` check against real servers.

use std::time::Duration;

use deadpool_postgres::{
    Pool,
    tokio_postgres::{Config, NoTls},
};
use health_core::{CheckExt as _, Health, Postgres, Reason, Registration, Status};
use health_tests::{
    postgres::{self, Server},
    support::secs,
    wait::{self, HANG},
};

async fn verdict(check: impl Into<Registration>) -> (Status, Option<Reason>, String) {
    let health = Health::builder().check("database", check.into().timeout(HANG)).start().unwrap();
    health.refresh("database").await.unwrap();
    let report = health.report();
    let check = report.check("database").unwrap();
    (check.status(), check.reason(), check.message().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_observes_the_pool() {
    let server = Server::start();
    let pool = server.pool(4);
    let held = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    let health = Health::builder().check("database", Postgres::new(pool).timeout(HANG)).start().unwrap();
    assert_eq!(health.refresh("database").await, Ok(Status::Healthy));
    assert_eq!(health.refresh("database").await, Ok(Status::Healthy));
    let report = health.report();
    let observed: Vec<String> =
        report.check("database").unwrap().observed().iter().map(|o| format!("{} {}", o.name, o.value)).collect();
    assert_eq!(observed, ["pool_max 4", "pool_size 3", "pool_available 1", "pool_waiting 0"]);
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeouts_of_the_pool_are_not_used() {
    let server = Server::start();
    let manager = deadpool_postgres::Manager::new(server.config(), NoTls);
    let pool = Pool::builder(manager)
        .max_size(1)
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .wait_timeout(Some(secs(60)))
        .create_timeout(Some(Duration::from_nanos(1)))
        .recycle_timeout(Some(Duration::from_nanos(1)))
        .build()
        .unwrap();
    assert_eq!(verdict(Postgres::new(pool)).await.0, Status::Healthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_a_run_timed_out_is_not_used_again() {
    let server = Server::start();
    let pool = server.pool(1);
    drop(pool.get().await.unwrap());
    let health = Health::builder().check("database", Postgres::new(pool.clone()).timeout(secs(1))).start().unwrap();
    wait::done("healthy", async || match health.refresh("database").await {
        Ok(Status::Healthy) => Ok(()),
        other => Err(other),
    })
    .await;
    server.freeze();
    assert_eq!(health.refresh("database").await, Ok(Status::Unhealthy));
    health.stop().await;
    assert_eq!(pool.status().size, 0, "the connection is discarded and not returned");
    server.thaw();
}

#[tokio::test(flavor = "multi_thread")]
async fn writable_fails_on_a_read_only_session() {
    let server = Server::start();
    assert_eq!(verdict(Postgres::new(server.pool(1)).writable()).await.0, Status::Healthy);
    let mut config = server.config();
    config.options("-c default_transaction_read_only=on");
    let read_only = || postgres::pool(config.clone(), 1);
    let (status, reason, message) = verdict(Postgres::new(read_only()).writable()).await;
    assert_eq!((status, reason), (Status::Unhealthy, Some(Reason::Rejected)), "{message}");
    assert!(message.contains("read-only"), "{message}");
    assert_eq!(
        verdict(Postgres::new(read_only())).await.0,
        Status::Healthy,
        "without writable() a read-only session is healthy"
    );
}

/// The state in which the application leaves its sessions does not make the server read-only.
#[tokio::test(flavor = "multi_thread")]
async fn writable_judges_the_server_and_not_the_session() {
    let server = Server::start();
    let pool = server.pool(1);
    let session = pool.get().await.unwrap();
    session.batch_execute("BEGIN READ ONLY").await.unwrap();
    drop(session);
    assert_eq!(
        verdict(Postgres::new(pool.clone()).writable()).await.0,
        Status::Healthy,
        "an open read-only transaction"
    );
    let session = pool.get().await.unwrap();
    assert!(session.batch_execute("SELECT 1 / 0").await.is_err());
    drop(session);
    assert_eq!(verdict(Postgres::new(pool.clone()).writable()).await.0, Status::Healthy, "a failed transaction");
    let session = pool.get().await.unwrap();
    let fooled = "CREATE SCHEMA fooled; SET search_path = fooled, pg_catalog; \
                  CREATE FUNCTION fooled.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'";
    session.batch_execute(fooled).await.unwrap();
    drop(session);
    assert_eq!(
        verdict(Postgres::new(pool).writable()).await.0,
        Status::Healthy,
        "a function of the same name on the search path"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writable_fails_on_a_standby() {
    let mut server = Server::start();
    server.stop();
    server.make_standby();
    server.run();
    let check = || Postgres::new(server.pool(1)).writable();
    // The server accepts sessions before its recovery has reached a consistent state.
    let (status, message) = wait::done("rejected", async || match verdict(check()).await {
        (status, Some(Reason::Rejected), message) => Ok((status, message)),
        other => Err(other),
    })
    .await;
    assert_eq!(status, Status::Unhealthy, "{message}");
    assert!(message.contains("standby"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_the_server_has_its_reason() {
    let server = Server::start();
    let mut config = server.config();
    config.dbname("no_such_database");
    assert_eq!(verdict(Postgres::new(postgres::pool(config, 1))).await.1, Some(Reason::Rejected));
    let mut config = Config::new();
    // The host name is too long for a DNS label, so no resolver is queried.
    config.host("x".repeat(64)).user("app");
    assert_eq!(verdict(Postgres::new(postgres::pool(config, 1))).await.1, Some(Reason::Unreachable));
    let admin = server.connect().await;
    admin.batch_execute("CREATE DATABASE closed ALLOW_CONNECTIONS false").await.unwrap();
    let mut config = server.config();
    config.dbname("closed");
    assert_eq!(verdict(Postgres::new(postgres::pool(config, 1))).await.1, Some(Reason::Rejected));
    // A role at its connection limit is classified like a server at its limit.
    admin.batch_execute("CREATE ROLE guest LOGIN PASSWORD 'guest' CONNECTION LIMIT 0").await.unwrap();
    let mut config = server.config();
    config.user("guest").password("guest");
    assert_eq!(verdict(Postgres::new(postgres::pool(config, 1))).await.1, Some(Reason::Saturated));
}
