//! The `RabbitMq` check against a real broker, beyond the table of faults.

use health_core::{CheckExt as _, Health, RabbitMq, Reason, Status};
use health_tests::{
    rabbitmq::{Server, pool},
    support::{checked, millis, observed, rerun, shown, verdict},
    wait::{self, HANG},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_broker_is_degraded_and_a_busy_pool_saturated() {
    let server = Server::start();
    let few = pool(&server.url(), 1);
    let health = checked(RabbitMq::new(few.clone()).saturated_for(HANG)).await;
    let strict = checked(RabbitMq::new(few.clone()).saturated_for(millis(1))).await;
    let report = shown(&health);
    assert_eq!((report.status(), observed(&report, "pool_max")), (Status::Healthy, 1.0));

    // Every connection is in use: the broker is asked beside the pool.
    let held = few.get().await.unwrap();
    assert_eq!(verdict(&*rerun(&health).await), (Status::Degraded, Some(Reason::Saturated)));
    turns(&strict, Status::Unhealthy, Some(Reason::Saturated)).await;
    // It would ask for the only connection, too.
    strict.stop().await;
    drop(held);
    assert_eq!(rerun(&health).await.status(), Status::Healthy);

    // The broker tells those who publish that they are blocked.
    server.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    let publisher = few.get().await.unwrap();
    let channel = publisher.create_channel().await.unwrap();
    let options = deadpool_lapin::lapin::options::BasicPublishOptions::default();
    let properties = deadpool_lapin::lapin::BasicProperties::default();
    drop(channel.basic_publish("".into(), "nowhere".into(), options, b"x", properties).await.unwrap());
    wait::true_of("the broker blocks", || publisher.status().blocked()).await;
    drop(publisher);
    assert_eq!(verdict(&*rerun(&health).await), (Status::Degraded, Some(Reason::Saturated)));
    server.control(&["set_vm_memory_high_watermark", "absolute", "1GB"]);
    turns(&health, Status::Healthy, None).await;
}

/// Runs the check again and again until it says so.
async fn turns(health: &Health, status: Status, reason: Option<Reason>) {
    wait::done(status.as_str(), async || {
        let found = verdict(&*rerun(health).await);
        if found == (status, reason) { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_virtual_host_is_rejected() {
    let server = Server::start();
    let health = Health::builder()
        .check("x", RabbitMq::new(pool(&format!("{}no", server.url()), 1)).timeout(HANG))
        .start()
        .unwrap();
    assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Rejected)));
}
