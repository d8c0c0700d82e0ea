//! The cost of a run of each check for the server that it queries, without any fault: see `health_tests::costs`.

use std::thread;

use health_core::{Health, Status};
use health_tests::{
    costs::{Costs, RUNS, document, file},
    fault_rows::row,
    proxy::Proxy,
    support::secs,
    wait::{self, HANG},
};
use tokio::{runtime::Handle, task::block_in_place};

/// The checks whose traffic can be told apart from other traffic of their clients.
const CHECKS: &[&str] = &[
    "certificate",
    "elasticsearch",
    "fred",
    "grpc",
    "http",
    "memcached",
    "mqtt",
    "nats",
    "postgres",
    "rabbitmq",
    "rabbitmq_connection",
    "rabbitmq_queue",
    "redis",
    "redis_connection",
    "redis_queue",
    "smtp",
    "sqlx",
    "tcp",
];

async fn costs(name: &str) -> Costs {
    let row = row(name);
    let subject = block_in_place(row.start);
    let pooled = row.pool.map(|pool| pool(&subject));
    let check = match &pooled {
        Some(pooled) => (pooled.check)(),
        None => (row.check)(&subject, true),
    };
    let health = Health::builder().check("subject", check.every(HANG).recheck(HANG).timeout(secs(10))).start().unwrap();
    let run = async || {
        wait::done("healthy", async || match health.refresh("subject").await {
            Ok(Status::Healthy) => Ok(()),
            other => Err(other),
        })
        .await;
    };
    run().await;
    if let Some(pooled) = &pooled {
        drop((pooled.take)().await);
    }
    run().await;
    settled(&subject.proxy).await;
    let kept = subject.proxy.connections();
    let _ = subject.proxy.traffic();
    for _ in 0..RUNS {
        run().await;
        // Waits, so that sqlx has returned the connection to its pool before the next run.
        settled(&subject.proxy).await;
    }
    Costs::of(name, &subject.proxy.traffic(), kept)
}

/// Waits until no more data follows the last answer.
async fn settled(proxy: &Proxy) {
    let mut looks = Vec::new();
    wait::ok("no more traffic after the last answer", || {
        looks.push((proxy.bytes_sent(), proxy.connections()));
        let stays = looks.len() >= 5 && looks.iter().rev().take(5).all(|look| Some(look) == looks.last());
        if stays { Ok(()) } else { Err(looks.len()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_shows_the_cost_of_a_run() {
    let runtime = Handle::current();
    // In parallel, each check on a thread of its own.
    let all: Vec<(&str, Costs)> = block_in_place(|| {
        thread::scope(|scope| {
            let counts = |name| {
                let runtime = &runtime;
                (name, scope.spawn(move || runtime.block_on(costs(name))))
            };
            // Starts all threads before it waits for the first one.
            let counting: Vec<_> = CHECKS.iter().copied().map(counts).collect();
            counting.into_iter().map(|(name, counting)| (name, counting.join().unwrap())).collect()
        })
    });
    let text = document(&all);
    if std::env::var_os("HEALTH_WRITE_COSTS").is_some() {
        std::fs::write(file(), &text).unwrap();
    }
    let written = std::fs::read_to_string(file()).unwrap_or_default();
    assert_eq!(written, text, "health-core/COSTS.md is out of date: HEALTH_WRITE_COSTS=1 tests/run costs writes it");
}
