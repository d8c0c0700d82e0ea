//! The application's own pools, dead, exhausted, waited for and in motion: what is no outage, what is one, and that no
//! connection is left behind. deadpool before PostgreSQL and Redis, sqlx before MariaDB. What a network does to them is in
//! `fault_table`.

use std::{pin::pin, time::Duration};

use deadpool::managed::Object;
use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod, tokio_postgres::NoTls};
use health_core::{
    Change, CheckExt as _, Health, Postgres, RabbitMqQueue, Redis, RedisQueue, Registration, Sqlx, Status,
};
use health_tests::{
    daemon::Server as _,
    mariadb, port, postgres,
    proxy::{NetworkFault, Proxy},
    rabbitmq, redis,
    support::{long, millis, secs},
    wait::{self, HANG},
};
use sqlx::{MySql, MySqlPool, pool::PoolConnection};
use tokio::task::{JoinHandle, block_in_place};

/// A server, and what its pool and its check are.
trait Subject: health_tests::daemon::Server + Sized + 'static {
    /// The application's pool.
    type Pool: Clone + Send;
    /// A connection taken from it.
    type Held: Send;

    fn begin() -> Self;
    fn pool_of(&self, size: usize) -> Self::Pool;
    fn check(pool: Self::Pool, saturated_for: Duration) -> Registration;
    /// Takes a connection of the pool, as the application does.
    async fn take(pool: &Self::Pool) -> Self::Held;
    /// Ends every other session from the server's side.
    async fn terminate_sessions(&self);
    /// Uses a connection that was taken for some milliseconds, and gives it back.
    async fn work(held: Self::Held);
    /// Leaves the server no room for one more connection.
    async fn fill(&self);
    /// A pool whose connections go through this port.
    fn pool_through(&self, port: u16, size: usize) -> Self::Pool;
}

impl Subject for postgres::Server {
    type Pool = deadpool_postgres::Pool;
    type Held = deadpool_postgres::Object;

    fn begin() -> Self {
        Self::start()
    }

    fn pool_of(&self, size: usize) -> Self::Pool {
        self.pool(size)
    }

    fn check(pool: Self::Pool, saturated_for: Duration) -> Registration {
        Postgres::new(pool).saturated_for(saturated_for).into()
    }

    async fn take(pool: &Self::Pool) -> Self::Held {
        pool.get().await.expect("a connection")
    }

    async fn terminate_sessions(&self) {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
        self.connect().await.simple_query(others).await.expect("a superuser");
    }

    async fn work(held: Self::Held) {
        held.simple_query("SELECT pg_sleep(0.01)").await.expect("an answer");
    }

    async fn fill(&self) {
        // Of the role, as the last connections of the server are for superusers.
        let limit = "ALTER ROLE app NOSUPERUSER CONNECTION LIMIT 0";
        self.connect().await.simple_query(limit).await.expect("a superuser");
    }

    fn pool_through(&self, port: u16, size: usize) -> Self::Pool {
        let mut through = deadpool_postgres::tokio_postgres::Config::new();
        through.host("127.0.0.1").port(port).user("app").password(postgres::PASSWORD).dbname("postgres");
        postgres::pool(through, size)
    }
}

impl Subject for redis::Server {
    type Pool = deadpool_redis::Pool;
    type Held = deadpool_redis::Connection;

    fn begin() -> Self {
        Self::start()
    }

    fn pool_of(&self, size: usize) -> Self::Pool {
        self.pool(size)
    }

    fn check(pool: Self::Pool, saturated_for: Duration) -> Registration {
        Redis::new(pool).saturated_for(saturated_for).into()
    }

    async fn take(pool: &Self::Pool) -> Self::Held {
        pool.get().await.expect("a connection")
    }

    async fn terminate_sessions(&self) {
        let mut kill = deadpool_redis::redis::cmd("CLIENT");
        kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let killed: deadpool_redis::redis::Value =
            kill.query_async(&mut self.connect().await).await.expect("the default user");
        drop(killed);
    }

    async fn work(mut held: Self::Held) {
        let blocked = deadpool_redis::redis::cmd("BLPOP").arg("nothing").arg(0.01).query_async(&mut held).await;
        let _: deadpool_redis::redis::Value = blocked.expect("an answer");
    }

    async fn fill(&self) {
        self.say(&["CONFIG", "SET", "maxclients", "1"]).await.expect("the default user");
    }

    fn pool_through(&self, port: u16, size: usize) -> Self::Pool {
        redis::pool(&format!("redis://:{}@127.0.0.1:{port}/0", redis::PASSWORD), size)
    }
}

