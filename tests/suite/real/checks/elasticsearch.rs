//! The `Elasticsearch` check against a server of the cluster health API, beyond the table of faults.

use health_core::{Elasticsearch, Reason, Status};
use health_tests::{
    daemon::Server as _,
    elasticsearch::health,
    service::{Kind, Server, TOKEN},
    support::{checked, client, invalid, observed, rerun, verdict},
};

fn check(base: &str) -> Elasticsearch {
    Elasticsearch::new(client(), base).header("authorization", format!("Bearer {TOKEN}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_colour_of_the_cluster_is_the_status_and_its_numbers_are_observed() {
    let server = Server::start(Kind::Elasticsearch);
    let base = format!("http://127.0.0.1:{}", server.port());
    let strict = checked(check(&base)).await;
    let tolerant = checked(check(&format!("{base}/")).accept_yellow()).await;
    for (colour, status, accepted) in [
        ("green", Status::Healthy, Status::Healthy),
        ("yellow", Status::Degraded, Status::Healthy),
        ("red", Status::Unhealthy, Status::Unhealthy),
    ] {
        server.put("health", &health(colour, 3));
        let report = rerun(&strict).await;
        assert_eq!(report.status(), status, "{colour}: {report:?}");
        assert_eq!((observed(&report, "unassigned_shards"), observed(&report, "pending_tasks")), (3.0, 2.0));
        assert_eq!(rerun(&tolerant).await.status(), accepted, "{colour}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_the_health_of_the_cluster_is_classified() {
    let server = Server::start(Kind::Elasticsearch);
    let base = format!("http://127.0.0.1:{}", server.port());
    let health = checked(check(&base)).await;
    for (code, body, reason) in [
        ("503", r#"{"error":{"type":"master_not_discovered_exception"}}"#, Reason::Unreachable),
        ("503", "{}", Reason::Failed),
        ("429", "{}", Reason::Saturated),
        ("403", "{}", Reason::Rejected),
        ("408", r#"{"status":"red","timed_out":true}"#, Reason::Timeout),
        ("200", "ready", Reason::Failed),
    ] {
        server.put("health", body);
        server.put("code", code);
        assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(reason)), "{code} {body}");
    }
    let stranger = checked(Elasticsearch::new(client(), base)).await;
    assert_eq!(verdict(&*rerun(&stranger).await), (Status::Unhealthy, Some(Reason::Rejected)));
}

#[tokio::test]
async fn an_unusable_url_is_refused() {
    for address in ["search.internal:9200", "http://search.internal/?pretty", "http://search.internal/#top"] {
        assert!(invalid(Elasticsearch::new(client(), address)).contains("URL"), "{address}");
    }
}
