//! The `Redis` check against real servers.

use std::time::Duration;

use deadpool_redis::{
    Connection, Pool,
    redis::{Value, cmd},
};
use health_core::{CheckExt as _, Health, Reason, Redis, Registration, Status};
use health_tests::redis::{self, PASSWORD, Server};

use crate::{
    faults::{Subject, fault_tests},
    support::{millis, secs},
};

impl Subject for Server {
    type Pool = Pool;
    type Held = Connection;

    const PASSWORD: &'static str = PASSWORD;

    fn start() -> Self {
        Self::start()
    }

    fn run(&mut self) {
        Self::run(self);
    }

    fn stop(&mut self) {
        Self::stop(self);
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn freeze(&self) {
        Self::freeze(self);
    }

    fn thaw(&self) {
        Self::thaw(self);
    }

    fn port(&self) -> u16 {
        Self::port(self)
    }

    fn pool(port: u16, password: &str, size: usize) -> Pool {
        redis::pool(&format!("redis://:{password}@127.0.0.1:{port}/0"), size)
    }

    fn check(pool: Pool, saturated_for: Duration) -> Registration {
        Redis::new(pool).saturated_for(saturated_for).into()
    }

    async fn take(pool: &Pool) -> Connection {
        pool.get().await.expect("a connection")
    }

    async fn accept_password(&self, password: &str) {
        Self::accept_password(self, password).await;
    }

    async fn terminate_sessions(&self) {
        let mut connection = self.connect().await;
        let kill: Value = cmd("CLIENT")
            .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
            .query_async(&mut connection)
            .await
            .expect("the default user");
        drop(kill);
    }
}

fault_tests!(Server, "needs Redis: tests/run");

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run"]
async fn it_observes_the_pool_and_discards_what_timed_out() {
    let server = Server::start();
    let pool = server.pool(4);
    let held = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    let health = Health::builder().check("cache", Redis::new(pool.clone()).timeout(millis(300))).start().unwrap();
    assert_eq!(health.refresh("cache").await, Ok(Status::Healthy));
    assert_eq!(health.refresh("cache").await, Ok(Status::Healthy));
    let report = health.report();
    let observed = &report.check("cache").unwrap().observed;
    let observed: Vec<String> = observed.iter().map(|o| format!("{} {}", o.name, o.value)).collect();
    assert_eq!(observed, ["pool_max 4", "pool_size 3", "pool_available 1", "pool_waiting 0"]);
    server.freeze();
    assert_eq!(health.refresh("cache").await, Ok(Status::Unhealthy));
    health.stop().await;
    assert_eq!(pool.status().size, 2, "discarded, not returned: what is left is the application's");
    server.thaw();
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run"]
async fn writable_fails_on_a_replica() {
    let server = Server::start();
    let health = Health::builder()
        .check("any", Redis::new(server.pool(1)))
        .check("master", Redis::new(server.pool(1)).writable())
        .start()
        .unwrap();
    assert_eq!(health.refresh("master").await, Ok(Status::Healthy));
    let mut connection = server.connect().await;
    let _: Value = cmd("REPLICAOF").arg(&["127.0.0.1", "1"]).query_async(&mut connection).await.unwrap();
    assert_eq!(health.refresh("master").await, Ok(Status::Unhealthy));
    let report = health.report();
    let check = report.check("master").unwrap();
    assert_eq!(check.reason, Some(Reason::Rejected));
    assert!(check.message.as_deref().unwrap().contains("slave"), "{check:?}");
    assert_eq!(health.refresh("any").await, Ok(Status::Healthy), "a replica answers");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run"]
async fn permission_denied_is_rejected_and_keeps_the_connection() {
    let server = Server::start();
    let mut connection = server.connect().await;
    let _: Value = cmd("ACL")
        .arg(&["SETUSER", "guest", "on", ">guest-word", "+unwatch", "+client", "-ping"])
        .query_async(&mut connection)
        .await
        .unwrap();
    let pool = redis::pool(&format!("redis://guest:guest-word@127.0.0.1:{}/0", server.port()), 1);
    let health = Health::builder().check("cache", Redis::new(pool.clone())).start().unwrap();
    assert_eq!(health.refresh("cache").await, Ok(Status::Unhealthy));
    assert_eq!(health.report().check("cache").unwrap().reason, Some(Reason::Rejected));
    assert_eq!(pool.status().size, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run"]
async fn a_server_that_keeps_clients_waiting_is_a_timeout() {
    let server = Server::start();
    let mut connection = server.connect().await;
    let _: Value = cmd("CLIENT").arg(&["PAUSE", "4000", "ALL"]).query_async(&mut connection).await.unwrap();
    let health = Health::builder().check("cache", Redis::new(server.pool(1))).start().unwrap();
    assert_eq!(health.refresh("cache").await, Ok(Status::Unhealthy));
    assert_eq!(health.report().check("cache").unwrap().reason, Some(Reason::Timeout));
    let began = std::time::Instant::now();
    while health.refresh("cache").await != Ok(Status::Healthy) {
        assert!(began.elapsed() < secs(8));
        tokio::time::sleep(millis(50)).await;
    }
}
