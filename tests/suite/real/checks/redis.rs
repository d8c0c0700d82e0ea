//! The `Redis` check against real servers.

use deadpool_redis::redis::{Value, cmd};
use health_core::{CheckExt as _, Health, Reason, Redis, RedisQueue, Registration, Status};
use health_tests::{
    redis::{self, Server},
    support::{checked, rerun, secs, shown, verdict},
    wait::{self, HANG},
};

/// Gives a check a deadline that only a hang reaches.
fn patient(check: Redis) -> Registration {
    check.timeout(HANG)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_observes_the_pool_and_discards_a_connection_that_timed_out() {
    let server = Server::start();
    let pool = server.pool(4);
    let held = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    let health = Health::builder().check("cache", Redis::new(pool.clone()).timeout(secs(1))).start().unwrap();
    for _ in 0..2 {
        wait::done("healthy", async || match health.refresh("cache").await {
            Ok(Status::Healthy) => Ok(()),
            other => Err(other),
        })
        .await;
    }
    let report = health.report();
    let observed = &report.check("cache").unwrap().observed();
    let observed: Vec<String> = observed.iter().map(|o| format!("{} {}", o.name, o.value)).collect();
    assert_eq!(observed, ["pool_max 4", "pool_size 3", "pool_available 1", "pool_waiting 0"]);
    server.freeze();
    assert_eq!(health.refresh("cache").await, Ok(Status::Unhealthy));
    health.stop().await;
    assert_eq!(
        pool.status().size,
        2,
        "the connection is discarded and not returned: only those of the application are left"
    );
    server.thaw();
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn writable_fails_on_a_replica() {
    let server = Server::start();
    let health = Health::builder()
        .check("any", patient(Redis::new(server.pool(1))))
        .check("master", patient(Redis::new(server.pool(1)).writable()))
        .start()
        .unwrap();
    assert_eq!(health.refresh("master").await, Ok(Status::Healthy));
    let mut connection = server.connect().await;
    let _: Value = cmd("REPLICAOF").arg(&["127.0.0.1", "1"]).query_async(&mut connection).await.unwrap();
    assert_eq!(health.refresh("master").await, Ok(Status::Unhealthy));
    let report = health.report();
    let check = report.check("master").unwrap();
    assert_eq!(check.reason(), Some(Reason::Rejected));
    assert!(check.message().unwrap().contains("slave"), "{check:?}");
    assert_eq!(health.refresh("any").await, Ok(Status::Healthy), "without writable() a replica is healthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn permission_denied_is_rejected_and_keeps_the_connection() {
    let server = Server::start();
    let mut connection = server.connect().await;
    let _: Value = cmd("ACL")
        .arg(&["SETUSER", "guest", "on", ">guest-word", "+unwatch", "+client", "-ping"])
        .query_async(&mut connection)
        .await
        .unwrap();
    let pool = redis::pool(&format!("redis://guest:guest-word@127.0.0.1:{}/0", server.port()), 1);
    let health = Health::builder().check("cache", patient(Redis::new(pool.clone()))).start().unwrap();
    assert_eq!(health.refresh("cache").await, Ok(Status::Unhealthy));
    assert_eq!(health.report().check("cache").unwrap().reason(), Some(Reason::Rejected));
    assert_eq!(pool.status().size, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_is_a_timeout() {
    let server = Server::start();
    let mut connection = server.connect().await;
    let health = Health::builder().check("cache", Redis::new(server.pool(1)).timeout(secs(1))).start().unwrap();
    let turns = async |status: Status, reason: Option<Reason>| {
        wait::done(status.as_str(), async || {
            let found = (health.refresh("cache").await, health.report().check("cache").unwrap().reason());
            if found == (Ok(status), reason) { Ok(()) } else { Err(found) }
        })
        .await;
    };
    turns(Status::Healthy, None).await;
    wait::done("a timeout", async || {
        // The pause also holds back this client, so the test cannot end it early. The command is repeated until a run
        // falls into a pause.
        let mut pause = cmd("CLIENT");
        let _ = pause.arg(&["PAUSE", "3000", "ALL"]).query_async::<Value>(&mut connection).await;
        let found = (health.refresh("cache").await, health.report().check("cache").unwrap().reason());
        if found == (Ok(Status::Unhealthy), Some(Reason::Timeout)) { Ok(()) } else { Err(found) }
    })
    .await;
    turns(Status::Healthy, None).await;
}

/// Returns the verdict of a check's first run.
async fn first(check: Redis) -> (Status, Option<Reason>) {
    verdict(&shown(&checked(check).await))
}

/// Covers every state in which a server refuses the plain check.
#[tokio::test(flavor = "multi_thread")]
async fn writable_is_never_healthier_than_the_plain_check() {
    let mut server = Server::start();
    let both = async |server: &Server| {
        (first(Redis::new(server.pool(1))).await, first(Redis::new(server.pool(1)).writable()).await)
    };
    // While a script keeps the server busy.
    server.say(&["CONFIG", "SET", "busy-reply-threshold", "10"]).await.unwrap();
    let mut busy = server.connect().await;
    let script = tokio::spawn(async move { cmd("EVAL").arg("while true do end").arg(0).exec_async(&mut busy).await });
    wait::done("a busy server", async || match server.say(&["PING"]).await {
        Err(error) if error.code() == Some("BUSY") => Ok(()),
        other => Err(other),
    })
    .await;
    let failed = (Status::Unhealthy, Some(Reason::Failed));
    assert_eq!(both(&server).await, (failed, failed), "while the server is busy");
    server.say(&["SCRIPT", "KILL"]).await.unwrap();
    assert!(script.await.unwrap().is_err());
    // While the server loads its data.
    server.say(&["EVAL", "for i=1,8000 do redis.call('SET', 'k'..i, 'v') end", "0"]).await.unwrap();
    server.say(&["SAVE"]).await.unwrap();
    server.stop();
    server.set_arguments(&["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"]);
    server.run();
    let unreachable = (Status::Unhealthy, Some(Reason::Unreachable));
    let loading = both(&server).await;
    assert!(server.say(&["SET", "k1", "x"]).await.is_err(), "the server should still be loading");
    assert_eq!(loading, (unreachable, unreachable), "while the server loads its data");
    server.kill();
    // While the server cannot save.
    let server = Server::start();
    server.say(&["CONFIG", "SET", "save", "3600 1"]).await.unwrap();
    server.say(&["SET", "k", "v"]).await.unwrap();
    server.remove_directory();
    wait::done("a failed save", async || {
        let _ = server.say(&["BGSAVE"]).await;
        match server.say(&["PING"]).await {
            Err(error) if error.code() == Some("MISCONF") => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert_eq!(both(&server).await, (failed, failed), "while the server cannot save");
}

/// A master that takes no writes answers, but is not writable.
#[tokio::test(flavor = "multi_thread")]
async fn writable_rejects_a_master_that_takes_no_writes() {
    let server = Server::start();
    let (alive, rejected) = ((Status::Healthy, None), (Status::Unhealthy, Some(Reason::Rejected)));
    let both = async || (first(Redis::new(server.pool(1))).await, first(Redis::new(server.pool(1)).writable()).await);
    assert_eq!(both().await, (alive, alive));
    server.say(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await.unwrap();
    assert_eq!(both().await, (alive, rejected), "with fewer replicas than min-replicas-to-write");
    server.say(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await.unwrap();
    server.say(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    assert_eq!(both().await, (alive, rejected), "without free memory");
    server.say(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    assert_eq!(both().await, (alive, alive));
    assert_eq!(server.say(&["DBSIZE"]).await.unwrap(), Value::Int(0), "nothing was written");
    // For a user without the right to write, the check decides by the server's role.
    let guest = ["ACL", "SETUSER", "guest", "on", ">guest-word", "+ping", "+unwatch", "+client", "+role"];
    server.say(&guest).await.unwrap();
    let guests = redis::pool(&format!("redis://guest:guest-word@127.0.0.1:{}/0", server.port()), 1);
    let health = checked(Redis::new(guests).writable()).await;
    for _ in 0..3 {
        assert_eq!(verdict(&*rerun(&health).await), alive);
    }
    // A cluster in which no node serves the slots.
    let mut cluster = Server::start();
    cluster.stop();
    cluster.set_arguments(&["--cluster-enabled", "yes"]);
    cluster.run();
    let unreachable = (Status::Unhealthy, Some(Reason::Unreachable));
    assert_eq!(first(Redis::new(cluster.pool(1)).writable()).await, unreachable, "a failed cluster");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_database_is_rejected_and_an_unserved_slot_is_unreachable() {
    let server = Server::start();
    let rejected = (Status::Unhealthy, Some(Reason::Rejected));
    let url = server.url();
    let far = redis::pool(&url.replace("/0", "/99"), 1);
    assert_eq!(first(Redis::new(far.clone())).await, rejected, "a database that does not exist");
    assert_eq!(first(Redis::new(far).writable()).await, rejected, "a database that does not exist");
    let mut cluster = Server::start();
    cluster.stop();
    cluster.set_arguments(&["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]);
    cluster.run();
    // This node serves half of the slots.
    cluster.say(&["CLUSTER", "ADDSLOTSRANGE", "0", "8000"]).await.unwrap();
    let queue = |key: &str| RedisQueue::list(cluster.pool(1), key);
    let says = async |key: &str| verdict(&shown(&checked(queue(key)).await));
    let (own, other) = ("bar", "foo");
    // A node that has just started needs a moment.
    wait::done("a cluster that works", async || match says(own).await {
        (Status::Healthy, None) => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(says(other).await, (Status::Unhealthy, Some(Reason::Unreachable)), "a slot that no node serves");
}
