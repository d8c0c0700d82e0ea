//! The `Sqlx` check against a real MariaDB server, beyond the table of faults.

use health_core::{Reason, Sqlx, Status};
use health_tests::{
    daemon::Server as _,
    mariadb::{PASSWORD, Server, pool},
    port, postgres,
    support::{checked, invalid, millis, observed, rerun, secs, shown, verdict},
    wait::{self, HANG},
};
use sqlx::{
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

#[tokio::test(flavor = "multi_thread")]
async fn dead_idle_connections_are_no_outage_and_a_busy_pool_is_saturated() {
    let server = Server::start();
    let pool = pool(server.port(), PASSWORD, 2);
    let health = checked(Sqlx::new(pool.clone()).saturated_for(HANG)).await;
    assert_eq!(shown(&health).status(), Status::Healthy, "without an idle connection, beside the pool");
    // Given back by a task.
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

    let strict = checked(Sqlx::new(pool.clone()).saturated_for(millis(1))).await;
    let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    assert_eq!(verdict(&*rerun(&health).await), (Status::Degraded, Some(Reason::Saturated)));
    wait::done("unhealthy", async || match verdict(&*rerun(&strict).await) {
        (Status::Unhealthy, Some(Reason::Saturated)) => Ok(()),
        other => Err(other),
    })
    .await;
    drop(held);
    idle(1).await;
    assert_eq!(rerun(&health).await.status(), Status::Healthy);
    assert_eq!(rerun(&strict).await.status(), Status::Healthy);
    // Two of the pool, and none beside it any more.
    wait::true_of("two connections", || port::connections_to(server.port()) <= 2).await;
    pool.close().await;
    assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Failed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_connection_left_is_saturated() {
    let server = Server::start();
    let _ = server.statement("SET GLOBAL max_connections = 10");
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(server.connect().await);
    }
    let health = checked(Sqlx::new(pool(server.port(), PASSWORD, 2))).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Saturated)), "{:?}", shown(&health));
    drop(others);
    // The server may need a moment to see that they have gone.
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
async fn postgresql_has_its_reasons_too() {
    let server = postgres::Server::start();
    let pool = |password: &str| {
        let options = PgConnectOptions::new().host("127.0.0.1").port(postgres::Server::port(&server)).username("app");
        PgPoolOptions::new().max_connections(2).connect_lazy_with(options.database("postgres").password(password))
    };
    let right = pool(postgres::PASSWORD);
    let health = checked(Sqlx::new(right.clone())).await;
    assert_eq!(shown(&health).status(), Status::Healthy, "{:?}", shown(&health));
    assert_eq!(verdict(&shown(&checked(Sqlx::new(pool("wrong"))).await)), (Status::Unhealthy, Some(Reason::Rejected)));
    // Sessions that the server ended while they were idle are no outage.
    drop(right.acquire().await.unwrap());
    wait::true_of("an idle connection", || right.num_idle() >= 1).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    server.connect().await.simple_query(end).await.unwrap();
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
}

#[tokio::test]
async fn sqlite_is_a_file_that_can_be_opened() {
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
    // A pool of one that is busy for a moment is not saturated: the run waits for it.
    // A machine that stalls just then keeps it longer than that, and the next run tells.
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
