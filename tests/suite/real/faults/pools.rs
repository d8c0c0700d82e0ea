//! The application's own pools, with dead connections, exhausted and busy. The tests show which of these states are an
//! outage, and that no connection leaks. They use deadpool with PostgreSQL and Redis, and sqlx with MariaDB. Network
//! faults are tested in `fault_table`.

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

/// A server with its pool and its check.
trait Subject: health_tests::daemon::Server + Sized + 'static {
    /// The application's pool.
    type Pool: Clone + Send;
    /// A connection taken from the pool.
    type Held: Send;

    fn begin() -> Self;
    fn pool_of(&self, size: usize) -> Self::Pool;
    fn check(pool: Self::Pool, saturated_for: Duration) -> Registration;
    /// Takes a connection of the pool, as the application does.
    async fn take(pool: &Self::Pool) -> Self::Held;
    /// Terminates every other session on the server.
    async fn terminate_sessions(&self);
    /// Uses a taken connection for 10 ms and gives it back.
    async fn work(held: Self::Held);
    /// Leaves the server no room for another connection.
    async fn fill(&self);
    /// Returns a pool whose connections go through this port.
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
        self.connect().await.simple_query(others).await.expect("a superuser may terminate sessions");
    }

    async fn work(held: Self::Held) {
        held.simple_query("SELECT pg_sleep(0.01)").await.expect("an answer");
    }

    async fn fill(&self) {
        // The limit of the role, because PostgreSQL reserves its last connections for superusers.
        let limit = "ALTER ROLE app NOSUPERUSER CONNECTION LIMIT 0";
        self.connect().await.simple_query(limit).await.expect("a superuser may alter roles");
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
            kill.query_async(&mut self.connect().await).await.expect("the default user may kill clients");
        drop(killed);
    }

    async fn work(mut held: Self::Held) {
        let blocked = deadpool_redis::redis::cmd("BLPOP").arg("nothing").arg(0.01).query_async(&mut held).await;
        let _: deadpool_redis::redis::Value = blocked.expect("an answer");
    }

    async fn fill(&self) {
        self.say(&["CONFIG", "SET", "maxclients", "1"]).await.expect("the default user may change the configuration");
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

/// Returns the status of the check, and its reason if there is one.
fn shown(health: &Health) -> String {
    let report = health.report();
    let check = &report.checks()[0];
    format!("{}{}", check.status(), check.reason().map_or_else(String::new, |reason| format!(" {reason}")))
}

async fn says(health: &Health, expected: &str) {
    let message = || health.report().checks()[0].message().map(str::to_owned);
    wait::ok(expected, || if shown(health) == expected { Ok(()) } else { Err((shown(health), message())) }).await;
}

/// Starts a check with a deadline that only a hang reaches, so that a slow machine fails no run.
fn patient(check: Registration) -> Health {
    let check = check.every(millis(100)).recheck(millis(100)).timeout(HANG);
    Health::builder().check("subject", check).start().unwrap()
}

/// Starts a check whose deadline passes while a server is frozen.
fn prompt(check: Registration) -> Health {
    let check = check.every(millis(200)).recheck(millis(200)).timeout(secs(1));
    Health::builder().check("subject", check).start().unwrap()
}

/// Runs the future and fails the test if the check turns Unhealthy in the meantime.
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
        () = &mut bad => panic!("the changes have ended"),
        () = &mut during => {}
    }
    says(health, "healthy").await;
}

/// The server terminates sessions while they are idle in the pool.
async fn sessions_that_the_server_ended_are_no_outage<S: Subject>() {
    let subject = S::begin();
    let pool = subject.pool_of(4);
    let health = patient(S::check(pool.clone(), HANG));
    let runs = || health.report().checks()[0].history().totals().durations().count();
    stays_good(&health, async {
        for _ in 0..6 {
            // All connections of the pool are open before the server terminates them.
            let held = [S::take(&pool).await, S::take(&pool).await, S::take(&pool).await, S::take(&pool).await];
            drop(held);
            subject.terminate_sessions().await;
            let before = runs();
            wait::true_of("two more runs", || runs() >= before + 2).await;
        }
    })
    .await;
}