impl Subject for mariadb::Server {
    type Pool = MySqlPool;
    type Held = PoolConnection<MySql>;

    fn begin() -> Self {
        Self::start()
    }

    fn pool_of(&self, size: usize) -> Self::Pool {
        self.pool_through(self.port(), size)
    }

    fn check(pool: Self::Pool, saturated_for: Duration) -> Registration {
        Sqlx::new(pool).saturated_for(saturated_for).into()
    }

    async fn take(pool: &Self::Pool) -> Self::Held {
        pool.acquire().await.expect("a connection")
    }

    async fn terminate_sessions(&self) {
        block_in_place(|| Self::terminate_sessions(self));
    }

    async fn work(mut held: Self::Held) {
        sqlx::query("SELECT SLEEP(0.01)").execute(&mut *held).await.expect("an answer");
    }

    async fn fill(&self) {
        block_in_place(|| drop(self.statement("ALTER USER 'app'@'%' WITH MAX_USER_CONNECTIONS 1")));
    }

    fn pool_through(&self, port: u16, size: usize) -> Self::Pool {
        mariadb::pool(port, mariadb::PASSWORD, u32::try_from(size).expect("a small pool"))
    }
}

/// What a check called `subject` shows.
fn shown(health: &Health) -> String {
    let report = health.report();
    let check = &report.checks()[0];
    format!("{}{}", check.status(), check.reason().map_or_else(String::new, |reason| format!(" {reason}")))
}

async fn says(health: &Health, expected: &str) {
    let message = || health.report().checks()[0].message().map(str::to_owned);
    wait::ok(expected, || if shown(health) == expected { Ok(()) } else { Err((shown(health), message())) }).await;
}

/// A check that may take all the time it needs, so that what fails it is no slow machine.
fn patient(check: Registration) -> Health {
    let check = check.every(millis(100)).recheck(millis(100)).timeout(HANG);
    Health::builder().check("subject", check).start().unwrap()
}

/// A check whose deadline a frozen server lets pass.
fn prompt(check: Registration) -> Health {
    let check = check.every(millis(200)).recheck(millis(200)).timeout(secs(1));
    Health::builder().check("subject", check).start().unwrap()
}

/// Does something while every change is watched: the first one to Unhealthy fails the test.
async fn stays_good(health: &Health, during: impl Future<Output = ()>) {
    says(health, "healthy").await;
    let mut changes = health.subscribe();
    let bad = async {
        while let Some(change) = changes.next().await {
            if let Change::Check(change) = change {
                assert!(change.to < Status::Unhealthy, "{change:?}");
            }
        }
    };
    let (mut during, mut bad) = (pin!(during), pin!(bad));
    tokio::select! {
        biased;
        () = &mut bad => panic!("no more changes are told"),
        () = &mut during => {}
    }
    says(health, "healthy").await;
}

/// Sessions that the server ended while they lay in the pool.
async fn ended_sessions_are_no_outage<S: Subject>() {
    let subject = S::begin();
    let pool = subject.pool_of(4);
    let health = patient(S::check(pool.clone(), HANG));
    let runs = || health.report().checks()[0].history().totals().durations().count();
    stays_good(&health, async {
        for _ in 0..6 {
            // Every connection of the pool is open, and then dead.
            let held = [S::take(&pool).await, S::take(&pool).await, S::take(&pool).await, S::take(&pool).await];
            drop(held);
            subject.terminate_sessions().await;
            let before = runs();
            wait::true_of("two more runs", || runs() >= before + 2).await;
        }
    })
    .await;
}

/// An exhausted pool over a working server: Degraded, and Unhealthy for a check that tolerates no such thing.
async fn an_exhausted_pool_is_saturated<S: Subject>() {
    let subject = S::begin();
    let pool = subject.pool_of(2);
    let tolerant = prompt(S::check(pool.clone(), HANG));
    let strict = prompt(S::check(pool.clone(), millis(1)));
    says(&tolerant, "healthy").await;
    says(&strict, "healthy").await;
    let held = [S::take(&pool).await, S::take(&pool).await];
    says(&tolerant, "degraded saturated").await;
    says(&strict, "unhealthy saturated").await;
    drop(held);
    says(&tolerant, "healthy").await;
    says(&strict, "healthy").await;
}

