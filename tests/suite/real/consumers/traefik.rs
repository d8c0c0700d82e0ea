//! Traefik in front of two instances, with the file of `examples/deploy`: it follows readiness and drain.

use health_core::{Endpoint, Health, Toggle};
use health_tests::{
    http,
    mount::{APPLICATION, Form, Framework, Server, serve},
    support::secs,
    tools::deploy,
    traefik::Traefik,
    wait,
};
use tokio::task::block_in_place;

struct Instance {
    health: Health,
    database: Toggle,
    server: Server,
}

impl Instance {
    async fn start(framework: Framework) -> Self {
        let database = Toggle::new();
        let health = Health::builder().check("database", database.check()).start().unwrap();
        assert!(health.ready().await);
        let server = serve(framework, Form::Middleware, Endpoint::new(health.clone()));
        Self { health, database, server }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traefik_follows_readiness_and_drain() {
    assert!(deploy("traefik/orders.yml").is_file());
    let (a, b) = (Instance::start(Framework::Axum).await, Instance::start(Framework::Warp).await);
    let (at_a, at_b) = (a.server.address, b.server.address);
    let traefik = block_in_place(|| Traefik::before(at_a, at_b, |text| text));
    let thinks = |instance, status| block_in_place(|| traefik.thinks(instance, status));
    let get = |path: &str| block_in_place(|| http::get(traefik.address, path, &[]).status);
    thinks(at_a, "UP");
    thinks(at_b, "UP");
    assert_eq!(get("/anything"), APPLICATION);
    // Traefik itself answers 418 on the health paths.
    for path in ["/health", "/livez", "/readyz/database", "/health/metrics"] {
        let answer = block_in_place(|| http::get(traefik.address, path, &[]));
        assert!(answer.status == 418 && !answer.text().contains("application"), "{path}: {answer:?}");
    }

    a.database.unhealthy("moving");
    a.health.refresh("database").await.unwrap();
    thinks(at_a, "DOWN");
    thinks(at_b, "UP");
    assert_eq!(get("/anything"), APPLICATION);
    a.database.healthy();
    a.health.refresh("database").await.unwrap();
    thinks(at_a, "UP");
    let _draining = b.health.drain(secs(60));
    thinks(at_b, "DOWN");
    assert_eq!(get("/anything"), APPLICATION);
    assert_eq!(block_in_place(|| traefik.complaints()), "");
    drop(traefik);

    // A misspelled option is found.
    for (written, mistaken, complaint) in [
        ("unhealthyInterval", "unhealthyIntervall", "field not found"),
        ("timeout: 500ms", "timeout: half", "invalid duration"),
    ] {
        let traefik = block_in_place(|| Traefik::before(at_a, at_b, |text| text.replace(written, mistaken)));
        block_in_place(|| wait::until(complaint, || traefik.complaints().contains(complaint)));
    }
}
