//! The `RedisQueue` check against real servers.

use deadpool_redis::redis::{Cmd, Value, aio::MultiplexedConnection, cmd};
use health_core::{BuildError, CheckExt as _, CheckReport, Health, Reason, RedisQueue, Registration, Status};
use health_tests::{redis::Server, wait::HANG};

async fn run(connection: &mut MultiplexedConnection, command: &mut Cmd) {
    let _: Value = command.query_async(connection).await.unwrap();
}

async fn checked(health: &Health, name: &str) -> CheckReport {
    health.refresh(name).await.unwrap();
    health.report().check(name).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_queue_is_counted_and_judged() {
    let server = Server::start();
    let pool = server.pool(2);
    let limits = |queue: RedisQueue| -> Registration { queue.warn_above(2).fail_above(4).timeout(HANG) };
    let health = Health::builder()
        .check("list", limits(RedisQueue::list(pool.clone(), "list")))
        .check("stream", limits(RedisQueue::stream(pool.clone(), "stream")))
        .check("sorted_set", limits(RedisQueue::sorted_set(pool.clone(), "sorted_set")))
        .check("set", limits(RedisQueue::set(pool.clone(), "set")))
        .start()
        .unwrap();
    let mut connection = server.connect().await;
    for length in 0_u32..=5 {
        for name in ["list", "stream", "sorted_set", "set"] {
            // A missing key has length 0.
            let check = checked(&health, name).await;
            let expected = match length {
                0..=2 => (Status::Healthy, None),
                3..=4 => (Status::Degraded, Some(Reason::Threshold)),
                _ => (Status::Unhealthy, Some(Reason::Threshold)),
            };
            assert_eq!((check.status(), check.reason()), expected, "{name} of {length}");
            let observed = check.observed().iter().find(|observed| observed.name == "length").unwrap();
            assert_eq!((observed.value.to_string(), &*observed.unit), (length.to_string(), "messages"), "{name}");
        }
        run(&mut connection, cmd("RPUSH").arg("list").arg(length)).await;
        run(&mut connection, cmd("XADD").arg("stream").arg("*").arg("job").arg(length)).await;
        run(&mut connection, cmd("ZADD").arg("sorted_set").arg(length).arg(length)).await;
        run(&mut connection, cmd("SADD").arg("set").arg(length)).await;
    }
    // An empty queue is healthy again.
    run(&mut connection, cmd("DEL").arg("list")).await;
    assert_eq!(checked(&health, "list").await.status(), Status::Healthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_type_is_rejected_with_a_clear_message() {
    let server = Server::start();
    let pool = server.pool(1);
    let mut connection = server.connect().await;
    run(&mut connection, cmd("SET").arg("jobs").arg("text")).await;
    let check = RedisQueue::list(pool.clone(), "jobs").timeout(HANG);
    let health = Health::builder().check("jobs", check).start().unwrap();
    for _ in 0..3 {
        let check = checked(&health, "jobs").await;
        assert_eq!((check.status(), check.reason()), (Status::Unhealthy, Some(Reason::Rejected)));
        assert_eq!(check.message(), Some("the key \"jobs\" is not a list"));
    }
    assert_eq!(pool.status().size, 1, "the connection is kept");
}

#[tokio::test]
async fn limits_and_keys_are_validated() {
    // The test does not connect: the configuration is refused first.
    let pool = || health_tests::redis::pool("redis://127.0.0.1:1/0", 1);
    for queue in [RedisQueue::list(pool(), "jobs").warn_above(10).fail_above(1), RedisQueue::set(pool(), "")] {
        let error = Health::builder().check("jobs", queue).start().map(drop).unwrap_err();
        assert!(matches!(error, BuildError::InvalidCheck { .. }), "{error}");
    }
}