/// An exhausted pool does not hide an outage.
async fn an_exhausted_pool_hides_no_outage<S: Subject>() {
    let mut subject = S::begin();
    let pool = subject.pool_of(2);
    let health = prompt(S::check(pool.clone(), HANG));
    says(&health, "healthy").await;
    let held = [S::take(&pool).await, S::take(&pool).await];
    says(&health, "degraded saturated").await;
    subject.freeze();
    says(&health, "unhealthy timeout").await;
    subject.thaw();
    says(&health, "degraded saturated").await;
    // And once more with a server that is gone.
    block_in_place(|| subject.stop());
    says(&health, "unhealthy unreachable").await;
    block_in_place(|| subject.run());
    says(&health, "degraded saturated").await;
    drop(held);
    says(&health, "healthy").await;
}

/// Every connection is waited for, and every waiter gets one in time.
async fn a_pool_that_is_always_waited_for_is_no_outage<S: Subject>() {
    let subject = S::begin();
    let pool = subject.pool_of(2);
    let health = patient(S::check(pool.clone(), millis(1)));
    let work = async |pool: S::Pool| loop {
        S::work(S::take(&pool).await).await;
    };
    let tasks: Vec<JoinHandle<()>> = (0..6)
        .map(|_| {
            let pool = pool.clone();
            // Each on a thread of its own, as the futures of some drivers are not for others.
            tokio::task::spawn_blocking(move || tokio::runtime::Handle::current().block_on(work(pool)))
        })
        .collect();
    let runs = || health.report().checks()[0].history().totals().durations().count();
    stays_good(&health, async {
        let before = runs();
        wait::true_of("twenty more runs", || runs() >= before + 20).await;
    })
    .await;
    tasks.iter().for_each(JoinHandle::abort);
}

/// Every connection of the pool is in use and works, and the server gives nobody one more.
async fn an_exhausted_pool_before_a_full_server_is_degraded_at_first<S: Subject>() {
    let subject = S::begin();
    let pool = subject.pool_of(1);
    let tolerant = prompt(S::check(pool.clone(), HANG));
    let strict = prompt(S::check(pool.clone(), millis(1)));
    let held = S::take(&pool).await;
    says(&tolerant, "degraded saturated").await;
    subject.fill().await;
    tolerant.stop().await;
    strict.stop().await;
    // Checks that have no connection beside the pool yet, and find no room for one.
    let tolerant = prompt(S::check(pool.clone(), HANG));
    let strict = prompt(S::check(pool.clone(), millis(1)));
    says(&strict, "unhealthy saturated").await;
    says(&tolerant, "degraded saturated").await;
    drop(held);
    says(&tolerant, "healthy").await;
    says(&strict, "healthy").await;
}

/// Idle connections whose other end has gone without a word.
async fn many_connections_dead_without_a_word_are_no_outage<S: Subject>() {
    let subject = S::begin();
    let proxy = Proxy::before(subject.port());
    let pool = subject.pool_through(proxy.port(), 16);
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(S::take(&pool).await);
    }
    drop(held);
    let check = S::check(pool, HANG).every(HANG).recheck(HANG).timeout(secs(10));
    let health = Health::builder().check("subject", check).start().unwrap();
    says(&health, "healthy").await;
    proxy.set(NetworkFault::HalfOpen);
    for _ in 0..3 {
        assert_eq!(health.refresh("subject").await, Ok(Status::Healthy), "{:?}", health.report());
    }
}

/// Rounds of every kind of loss leave no connection more than the pool has places, and one beside it.
async fn no_connection_is_left_behind<S: Subject>() {
    const PLACES: usize = 4;
    let subject = S::begin();
    let pool = subject.pool_of(PLACES);
    let health = prompt(S::check(pool.clone(), HANG));
    says(&health, "healthy").await;
    for round in 0..if long() { 200 } else { 6 } {
        subject.freeze();
        says(&health, "unhealthy timeout").await;
        subject.thaw();
        says(&health, "healthy").await;
        let held = [S::take(&pool).await, S::take(&pool).await, S::take(&pool).await, S::take(&pool).await];
        says(&health, "degraded saturated").await;
        drop(held);
        subject.terminate_sessions().await;
        says(&health, "healthy").await;
        let what = format!("after round {round} no more connections than {PLACES} and one");
        wait::true_of(&what, || port::connections_to(subject.port()) <= PLACES + 1).await;
    }
    health.stop().await;
    drop(pool);
}

