//! `instructions core|axum|actix|warp health|constant REQUESTS`: sends requests to a health route, or to a constant
//! answer with the same bytes and headers, in one thread and without sockets. `tests/bench instructions` counts the
//! instructions of many and of few requests, and divides the difference by the number of additional requests.

use std::{env, hint::black_box, time::Duration};

use actix_web::{App, HttpResponse, body::MessageBody as _, dev::Service as _, test, web};
use axum::{Router, response::IntoResponse as _, routing::get};
use bytes::Bytes;
use health_core::{Endpoint, Health, Outcome, Request, check_fn, testing::Frozen};
use http::{HeaderValue, header};
use http_body_util::BodyExt as _;
use tower_service::Service as _;
use warp::Filter as _;

const CHECKS: usize = 10;

fn frozen() -> Frozen {
    let mut builder = Health::builder();
    for number in 0..CHECKS {
        builder = builder.check(format!("check-{number}"), check_fn(|| async { Ok(()) }));
    }
    let frozen = Frozen::new(builder).expect("names that differ");
    for number in 0..CHECKS {
        let run = frozen.record(&format!("check-{number}"), Outcome::healthy(), Duration::from_micros(1420));
        run.expect("a registered check");
    }
    frozen
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [subject, route, requests] = &arguments[..] else { panic!("SUBJECT ROUTE REQUESTS") };
    let requests: usize = requests.parse().expect("a number of requests");
    let frozen = frozen();
    let endpoint = Endpoint::new(frozen.health());
    let request = Request::new("GET", "/health", None, None, &|_, _| None);
    let body = endpoint.respond(&request).expect("a path of the endpoint").body;
    let path = if route == "health" { "/health" } else { "/constant" };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let length = match subject.as_str() {
        "core" => {
            (0..requests).map(|_| black_box(endpoint.respond(black_box(&request))).expect("an answer").body.len()).sum()
        }
        "axum" => runtime.block_on(axum(endpoint, body.clone(), path, requests)),
        "actix" => runtime.block_on(actix(endpoint, body.clone(), path, requests)),
        "warp" => runtime.block_on(warp(endpoint, body.clone(), path, requests)),
        other => panic!("no subject {other}"),
    };
    assert_eq!(length, requests * body.len());
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

async fn axum(endpoint: Endpoint, body: Bytes, path: &str, requests: usize) -> usize {
    let constant = move || {
        let body = body.clone();
        async move {
            let headers = [
                (header::CONTENT_TYPE, JSON),
                (header::CACHE_CONTROL, NO_STORE),
                (header::X_CONTENT_TYPE_OPTIONS, NOSNIFF),
            ];
            (headers, body).into_response()
        }
    };
    let mut app: Router = Router::new().route("/constant", get(constant)).merge(health_axum::routes(endpoint));
    let mut length = 0;
    for _ in 0..requests {
        let request = http::Request::get(path).body(axum::body::Body::empty()).expect("a request");
        let response = app.call(request).await.expect("an answer");
        length += response.into_body().collect().await.expect("a body").to_bytes().len();
    }
    length
}

async fn actix(endpoint: Endpoint, body: Bytes, path: &str, requests: usize) -> usize {
    let constant = move || {
        let body = body.clone();
        async move {
            let mut response = HttpResponse::Ok();
            response.insert_header(("content-type", "application/json"));
            response.insert_header(("cache-control", "no-store"));
            response.insert_header(("x-content-type-options", "nosniff"));
            response.body(body)
        }
    };
    let app = App::new().route("/constant", web::get().to(constant)).service(health_actix::routes(endpoint));
    let app = test::init_service(app).await;
    let mut length = 0;
    for _ in 0..requests {
        let request = test::TestRequest::get().uri(path).to_request();
        let response = app.call(request).await.expect("an answer");
        length += response.into_body().try_into_bytes().ok().expect("a whole body").len();
    }
    length
}

async fn warp(endpoint: Endpoint, body: Bytes, path: &str, requests: usize) -> usize {
    let constant = warp::path!("constant").and(warp::get()).map(move || {
        let mut response = warp::reply::Response::new(body.clone().into());
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        response
    });
    // Each route is served alone, because warp tries the filters in order, so that a later filter costs more.
    if path == "/constant" {
        warp_length(warp::service(constant), path, requests).await
    } else {
        warp_length(warp::service(health_warp::routes(endpoint)), path, requests).await
    }
}

async fn warp_length<S, B>(mut app: S, path: &str, requests: usize) -> usize
where
    S: tower_service::Service<http::Request<http_body_util::Empty<Bytes>>, Response = http::Response<B>>,
    S::Error: std::fmt::Debug,
    B: http_body_util::BodyExt,
{
    let mut length = 0;
    for _ in 0..requests {
        let request = http::Request::get(path).body(http_body_util::Empty::<Bytes>::new()).expect("a request");
        let response = app.call(request).await.expect("an answer");
        length += response.into_body().collect().await.ok().expect("a body").to_bytes().len();
    }
    length
}
