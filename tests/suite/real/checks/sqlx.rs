//! The `Sqlx` check against a real MariaDB server, and with PostgreSQL and SQLite, beyond the table of faults.

use health_core::{CheckExt as _, Health, Reason, Sqlx, Status};
use health_tests::{
    daemon::Server as _,
    mariadb::{PASSWORD, Server, options, pool},
    port, postgres,
    support::{checked, checked_within, invalid, millis, observed, rerun, secs, shown, turns, verdict},
    wait::{self, HANG},
};
use sqlx::{
    Connection as _, MySqlConnection,
    mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions},
};

#[tokio::test(flavor = "multi_thread")]
async fn dead_idle_connections_are_no_outage_and_a_busy_pool_is_saturated() {
    let server = Server::start();
    let pool = pool(server.port(), PASSWORD, 2);
    let health = checked_within(secs(4), Sqlx::new(pool.clone()).saturated_for(HANG)).await;
    turns(&health, Status::Healthy, None).await;
    assert_eq!(pool.size(), 0, "without an idle connection the check opens its own beside the pool");
    // sqlx returns a connection to its pool in a task.
    let idle = async |count: u32| wait::true_of("idle connections", || pool.num_idle() >= count as usize).await;
    drop((pool.acquire().await.unwrap(), pool.acquire().await.unwrap()));
    idle(2).await;
    let report = rerun(&health).await;
    assert_eq!((report.status(), observed(&report, "pool_max")), (Status::Healthy, 2.0));
    assert!(observed(&report, "pool_idle") >= 1.0, "{report:?}");

    for _ in 0..5 {
        server.terminate_sessions();
        assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
    }

    let strict = checked_within(secs(4), Sqlx::new(pool.clone()).saturated_for(millis(1))).await;
    let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    turns(&strict, Status::Unhealthy, Some(Reason::Saturated)).await;
    drop(held);
    idle(1).await;
    turns(&health, Status::Healthy, None).await;
    turns(&strict, Status::Healthy, None).await;
    // The checks of one pool share one connection of their own, so the second check opens no third one.
    wait::done("at most two connections", async || {
        let _ = rerun(&health).await;
        let connections = port::connections_to(server.port());
        if connections <= 2 { Ok(()) } else { Err(connections) }
    })
    .await;
    pool.close().await;
    assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Failed)));
}

/// MySQL's error messages are localized, so the check classifies by the number.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_mysql_are_classified_by_their_number() {
    let server = Server::start_with(&["--lc-messages=de_DE", "--max-connections=10"]);
    let user = |user: &str| options(server.port(), PASSWORD).username(user);
    let says = async |options: MySqlConnectOptions| {
        let pool = MySqlPoolOptions::new().max_connections(2).connect_lazy_with(options);
        verdict(&shown(&checked(Sqlx::new(pool)).await))
    };
    let create = |user: &str, with: &str| {
        drop(server.statement(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}' {with}")));
    };
    create("locked", "ACCOUNT LOCK");
    create("old", "PASSWORD EXPIRE");
    create("few", "WITH MAX_USER_CONNECTIONS 1");
    create("spent", "WITH MAX_CONNECTIONS_PER_HOUR 1");
    create("elsewhere", "REQUIRE SSL");
    let rejected = (Status::Unhealthy, Some(Reason::Rejected));
    let saturated = (Status::Unhealthy, Some(Reason::Saturated));
    assert_eq!(says(user("locked")).await, rejected, "4151");
    assert_eq!(says(user("nobody")).await, rejected, "1045");
    assert_eq!(says(user("app").database("nothing")).await, rejected, "1049");
    assert_eq!(says(user("elsewhere").ssl_mode(MySqlSslMode::Disabled)).await, rejected, "1045");
    let _ = server.statement("SET GLOBAL disconnect_on_expired_password = ON");
    assert_eq!(says(user("old")).await, rejected, "1862");
    let held = MySqlConnection::connect_with(&user("few")).await.unwrap();
    assert_eq!(says(user("few")).await, saturated, "1226");
    let spent = MySqlConnection::connect_with(&user("spent")).await.unwrap();
    assert_eq!(says(user("spent")).await, saturated, "1226");
    drop((held, spent));
    let mut others = Vec::new();
    while let Ok(connection) = MySqlConnection::connect_with(&user("app")).await {
        others.push(connection);
    }
    assert_eq!(says(user("app")).await, saturated, "1040");
}

/// The check keeps only its own connection in use, and the pool closes the idle ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_watched_idle_pool_still_shrinks() {
    let server = Server::start();
    let timeout = secs(2);
    let small = MySqlPoolOptions::new().max_connections(10).idle_timeout(timeout);
    let pool = small.connect_with(options(server.port(), PASSWORD)).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(pool.acquire().await.unwrap());
    }
    drop(held);
    wait::true_of("idle connections", || pool.num_idle() == 8).await;
    let health = Health::builder().check("x", Sqlx::new(pool.clone()).every(millis(200))).start().unwrap();
    wait::true_of("the pool has shrunk to one connection", || pool.size() <= 1).await;
    assert_eq!(shown(&health).status(), Status::Healthy, "{:?}", shown(&health));
    // The server closes a connection some time after it has left the pool.
    let connections = || port::connections_to(server.port());
    wait::true_of("two connections: one of the pool, and the check's own", || connections() <= 2).await;
}