/// The application comes and goes, asks, holds and throws connections away, while the server ends every session again and
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_in_motion_and_sessions_that_the_server_ends_are_no_outage() {
    let database = postgres::Server::start();
    let pool = postgres::pool(database.config(), 8);
    let health = patient(Postgres::new(pool.clone()).into());
    let churn: Vec<JoinHandle<()>> = (0..6_u64)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                loop {
                    if let Ok(client) = pool.get().await {
                        let _ = client.simple_query("SELECT pg_sleep(0.005)").await;
                        if number % 3 == 0 {
                            drop(Object::take(client));
                        }
                    }
                    tokio::time::sleep(millis(number * 3)).await;
                }
            })
        })
        .collect();
    let runs = || health.report().checks()[0].history().totals().durations().count();
    stays_good(&health, async {
        for _ in 0..20 {
            // At the check's own pace: two new sessions that end one after the other would be an outage, and rightly.
            let before = runs();
            database.terminate_sessions().await;
            wait::true_of("two more runs", || runs() >= before + 2).await;
        }
    })
    .await;
    churn.iter().for_each(JoinHandle::abort);
}

/// The pool tests its idle connections itself, before it gives one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_connections_that_the_pool_tests_itself_are_no_outage() {
    let server = postgres::Server::start();
    for recycling_method in [RecyclingMethod::Verified, RecyclingMethod::Clean] {
        let proxy = Proxy::before(server.port());
        let mut config = deadpool_postgres::tokio_postgres::Config::new();
        config.host("127.0.0.1").port(proxy.port()).user("app").password(postgres::PASSWORD).dbname("postgres");
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method });
        let pool = deadpool_postgres::Pool::builder(manager).max_size(8).build().unwrap();
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(pool.get().await.unwrap());
        }
        drop(held);
        let check = Postgres::new(pool).every(HANG).recheck(HANG).timeout(secs(10));
        let health = Health::builder().check("subject", check).start().unwrap();
        says(&health, "healthy").await;
        proxy.set(NetworkFault::HalfOpen);
        for _ in 0..3 {
            assert_eq!(health.refresh("subject").await, Ok(Status::Healthy), "{:?}", health.report());
        }
    }
}

/// Several checks over one small pool and a link with some delay: nothing is wrong, and the pool's limit holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checks_of_one_pool_do_not_exhaust_it_themselves() {
    let (cache, broker) = (redis::Server::start(), rabbitmq::Server::start());
    broker.declare("orders").await;
    let (cache, broker) = (Proxy::before(cache.port()), Proxy::before(broker.port()));
    cache.set(NetworkFault::Delay(millis(40)));
    let lists = redis::pool(&format!("redis://:{}@127.0.0.1:{}/0", redis::PASSWORD, cache.port()), 2);
    let queues = rabbitmq::pool(&rabbitmq::url(broker.port(), rabbitmq::PASSWORD), 2);
    let mut builder = Health::builder();
    for number in 0..8 {
        let list = RedisQueue::list(lists.clone(), format!("list{number}")).readiness().timeout(secs(10));
        let queue = RabbitMqQueue::new(queues.clone(), "orders").readiness().timeout(secs(10));
        builder = builder.check(format!("list{number}"), list).check(format!("queue{number}"), queue);
    }
    let health = builder.start().unwrap();
    assert!(health.ready().await);
    let report = health.report();
    let bad: Vec<_> = report.checks().iter().filter(|check| check.status() != Status::Healthy).collect();
    assert!(bad.is_empty(), "{bad:?}");
    for proxy in [cache, broker] {
        let connections = port::connections_to(proxy.port());
        assert!(connections <= 3, "{connections} connections of a pool of two");
    }
}

/// The faults as tests of a subject.
macro_rules! of {
    ($name:ident, $subject:ty: $($fault:ident),+) => {
        mod $name {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fault() {
                super::$fault::<$subject>().await;
            })+
        }
    };
}

of!(postgres_pool, health_tests::postgres::Server:
    ended_sessions_are_no_outage, an_exhausted_pool_is_saturated, an_exhausted_pool_hides_no_outage,
    a_pool_that_is_always_waited_for_is_no_outage, an_exhausted_pool_before_a_full_server_is_degraded_at_first,
    many_connections_dead_without_a_word_are_no_outage, no_connection_is_left_behind);
of!(redis_pool, health_tests::redis::Server:
    ended_sessions_are_no_outage, an_exhausted_pool_is_saturated, an_exhausted_pool_hides_no_outage,
    a_pool_that_is_always_waited_for_is_no_outage, an_exhausted_pool_before_a_full_server_is_degraded_at_first,
    many_connections_dead_without_a_word_are_no_outage, no_connection_is_left_behind);
of!(sqlx_pool, health_tests::mariadb::Server:
    ended_sessions_are_no_outage, an_exhausted_pool_is_saturated, an_exhausted_pool_hides_no_outage,
    a_pool_that_is_always_waited_for_is_no_outage, an_exhausted_pool_before_a_full_server_is_degraded_at_first,
    many_connections_dead_without_a_word_are_no_outage, no_connection_is_left_behind);
