//! Merged and nested routers, fallbacks and layers of axum in every order.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use axum::{Router, body::Body, http::Request, routing::get};
use health_axum::{HealthLayer, routes};
use health_core::Endpoint;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};
use tower_http::{
    compression::CompressionLayer, normalize_path::NormalizePathLayer, timeout::TimeoutLayer, trace::TraceLayer,
};

use super::{Answer, Expected, PAGE, endpoint, hold, is_documented};

async fn page() -> &'static str {
    PAGE
}

/// Returns the application, which has a single route.
fn app() -> Router {
    Router::new().route("/x", get(page))
}

/// Returns another part of the application.
fn other() -> Router {
    Router::new().route("/y", get(page))
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(axum::http::StatusCode::REQUEST_TIMEOUT, Duration::from_secs(60))
}

type Mount = fn(Endpoint) -> Router;
type Order = (&'static str, Mount, Expected);

const HERE: Expected = Expected::Endpoint("");
const BELOW: Expected = Expected::Endpoint("/api");
const PAGE_HERE: Expected = Expected::ApplicationsPage("");
const NOBODY: Expected = Expected::NotFound("");

/// The orders of `routes`. None of them is wrong.
const ROUTES: [Order; 17] = [
    ("merge", |e| app().merge(routes(e)), HERE),
    ("merge first", |e| Router::new().merge(routes(e)).merge(app()), HERE),
    ("merge, fallback", |e| app().merge(routes(e)).fallback(page), HERE),
    ("fallback, merge", |e| app().fallback(page).merge(routes(e)), HERE),
    ("merge into a part", |e| app().merge(other().merge(routes(e))).fallback(page), HERE),
    ("merge beside a route for every path", |e| app().route("/{*path}", get(page)).merge(routes(e)), HERE),
    ("merge beside a route for a segment", |e| app().route("/{name}", get(page)).merge(routes(e)), HERE),
    ("merge, layers", |e| app().merge(routes(e)).layer(TraceLayer::new_for_http()).layer(timeout()), HERE),
    ("layers, merge", |e| app().layer(TraceLayer::new_for_http()).layer(timeout()).merge(routes(e)), HERE),
    ("merge, route_layer", |e| app().merge(routes(e)).route_layer(TraceLayer::new_for_http()), HERE),
    ("merge, compression", |e| app().merge(routes(e)).layer(CompressionLayer::new()), HERE),
    ("merge, state", |e| Router::<u8>::new().route("/x", get(page)).merge(routes(e)).with_state(7), HERE),
    ("nest", |e| app().nest("/api", routes(e).into()), BELOW),
    ("nest, fallback", |e| app().nest("/api", routes(e).into()).fallback(page), BELOW),
    ("nest a merged part", |e| app().nest("/api", other().merge(routes(e))).fallback(page), BELOW),
    ("nest_service", |e| app().nest_service("/api", Router::<()>::from(routes(e))).fallback(page), BELOW),
    ("fallback_service", |e| app().fallback_service(Router::<()>::from(routes(e))), HERE),
];

/// The orders of `HealthLayer`, outermost and last, together with other layers and fallbacks.
const LAYER: [Order; 16] = [
    ("layer", |e| app().layer(HealthLayer::new(e)), HERE),
    ("fallback, layer", |e| app().fallback(page).layer(HealthLayer::new(e)), HERE),
    ("fallback_service, layer", |e| app().fallback_service(other().fallback(page)).layer(HealthLayer::new(e)), HERE),
    ("method_not_allowed_fallback", |e| app().method_not_allowed_fallback(page).layer(HealthLayer::new(e)), HERE),
    ("merge, layer", |e| app().merge(other()).layer(HealthLayer::new(e)), HERE),
    ("other layers, layer", |e| app().layer(TraceLayer::new_for_http()).layer(HealthLayer::new(e)), HERE),
    ("layer, other layers", |e| app().layer(HealthLayer::new(e)).layer(TraceLayer::new_for_http()), HERE),
    ("layer, compression", |e| app().layer(HealthLayer::new(e)).layer(CompressionLayer::new()), HERE),
    ("compression, layer", |e| app().layer(CompressionLayer::new()).layer(HealthLayer::new(e)), HERE),
    ("timeout, layer", |e| app().layer(timeout()).layer(HealthLayer::new(e)), HERE),
    (
        "ServiceBuilder, outermost",
        |e| {
            let layers = ServiceBuilder::new()
                .layer(HealthLayer::new(e))
                .layer(TraceLayer::new_for_http())
                .layer(CompressionLayer::new())
                .layer(timeout());
            app().fallback(page).layer(layers)
        },
        HERE,
    ),
    (
        "ServiceBuilder, innermost",
        |e| app().layer(ServiceBuilder::new().layer(TraceLayer::new_for_http()).layer(HealthLayer::new(e))),
        HERE,
    ),
    (
        "a separate layer on a part with a fallback",
        |e| app().nest("/api", other().fallback(page).layer(HealthLayer::new(e))),
        BELOW,
    ),
    (
        "nest_service of a part",
        |e| app().nest_service("/api", other().layer(HealthLayer::new(e))).fallback(page),
        BELOW,
    ),
    (
        "around the finished router",
        |e| Router::new().fallback_service(HealthLayer::new(e).layer(app().fallback(page))),
        HERE,
    ),
    // The merged router takes the layered default fallback of the last part without a fallback of its own.
    ("the layer on the part that is merged last", |e| app().merge(other().layer(HealthLayer::new(e))), HERE),
];

/// The orders that the documentation of `HealthLayer` calls wrong.
const WRONG: [Order; 7] = [
    ("layer, fallback", |e| app().layer(HealthLayer::new(e)).fallback(page), PAGE_HERE),
    ("layer, fallback_service", |e| app().layer(HealthLayer::new(e)).fallback_service(get(page)), PAGE_HERE),
    (
        "nest of a part with the layer",
        |e| app().nest("/api", other().layer(HealthLayer::new(e))),
        Expected::NotFound("/api"),
    ),
    (
        "nest of a part with the layer, fallback",
        |e| app().nest("/api", other().layer(HealthLayer::new(e))).fallback(page),
        Expected::ApplicationsPage("/api"),
    ),
    (
        "the layer on a part that is not merged last",
        |e| app().merge(other().layer(HealthLayer::new(e))).merge(Router::new()),
        NOBODY,
    ),
    ("route_layer", |e| app().route_layer(HealthLayer::new(e)), NOBODY),
    ("route_layer, fallback", |e| app().route_layer(HealthLayer::new(e)).fallback(page), PAGE_HERE),
];

async fn answered(router: &Router, target: String) -> Answer {
    let request = Request::get(target).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: parts.status.as_u16(),
        kind: header("content-type"),
        caching: header("cache-control"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

#[tokio::test]
async fn every_order_is_answered_or_documented_as_wrong() {
    for (order, mount, expected) in ROUTES.iter().chain(&LAYER).chain(&WRONG) {
        let (_frozen, endpoint) = endpoint();
        let router = mount(endpoint.clone());
        hold(order, &endpoint, *expected, async |target| answered(&router, target).await).await;
    }
    let named = [
        "`.layer(HealthLayer)` before `.fallback(..)`",
        "`.layer(HealthLayer)` on a router without a fallback that is then nested or merged",
        "`.route_layer(HealthLayer)`",
        "`NormalizePathLayer::append_trailing_slash`",
    ];
    is_documented("health-axum", &named);
}

/// A path is normalized around the finished router, because a router matches before its layers run.
#[tokio::test]
async fn normalized_paths_are_answered() {
    for mounted in [true, false] {
        let (_frozen, endpoint) = endpoint();
        let router = match mounted {
            true => app().merge(routes(endpoint.clone())).fallback(page),
            false => app().fallback(page).layer(HealthLayer::new(endpoint.clone())),
        };
        let trimmed = Router::new().fallback_service(NormalizePathLayer::trim_trailing_slash().layer(router.clone()));
        for slash in ["", "/"] {
            let ask = async |target: String| match target.split_once('?') {
                Some((path, query)) => answered(&trimmed, format!("{path}{slash}?{query}")).await,
                None => answered(&trimmed, target + slash).await,
            };
            hold("trimmed", &endpoint, HERE, ask).await;
        }
        // No path of the endpoint ends in a slash.
        let appended = Router::new().fallback_service(NormalizePathLayer::append_trailing_slash().layer(router));
        hold("appended", &endpoint, PAGE_HERE, async |target| answered(&appended, target).await).await;
    }
}

/// Serves the layer around the finished router directly.
#[tokio::test]
async fn the_layer_around_the_finished_router_is_served() {
    let (_frozen, endpoint) = endpoint();
    let app = HealthLayer::new(endpoint).layer(NormalizePathLayer::trim_trailing_slash().layer(app().fallback(page)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = axum::ServiceExt::<Request<Body>>::into_make_service(app);
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let answer = tokio::task::spawn_blocking(move || health_tests::http::get(address, "/livez", &[])).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    server.abort();
}

/// A program that routes the same path twice does not start.
#[test]
fn a_path_conflict_panics_at_the_start() {
    let orders: [(&str, Mount); 4] = [
        ("twice", |e| app().merge(routes(e.clone())).merge(routes(e))),
        ("a route of the application", |e| app().route("/readyz", get(page)).merge(routes(e))),
        ("a service at the base path", |e| app().nest_service("/health", get(page)).merge(routes(e))),
        ("two fallbacks", |e| app().fallback(page).merge(other().fallback(page).merge(routes(e)))),
    ];
    for (order, mount) in orders {
        let (_frozen, endpoint) = endpoint();
        assert!(catch_unwind(AssertUnwindSafe(|| mount(endpoint))).is_err(), "{order} starts");
    }
}
