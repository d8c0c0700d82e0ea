//! The `Upstream` check with every document format over a real socket, and with two services that check each other.

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use health_core::{CheckExt as _, Endpoint, Health, Outcome, Reason, Status, Upstream, Visibility, testing::scripted};
use health_tests::{
    mount::{self, Form, Framework},
    support::{ask, checked, client, millis, shown, verdict},
    wait,
};
use serde_json::Value;

use super::http::serve;

const UNHEALTHY: (Status, Option<Reason>) = (Status::Unhealthy, Some(Reason::Failed));
const HEALTHY: (Status, Option<Reason>) = (Status::Healthy, None);

#[tokio::test]
async fn every_document_format_is_read_and_its_failing_parts_are_reported() {
    const JSON: &str = "application/json";
    for (kind, code, text, expected, message, part) in [
        (JSON, 200, r#"{"status":"healthy","checks":{}}"#, HEALTHY, None, None),
        (
            JSON,
            200,
            r#"{"status":"degraded","checks":{"jobs":{"status":"degraded","reason":"threshold"}}}"#,
            HEALTHY,
            Some("the service says degraded: jobs threshold"),
            Some("jobs"),
        ),
        (
            "application/health+json",
            503,
            r#"{"status":"fail","checks":{"db:responseTime":[{"status":"fail","output":"secret"}]}}"#,
            UNHEALTHY,
            Some("the service says unhealthy: db unhealthy"),
            Some("db"),
        ),
        (
            "application/vnd.spring-boot.actuator.v3+json",
            503,
            concat!(
                r#"{"status":"DOWN","components":{"db":{"status":"DOWN","details":{"error":"secret"}},"#,
                r#""disk":{"status":"UP"}}}"#
            ),
            UNHEALTHY,
            Some("the service says unhealthy: db unhealthy"),
            Some("db"),
        ),
        (JSON, 503, r#"{"status":"DOWN","checks":[{"name":"m","status":"DOWN"}]}"#, UNHEALTHY, None, Some("m")),
        (JSON, 200, r#"{"status":"Degraded","entries":{"e":{"status":"Degraded"}}}"#, HEALTHY, None, Some("e")),
        ("text/plain", 200, "Healthy", HEALTHY, None, None),
        ("text/plain", 503, "Unhealthy", UNHEALTHY, Some("the service says unhealthy"), None),
        ("text/plain", 200, "ok", HEALTHY, None, None),
        (
            "text/plain",
            500,
            "[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed\n",
            UNHEALTHY,
            None,
            Some("etcd"),
        ),
        // An error code overrules a healthy document, except for the code of Degraded.
        (JSON, 500, r#"{"status":"UP"}"#, UNHEALTHY, None, None),
        (JSON, 429, r#"{"status":"degraded"}"#, HEALTHY, Some("the service says degraded"), None),
        // Prose and a redirect are no health document.
        (
            "text/html",
            200,
            "<html>\n<p>wait\nbrowser check passed\n</html>",
            UNHEALTHY,
            Some("the answer is not a health document of a known format"),
            None,
        ),
        ("text/plain", 302, "OK", UNHEALTHY, Some("the service answers with the code 302"), None),
        ("text/html", 200, "\n{\"status\":\"UP\"}", HEALTHY, None, None),
        ("APPLICATION/JSON", 200, "\u{feff}{\"status\":\"UP\"}", HEALTHY, None, None),
        (JSON, 200, r#"{"status":"WARNING"}"#, HEALTHY, Some("the service says degraded: WARNING"), None),
        (
            JSON,
            200,
            r#"{"status":"Unhealthy","checks":[{"component":"db","status":"Unhealthy"}]}"#,
            UNHEALTHY,
            Some("the service says unhealthy: db unhealthy"),
            Some("db"),
        ),
        (
            JSON,
            503,
            r#"{"status":"DOWN","components":{"vault-token":{"status":"DOWN","components":{}}}}"#,
            UNHEALTHY,
            Some("the service says unhealthy: vault-token unhealthy"),
            Some("vault-token"),
        ),
        (JSON, 200, r#"{"status":"UP","n":1e400}"#, HEALTHY, None, None),
        (JSON, 200, r#"{"hello":1}"#, UNHEALTHY, Some("the answer is not a health document of a known format"), None),
        ("text/html", 404, "<html>", UNHEALTHY, Some("the service answers with the code 404"), None),
    ] {
        let status = StatusCode::from_u16(code).unwrap();
        let app = Router::new().route("/health", get(move || async move { (status, [(CONTENT_TYPE, kind)], text) }));
        let check = Upstream::new(client(), format!("{}/health", serve(app).await));
        let report = shown(&checked(check).await);
        assert_eq!(verdict(&report), expected, "{text}");
        if let Some(message) = message {
            assert_eq!(report.message(), Some(message), "{text}");
        }
        let carried = report.detail("components");
        assert_eq!(carried.and_then(Value::as_object).map(|it| it.keys().next().unwrap().as_str()), part, "{text}");
        assert!(!format!("{report:?}").contains("secret"), "error texts of the other service must not be shown");
    }
}

#[tokio::test]
async fn parts_and_messages_are_shown_at_full_visibility_only() {
    let app =
        Router::new().route("/", get(|| async { r#"{"status":"DOWN","components":{"inner-db":{"status":"DOWN"}}}"# }));
    let health = checked(Upstream::new(client(), serve(app).await + "/")).await;
    for visibility in Visibility::ALL {
        let endpoint = Endpoint::new(health.clone()).visibility(*visibility);
        let body = ask(&endpoint, "GET", "/health").body;
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(text.contains("inner-db"), *visibility == Visibility::Full, "{text}");
    }
}

/// Documents of `health-core` in every format and at every visibility.
#[tokio::test(flavor = "multi_thread")]
async fn documents_of_health_core_are_read_in_every_format() {
    let (check, says) = scripted();
    let health = Health::builder().check("own", check).start().unwrap();
    for (outcome, expected) in [
        (Outcome::healthy(), HEALTHY),
        (Outcome::degraded("half").reason(Reason::Threshold), HEALTHY),
        (Outcome::unhealthy("down").reason(Reason::Unreachable), UNHEALTHY),
    ] {
        says.answer(outcome);
        health.refresh("own").await.unwrap();
        for visibility in Visibility::ALL {
            let endpoint = Endpoint::new(health.clone()).visibility(*visibility);
            let server = mount::serve(Framework::Axum, Form::Routes, endpoint);
            for path in [
                "/health",
                "/health?format=health",
                "/health?format=text",
                "/readyz",
                "/readyz?verbose",
                "/health/checks/own",
            ] {
                if path.ends_with("own") && *visibility == Visibility::Status {
                    continue;
                }
                let check = Upstream::new(client(), format!("http://{}{path}", server.address));
                let report = shown(&checked(check).await);
                assert_eq!(verdict(&report), expected, "{path} {visibility} {report:?}");
            }
        }
    }
}

/// Each service checks the other, and both were unhealthy. Once their own checks are healthy, both services are.
#[tokio::test(flavor = "multi_thread")]
async fn services_that_check_each_other_recover() {
    let mut services = Vec::new();
    for _ in 0..2 {
        let (check, says) = scripted();
        says.answer(Outcome::unhealthy("down"));
        let health = Health::builder().check("own", check.every(millis(200)).recheck(millis(100))).start().unwrap();
        let server = mount::serve(Framework::Axum, Form::Routes, Endpoint::from(health.clone()));
        services.push((health, says, server));
    }
    let addresses = [services[1].2.address, services[0].2.address];
    for ((health, _, _), other) in services.iter().zip(addresses) {
        let check = Upstream::new(client(), format!("http://{other}/health"));
        health.insert("other", check.critical().every(millis(200)).recheck(millis(100))).unwrap();
    }
    let all_are = async |status: Status| {
        let is_so = |health: &Health| {
            let report = health.report();
            (report.status(), report.check("other").unwrap().status()) == (status, status)
        };
        wait::true_of(status.as_str(), || services.iter().all(|(health, _, _)| is_so(health))).await;
    };
    all_are(Status::Unhealthy).await;
    services.iter().for_each(|(_, says, _)| says.answer(Outcome::healthy()));
    all_are(Status::Healthy).await;
    let shared: Arc<_> = services[0].0.report();
    assert_eq!(shared.status(), Status::Healthy);
}
