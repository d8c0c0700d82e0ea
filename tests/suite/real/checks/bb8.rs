//! The `Bb8` check against a real PostgreSQL server with bb8-postgres and diesel-async, beyond the table of faults.

use health_core::{Bb8, Reason, Status};
use health_tests::{
    any_pool::{Bb8PostgresManager, bb8 as pool, diesel},
    port,
    postgres::{PASSWORD, Server},
    support::{checked, checked_within, invalid, millis, observed, rerun, secs, shown, turns, verdict},
    wait::HANG,
};

async fn terminate_sessions(server: &Server) {
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    server.connect().await.simple_query(others).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_idle_connections_are_no_outage_and_a_busy_pool_is_saturated() {
    let server = Server::start();
    let pool = pool(server.port(), PASSWORD, 2);
    let health = checked_within(secs(4), Bb8::new(pool.clone()).saturated_for(HANG)).await;
    turns(&health, Status::Healthy, None).await;
    let report = rerun(&health).await;
    assert_eq!(observed(&report, "pool_max"), 2.0, "{report:?}");
    for _ in 0..5 {
        drop((pool.get().await.unwrap(), pool.get().await.unwrap()));
        terminate_sessions(&server).await;
        assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
    }
    let strict = checked_within(secs(4), Bb8::new(pool.clone()).saturated_for(millis(1))).await;
    let held = (pool.get().await.unwrap(), pool.get().await.unwrap());
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    turns(&strict, Status::Unhealthy, Some(Reason::Saturated)).await;
    drop(held);
    turns(&health, Status::Healthy, None).await;
    turns(&strict, Status::Healthy, None).await;
}

/// The pool owns the connection that the check opens, so an application that uses nothing has one connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_check_opens_belongs_to_the_pool() {
    let server = Server::start();
    let pool = pool(server.port(), PASSWORD, 4);
    let health = checked(Bb8::new(pool.clone())).await;
    assert_eq!(shown(&health).status(), Status::Healthy, "{:?}", shown(&health));
    for _ in 0..5 {
        assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
    }
    assert_eq!(pool.state().connections, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_pool_hides_no_outage() {
    let mut server = Server::start();
    let pool = pool(server.port(), PASSWORD, 1);
    let health = checked_within(secs(2), Bb8::new(pool.clone()).saturated_for(HANG)).await;
    let held = pool.get().await.unwrap();
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    tokio::task::block_in_place(|| server.stop());
    turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
    tokio::task::block_in_place(|| server.run());
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    drop(held);
    turns(&health, Status::Healthy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_comes_from_the_driver_unless_the_application_overrides_it() {
    let server = Server::start();
    let says = async |check: Bb8<Bb8PostgresManager>| verdict(&shown(&checked(check).await));
    let wrong = || pool(server.port(), "wrong", 2);
    assert_eq!(says(Bb8::new(wrong())).await, (Status::Unhealthy, Some(Reason::Rejected)));
    let own = Bb8::new(wrong()).saturated_for(HANG).reasons(|error| error.code().map(|_| Reason::Maintenance));
    assert_eq!(says(own).await, (Status::Unhealthy, Some(Reason::Maintenance)));
    let nobody = Bb8::new(pool(port::free(), PASSWORD, 2)).reasons(|error| error.code().map(|_| Reason::Maintenance));
    assert_eq!(says(nobody).await, (Status::Unhealthy, Some(Reason::Unreachable)));
    let limit = "ALTER ROLE app NOSUPERUSER CONNECTION LIMIT 0";
    server.connect().await.simple_query(limit).await.unwrap();
    assert_eq!(says(Bb8::new(pool(server.port(), PASSWORD, 2))).await, (Status::Unhealthy, Some(Reason::Saturated)));
}

/// An error of diesel has nothing but its text.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_diesel_are_classified_by_their_text() {
    let server = Server::start();
    let health = checked(Bb8::new(diesel(server.port(), PASSWORD, 2))).await;
    assert_eq!(shown(&health).status(), Status::Healthy, "{:?}", shown(&health));
    let wrong = checked(Bb8::new(diesel(server.port(), "wrong", 2))).await;
    assert_eq!(verdict(&shown(&wrong)), (Status::Unhealthy, Some(Reason::Rejected)), "{:?}", shown(&wrong));
    let nobody = checked(Bb8::new(diesel(port::free(), PASSWORD, 2))).await;
    assert_eq!(verdict(&shown(&nobody)), (Status::Unhealthy, Some(Reason::Unreachable)), "{:?}", shown(&nobody));
    terminate_sessions(&server).await;
    assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
}

#[tokio::test]
async fn bad_input_is_refused() {
    assert!(invalid(Bb8::new(pool(1, "", 1)).saturated_for(secs(0))).contains("tolerable"));
    let manager = bb8_postgres::PostgresConnectionManager::new_from_stringlike(
        "host=127.0.0.1 port=1 user=app",
        bb8_postgres::tokio_postgres::NoTls,
    );
    let untested = bb8::Pool::builder().test_on_check_out(false).build_unchecked(manager.unwrap());
    assert!(invalid(Bb8::new(untested)).contains("test_on_check_out"));
}
