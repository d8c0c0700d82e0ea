//! The connections of probes and of the application while a service drains, on every framework.

use health_core::{Endpoint, Health, check_fn};
use health_tests::{
    certificates::http2_client,
    http,
    mount::{APPLICATION, EVERY, Form, Framework, serve},
    support::secs,
};

async fn draining(configure: impl Fn(Endpoint) -> Endpoint) -> (Health, Endpoint) {
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) })).start().unwrap();
    assert!(health.ready().await);
    let endpoint = configure(Endpoint::new(health.clone()));
    (health, endpoint)
}

fn closes(answer: &http::Answer) -> bool {
    answer.header("connection") == Some("close")
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_drain_http_1_answers_close_connections_and_with_the_middleware_the_applications_too() {
    for (framework, form) in EVERY {
        let (health, endpoint) = draining(|endpoint| endpoint).await;
        let server = serve(framework, form, endpoint);
        let probe = format!("{}/livez", server.prefix);
        let application = format!("{}/elsewhere", server.prefix);
        for path in [&probe, &application] {
            assert!(!closes(&http::keep_alive(server.address, path)), "{server:?} {path} before the drain");
        }
        drop(health.drain(secs(60)));
        let answer = http::keep_alive(server.address, &probe);
        assert_eq!((answer.status, closes(&answer)), (200, true), "{server:?}");
        let answer = http::keep_alive(server.address, &application);
        // Without an application every answer comes from the endpoint.
        let closes_all = matches!(form, Form::Middleware | Form::NestedMiddleware) || framework == Framework::Hyper;
        assert_eq!((answer.status, closes(&answer)), (server.elsewhere, closes_all), "{server:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn close_connections_can_be_turned_off_and_envoys_header_is_added() {
    for framework in [Framework::Actix, Framework::Axum, Framework::Warp] {
        let (health, endpoint) = draining(|endpoint| endpoint.close_connections(false).envoy_headers(true)).await;
        let server = serve(framework, Form::Middleware, endpoint);
        let envoy = "x-envoy-immediate-health-check-fail";
        assert_eq!(http::keep_alive(server.address, "/elsewhere").header(envoy), None);
        drop(health.drain(secs(60)));
        let answer = http::keep_alive(server.address, "/elsewhere");
        assert_eq!((answer.status, closes(&answer)), (APPLICATION, false), "{server:?}");
        assert_eq!(answer.header(envoy), Some("true"), "{server:?}");
        let answer = http::keep_alive(server.address, "/readyz");
        assert_eq!((answer.status, closes(&answer), answer.header(envoy)), (503, true, Some("true")), "{server:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_answers_have_no_connection_header() {
    // The server without a framework speaks only HTTP/1.
    for (framework, form) in EVERY.into_iter().filter(|(framework, _)| *framework != Framework::Hyper) {
        let (health, endpoint) = draining(|endpoint| endpoint).await;
        let server = serve(framework, form, endpoint);
        let client = http2_client();
        drop(health.drain(secs(60)));
        for path in ["livez", "readyz", "elsewhere"] {
            let url = format!("http://{}{}/{path}", server.address, server.prefix);
            let answer = client.get(&url).send().await.unwrap();
            assert_eq!(answer.version(), reqwest::Version::HTTP_2, "{server:?} {path}");
            assert_eq!(answer.headers().get("connection"), None, "{server:?} {path}");
        }
    }
}