/// A working server behind an exhausted pool: Degraded, and Unhealthy once `saturated_for` has passed.
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
    // The same with a server that was stopped.
    block_in_place(|| subject.stop());
    says(&health, "unhealthy unreachable").await;
    block_in_place(|| subject.run());
    says(&health, "degraded saturated").await;
    drop(held);
    says(&health, "healthy").await;
}

/// Tasks always wait for every connection, and each gets one in time.
async fn a_pool_with_waiting_tasks_is_no_outage<S: Subject>() {
    let subject = S::begin();
    let pool = subject.pool_of(2);
    let health = patient(S::check(pool.clone(), millis(1)));
    let work = async |pool: S::Pool| loop {
        S::work(S::take(&pool).await).await;
    };
    let tasks: Vec<JoinHandle<()>> = (0..6)
        .map(|_| {
            let pool = pool.clone();
            // Each task runs on a thread of its own, because the trait does not require its futures to be `Send`.
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

/// Every connection of the pool is in use and works, and the server accepts no further connection.
async fn an_exhausted_pool_of_a_full_server_is_degraded_at_first<S: Subject>() {
    let subject = S::begin();
    let pool = subject.pool_of(1);
    let tolerant = prompt(S::check(pool.clone(), HANG));
    let strict = prompt(S::check(pool.clone(), millis(1)));
    let held = S::take(&pool).await;
    says(&tolerant, "degraded saturated").await;
    subject.fill().await;
    tolerant.stop().await;
    strict.stop().await;
    // These checks have no connection beside the pool yet, and the server has no room for one.
    let tolerant = prompt(S::check(pool.clone(), HANG));
    let strict = prompt(S::check(pool.clone(), millis(1)));
    says(&strict, "unhealthy saturated").await;
    says(&tolerant, "degraded saturated").await;
    drop(held);
    says(&tolerant, "healthy").await;
    says(&strict, "healthy").await;
}

/// The other end of the idle connections disappears without a notice.
async fn many_half_open_idle_connections_are_no_outage<S: Subject>() {
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

/// After rounds of every kind of loss, at most the connections of the pool and one beside it are open.
async fn no_connection_is_leaked<S: Subject>() {
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
        let what = format!("after round {round} at most {PLACES} connections of the pool and one beside it");
        wait::true_of(&what, || port::connections_to(subject.port()) <= PLACES + 1).await;
    }
    health.stop().await;
    drop(pool);
}

/// The application takes, uses, holds and discards connections, while the server terminates every session again and
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_pool_and_sessions_that_the_server_ends_are_no_outage() {
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
            // Paced by the check's runs: if two new sessions ended one after the other, that would rightly be an
            // outage.
            let before = runs();
            database.terminate_sessions().await;
            wait::true_of("two more runs", || runs() >= before + 2).await;
        }
    })
    .await;
    churn.iter().for_each(JoinHandle::abort);
}

/// The pool itself tests an idle connection before it hands it out.
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

/// Several checks over one small pool and a slow link: all are healthy, and the pool's limit holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checks_of_one_pool_do_not_exhaust_it() {
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

/// Defines the tests of one subject.
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
    sessions_that_the_server_ended_are_no_outage, an_exhausted_pool_is_saturated, an_exhausted_pool_hides_no_outage,
    a_pool_with_waiting_tasks_is_no_outage, an_exhausted_pool_of_a_full_server_is_degraded_at_first,
    many_half_open_idle_connections_are_no_outage, no_connection_is_leaked);
of!(redis_pool, health_tests::redis::Server:
    sessions_that_the_server_ended_are_no_outage, an_exhausted_pool_is_saturated, an_exhausted_pool_hides_no_outage,
    a_pool_with_waiting_tasks_is_no_outage, an_exhausted_pool_of_a_full_server_is_degraded_at_first,
    many_half_open_idle_connections_are_no_outage, no_connection_is_leaked);
of!(sqlx_pool, health_tests::mariadb::Server:
    sessions_that_the_server_ended_are_no_outage, an_exhausted_pool_is_saturated, an_exhausted_pool_hides_no_outage,
    a_pool_with_waiting_tasks_is_no_outage, an_exhausted_pool_of_a_full_server_is_degraded_at_first,
    many_half_open_idle_connections_are_no_outage, no_connection_is_leaked);
