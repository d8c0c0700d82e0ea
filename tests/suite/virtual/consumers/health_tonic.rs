//! The answers of `grpc.health.v1`, which come from `Health::serving`, on the paused clock: for a starting service, for
//! a check with an old result, which a request wakes, and for a named service.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use health_core::{CheckExt as _, Health, Outcome, Probe, check_fn, testing::Frozen};
use health_tests::support::{millis, secs};

#[tokio::test(start_paused = true)]
async fn a_starting_service_is_not_serving_and_a_request_wakes_an_old_check() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let slow = check_fn(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async {
            tokio::time::sleep(millis(300)).await;
            Ok(())
        }
    });
    let health = Health::builder().check("slow", slow.every(secs(3600)).max_age(millis(100))).start().unwrap();
    assert_eq!(
        (health.serving(""), health.serving("liveness"), health.serving("slow")),
        (Some(false), Some(true), Some(false))
    );
    assert_eq!(health.serving("nobody"), None);
    assert!(health.ready().await);
    assert_eq!((health.serving(""), health.serving("slow")), (Some(true), Some(true)));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    tokio::time::sleep(millis(150)).await;
    assert_eq!((0..100).filter(|_| health.known_serving("slow") == Some(true)).count(), 100);
    tokio::time::sleep(millis(100)).await;
    assert_eq!(runs.load(Ordering::Relaxed), 1, "known_serving wakes no check");
    (0..100).for_each(|_| assert_eq!(health.serving("slow"), Some(true)));
    tokio::time::sleep(millis(100)).await;
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    health.stop().await;
}

#[test]
fn a_named_grpc_service_has_the_status_of_its_probe() {
    let builder = || Health::builder().check("database", check_fn(|| async { Ok(()) }));
    let named =
        builder().grpc_service("orders.v1.Orders", Probe::Readiness).grpc_service("orders.v1.Admin", Probe::Liveness);
    let frozen = Frozen::new(named).unwrap();
    let health = frozen.health();
    let serving = |name: &str| health.serving(name);
    assert_eq!(
        (serving("orders.v1.Orders"), serving("orders.v1.Admin"), serving("other")),
        (Some(false), Some(true), None)
    );
    frozen.record("database", Outcome::healthy(), millis(1)).unwrap();
    assert_eq!((serving("orders.v1.Orders"), health.known_serving("orders.v1.Orders")), (Some(true), Some(true)));
    assert_eq!(health.service_probe("orders.v1.Orders"), Some(Probe::Readiness));
    assert_eq!((health.service_probe(""), health.service_probe("database")), (Some(Probe::Readiness), None));
    let services: Vec<String> = health.services().iter().map(ToString::to_string).collect();
    let expected = ["", "liveness", "readiness", "startup", "orders.v1.Orders", "orders.v1.Admin", "database"];
    assert_eq!(services, expected);
    let meanings = [
        ("", "the whole service"),
        ("liveness", "a probe"),
        ("database", "a check"),
        ("x.Y", "a service that was named before"),
    ];
    for (name, meaning) in meanings {
        let named = builder().grpc_service("x.Y", Probe::Liveness).grpc_service(name, Probe::Readiness);
        let error = Frozen::new(named).unwrap_err().to_string();
        assert_eq!(error, format!("grpc_service({name:?}) already means {meaning}: choose another name"));
    }
}
