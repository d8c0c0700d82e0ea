//! The `R2d2` check against a real PostgreSQL server with r2d2_postgres, beyond the table of faults.

use health_core::{R2d2, Reason, Status};
use health_tests::{
    any_pool::{Blocking, R2d2PostgresManager, r2d2 as pool, r2d2_manager as manager},
    port,
    postgres::{PASSWORD, Server},
    support::{checked_within, invalid, millis, observed, rerun, secs, shown, turns, verdict},
    wait::HANG,
};
use tokio::task::{block_in_place, spawn_blocking};

type Held = Blocking<r2d2::PooledConnection<R2d2PostgresManager>>;

/// Takes a connection of the pool as a blocking application does.
async fn take(pool: &Blocking<r2d2::Pool<R2d2PostgresManager>>) -> Held {
    let pool = pool.get().clone();
    // The clone of the pool is dropped on the same thread.
    spawn_blocking(move || Blocking::new(pool.get().unwrap())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_idle_connections_are_no_outage_and_a_busy_pool_is_saturated() {
    let server = Server::start();
    let pool = Blocking::new(pool(server.port(), PASSWORD, 2));
    let beside = || R2d2::new(pool.get().clone()).beside(manager(server.port(), PASSWORD));
    let health = checked_within(secs(4), beside().saturated_for(HANG)).await;
    turns(&health, Status::Healthy, None).await;
    let report = rerun(&health).await;
    assert_eq!(observed(&report, "pool_max"), 2.0, "{report:?}");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    for _ in 0..5 {
        drop((take(&pool).await, take(&pool).await));
        server.connect().await.simple_query(end).await.unwrap();
        assert_eq!(rerun(&health).await.status(), Status::Healthy, "{:?}", shown(&health));
    }
    let strict = checked_within(secs(4), beside().saturated_for(millis(1))).await;
    let alone = checked_within(secs(4), R2d2::new(pool.get().clone()).saturated_for(HANG)).await;
    let held = (take(&pool).await, take(&pool).await);
    turns(&health, Status::Degraded, Some(Reason::Saturated)).await;
    turns(&strict, Status::Unhealthy, Some(Reason::Saturated)).await;
    turns(&alone, Status::Degraded, Some(Reason::Saturated)).await;
    drop(held);
    turns(&health, Status::Healthy, None).await;
    turns(&strict, Status::Healthy, None).await;
    turns(&alone, Status::Healthy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_manager_an_exhausted_pool_hides_no_outage() {
    let mut server = Server::start();
    let pool = Blocking::new(pool(server.port(), PASSWORD, 1));
    let check = R2d2::new(pool.get().clone()).beside(manager(server.port(), PASSWORD)).saturated_for(HANG);
    let health = checked_within(secs(2), check).await;
    turns(&health, Status::Healthy, None).await;
    let alone = checked_within(secs(2), R2d2::new(pool.get().clone()).saturated_for(HANG)).await;
    let held = take(&pool).await;
    block_in_place(|| server.stop());
    turns(&health, Status::Unhealthy, Some(Reason::Unreachable)).await;
    // Without the manager the check cannot tell an outage from a busy pool.
    turns(&alone, Status::Degraded, Some(Reason::Saturated)).await;
    drop(held);
    turns(&alone, Status::Unhealthy, Some(Reason::Unreachable)).await;
    block_in_place(|| server.run());
    turns(&health, Status::Healthy, None).await;
    turns(&alone, Status::Healthy, None).await;
}

/// The pool keeps only the text of an error, and the text of this driver has little information.
#[tokio::test(flavor = "multi_thread")]
async fn the_reason_comes_from_the_driver_or_from_the_text_that_the_pool_keeps() {
    let server = Server::start();
    let says = async |check: R2d2<R2d2PostgresManager>| verdict(&shown(&checked_within(secs(2), check).await));
    let wrong = || R2d2::new(pool(server.port(), "wrong", 2)).beside(manager(server.port(), "wrong"));
    assert_eq!(says(wrong()).await, (Status::Unhealthy, Some(Reason::Rejected)));
    let own = wrong().reasons(|error| error.code().map(|_| Reason::Maintenance));
    assert_eq!(says(own).await, (Status::Unhealthy, Some(Reason::Maintenance)));
    let free = port::free();
    let nobody = || R2d2::new(pool(free, PASSWORD, 2));
    assert_eq!(says(nobody()).await, (Status::Unhealthy, Some(Reason::Unreachable)));
    assert_eq!(says(nobody().beside(manager(free, PASSWORD))).await, (Status::Unhealthy, Some(Reason::Unreachable)));
}

/// A hanging test of a connection is started only once.
#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_connection_test_is_not_started_again() {
    let server = Server::start();
    let pool = Blocking::new(pool(server.port(), PASSWORD, 4));
    drop((take(&pool).await, take(&pool).await, take(&pool).await));
    let prompt = checked_within(secs(1), R2d2::new(pool.get().clone())).await;
    turns(&prompt, Status::Healthy, None).await;
    server.freeze();
    for _ in 0..3 {
        let report = rerun(&prompt).await;
        assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Timeout)), "{report:?}");
    }
    let state = pool.get().state();
    assert_eq!(state.connections - state.idle_connections, 1, "only one connection is tested: {state:?}");
    server.thaw();
    turns(&prompt, Status::Healthy, None).await;
}

#[tokio::test]
async fn bad_input_is_refused() {
    assert!(invalid(R2d2::new(pool(1, "", 1)).saturated_for(secs(0))).contains("tolerable"));
    let untested = r2d2::Pool::builder().min_idle(Some(0)).test_on_check_out(false);
    assert!(invalid(R2d2::new(untested.build_unchecked(manager(1, "")))).contains("test_on_check_out"));
}