/// The server counts connections that are closed without the protocol's end of a session.
#[tokio::test(flavor = "multi_thread")]
async fn the_checks_own_connection_is_closed_in_order() {
    let server = Server::start();
    let unused = pool(server.port(), PASSWORD, 2);
    let health = checked(Sqlx::new(unused.clone())).await;
    turns(&health, Status::Healthy, None).await;
    wait::true_of("one open connection", || port::connections_to(server.port()) == 1).await;
    assert_eq!(unused.size(), 0);
    health.stop().await;
    drop(health);
    wait::true_of("no open connection", || port::connections_to(server.port()) == 0).await;
    let aborted = server.statement("SHOW GLOBAL STATUS LIKE 'Aborted_clients'");
    assert!(aborted.trim().ends_with("\t0"), "{aborted}");
}

#[tokio::test]
async fn a_locked_sqlite_file_is_saturated_and_a_file_that_is_no_database_fails() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| SqliteConnectOptions::new().filename(directory.path().join(name)).create_if_missing(true);
    let pool = |options: SqliteConnectOptions| SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
    // The application's only connection is in use and locks the file exclusively.
    let exclusive = at("orders.db").locking_mode(SqliteLockingMode::Exclusive).journal_mode(SqliteJournalMode::Wal);
    let one = pool(exclusive);
    let health = checked_within(secs(1), Sqlx::new(one.clone())).await;
    turns(&health, Status::Healthy, None).await;
    let held = one.acquire().await.unwrap();
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    // Another program has locked the file.
    let other = pool(at("orders.db").busy_timeout(millis(10)));
    let tolerant = checked(Sqlx::new(other.clone())).await;
    assert_eq!(verdict(&shown(&tolerant)), (Status::Degraded, Some(Reason::Saturated)), "{:?}", shown(&tolerant));
    let strict = checked(Sqlx::new(other).saturated_for(millis(1))).await;
    turns(&strict, Status::Unhealthy, Some(Reason::Saturated)).await;
    drop(held);
    turns(&health, Status::Healthy, None).await;
    std::fs::write(directory.path().join("notes.txt"), "This is no SQLite file. ".repeat(100)).unwrap();
    let report = shown(&checked(Sqlx::new(pool(at("notes.txt")))).await);
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Failed)), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_at_its_limit_of_connections_is_saturated() {
    let server = Server::start();
    let _ = server.statement("SET GLOBAL max_connections = 10");
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(server.connect().await);
    }
    let health = checked(Sqlx::new(pool(server.port(), PASSWORD, 2))).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Saturated)), "{:?}", shown(&health));
    drop(others);
    // The server may need a moment to notice that the clients have disconnected.
    wait::done("healthy", async || match rerun(&health).await.status() {
        Status::Healthy => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test]
async fn bad_input_is_refused() {
    assert!(invalid(Sqlx::new(pool(1, "", 1)).saturated_for(secs(0))).contains("tolerable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_refusals_are_rejected_and_dead_idle_sessions_are_no_outage() {
    let server = postgres::Server::start();
    let pool = |password: &str| {
        let options = PgConnectOptions::new().host("127.0.0.1").port(postgres::Server::port(&server)).username("app");
        PgPoolOptions::new().max_connections(2).connect_lazy_with(options.database("postgres").password(password))
    };
    let right = pool(postgres::PASSWORD);
    let health = checked(Sqlx::new(right.clone())).await;
    assert_eq!(shown(&health).status(), Status::Healthy, "{:?}", shown(&health));
    assert_eq!(verdict(&shown(&checked(Sqlx::new(pool("wrong"))).await)), (Status::Unhealthy, Some(Reason::Rejected)));
    // Idle sessions that the server has terminated are no outage.
    drop(right.acquire().await.unwrap());
    wait::true_of("an idle connection", || right.num_idle() >= 1).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    server.connect().await.simple_query(end).await.unwrap();
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
}

/// The pool is built as the recipe for sea-orm builds it.
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_behind_sea_orm_is_checked_over_the_same_pool() {
    let server = postgres::Server::start();
    let port = postgres::Server::port(&server);
    let url = |password: &str| format!("postgres://app:{password}@127.0.0.1:{port}/postgres");
    let connect = async |password: &str| {
        let mut options = sea_orm::ConnectOptions::new(url(password));
        options.max_connections(2).connect_lazy(true);
        sea_orm::Database::connect(options).await.unwrap()
    };
    let database = connect(postgres::PASSWORD).await;
    let pool = database.get_postgres_connection_pool();
    let health = checked_within(secs(4), Sqlx::new(pool.clone()).saturated_for(HANG)).await;
    turns(&health, Status::Healthy, None).await;
    let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    drop(held);
    turns(&health, Status::Healthy, None).await;
    let stranger = connect("wrong").await;
    let health = checked(Sqlx::new(stranger.get_postgres_connection_pool().clone())).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Rejected)), "{:?}", shown(&health));
}

#[tokio::test]
async fn a_sqlite_file_that_opens_is_healthy_and_a_missing_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("orders.db");
    let pool = |create: bool| {
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(create);
        SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options)
    };
    assert_eq!(shown(&checked(Sqlx::new(pool(false))).await).status(), Status::Unhealthy);
    let one = pool(true);
    let health = checked(Sqlx::new(one.clone())).await;
    assert_eq!(shown(&health).status(), Status::Healthy, "{:?}", shown(&health));
    // A pool of one connection that is busy for a moment is not saturated: the run waits for it. A machine that stalls
    // at this moment keeps the connection longer, so the test repeats the run.
    wait::done("healthy", async || {
        let held = one.acquire().await.unwrap();
        let (report, ()) = tokio::join!(rerun(&health), async {
            tokio::task::yield_now().await;
            drop(held);
        });
        if report.status() == Status::Healthy { Ok(()) } else { Err(report) }
    })
    .await;
}
