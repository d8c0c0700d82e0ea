//! The `Sqlx` check against a real MariaDB server, beyond the table of faults.

use health_core::{CheckExt as _, Reason, Sqlx, Status};
use health_tests::{
    daemon::Server as _,
    mariadb::{PASSWORD, Server, pool},
    port,
};

use crate::support::{checked, invalid, millis, observed, rerun, secs, shown, verdict};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB: tests/run"]
async fn dead_idle_connections_are_no_outage_and_a_busy_pool_is_saturated() {
    let server = Server::start();
    let pool = pool(server.port(), PASSWORD, 2);
    let health = checked(Sqlx::new(pool.clone()).saturated_for(millis(800)).timeout(secs(5))).await;
    assert_eq!(shown(&health).status, Status::Healthy, "without an idle connection, beside the pool");
    drop((pool.acquire().await.unwrap(), pool.acquire().await.unwrap()));
    // Given back by a task.
    tokio::time::sleep(millis(100)).await;
    let report = rerun(&health).await;
    assert_eq!((report.status, observed(&report, "pool_max")), (Status::Healthy, 2.0));
    assert!(observed(&report, "pool_idle") >= 1.0, "{report:?}");

    for _ in 0..5 {
        server.terminate_sessions();
        assert_eq!(rerun(&health).await.status, Status::Healthy, "{:?}", shown(&health));
    }

    let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    assert_eq!(verdict(&*rerun(&health).await), (Status::Degraded, Some(Reason::Saturated)));
    tokio::time::sleep(millis(900)).await;
    assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Saturated)));
    drop(held);
    tokio::time::sleep(millis(100)).await;
    assert_eq!(rerun(&health).await.status, Status::Healthy);
    // Two of the pool, and none beside it any more.
    tokio::time::sleep(millis(100)).await;
    assert!(port::connections_to(server.port()) <= 2);
    pool.close().await;
    assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Failed)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB: tests/run"]
async fn a_server_without_a_connection_left_is_saturated() {
    let server = Server::start();
    let _ = server.statement("SET GLOBAL max_connections = 10");
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(server.connect().await);
    }
    let health = checked(Sqlx::new(pool(server.port(), PASSWORD, 2)).timeout(secs(5))).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Saturated)), "{:?}", shown(&health));
    drop(others);
    tokio::time::sleep(millis(300)).await;
    assert_eq!(rerun(&health).await.status, Status::Healthy);
}

#[tokio::test]
async fn bad_input_is_refused() {
    assert!(invalid(Sqlx::new(pool(1, "", 1)).saturated_for(secs(0))).contains("tolerable"));
}
