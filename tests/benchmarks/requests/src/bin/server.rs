//! `server axum|actix|warp CHECKS`: a service on one framework with this number of checks. The environment variable
//! PORT sets its port. In addition to the health routes it has `/hello`, which answers with a word, and `/constant`,
//! which always has the bytes and headers of the first answer of `/health`. If DATABASE_URL is set, it also checks
//! PostgreSQL.

use std::{env, net::SocketAddr};

use actix_web::{App, HttpResponse, HttpServer, web};
use axum::{Router, response::IntoResponse as _, routing::get};
use bytes::Bytes;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, tokio_postgres::NoTls};
use health_core::{Endpoint, Health, Postgres, Request, check_fn};
use http::{HeaderValue, header};
use warp::Filter as _;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

fn pool(url: &str) -> Pool {
    let config = url.parse().expect("the address of a database");
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_config(config, NoTls, manager)).max_size(4).build().expect("a pool")
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [framework, checks] = &arguments[..] else { panic!("FRAMEWORK CHECKS") };
    let mut builder = Health::builder();
    for number in 0..checks.parse().expect("a number of checks") {
        builder = builder.check(format!("check-{number}"), check_fn(|| async { Ok(()) }));
    }
    if let Ok(url) = env::var("DATABASE_URL") {
        builder = builder.check("database", Postgres::new(pool(&url)));
    }
    let health = builder.start().expect("a configuration without mistakes");
    health.ready().await;
    let endpoint = Endpoint::new(health);
    let request = Request::new("GET", "/health", None, None, &|_, _| None);
    let body = endpoint.respond(&request).expect("a path of the endpoint").body;
    let port: u16 = env::var("PORT").ok().and_then(|port| port.parse().ok()).expect("PORT");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    match framework.as_str() {
        "axum" => axum(endpoint, body, address).await,
        "actix" => actix(endpoint, body, address).await,
        "warp" => warp(endpoint, body, address).await,
        other => panic!("no framework {other}"),
    }
}

async fn axum(endpoint: Endpoint, body: Bytes, address: SocketAddr) {
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
    let app: Router = Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/constant", get(constant))
        .merge(health_axum::routes(endpoint));
    let listener = tokio::net::TcpListener::bind(address).await.expect("a free port");
    axum::serve(listener, app).await.expect("a server");
}

async fn actix(endpoint: Endpoint, body: Bytes, address: SocketAddr) {
    let app = move || {
        let body = body.clone();
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
        App::new()
            .route("/hello", web::get().to(|| async { "hello" }))
            .route("/constant", web::get().to(constant))
            .service(health_actix::routes(endpoint.clone()))
    };
    HttpServer::new(app).workers(2).bind(address).expect("a free port").run().await.expect("a server");
}

async fn warp(endpoint: Endpoint, body: Bytes, address: SocketAddr) {
    let constant = warp::path!("constant").and(warp::get()).map(move || {
        let mut response = warp::reply::Response::new(body.clone().into());
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        response
    });
    let hello = warp::path!("hello").and(warp::get()).map(|| "hello");
    warp::serve(health_warp::routes(endpoint).or(hello).or(constant)).run(address).await;
}
