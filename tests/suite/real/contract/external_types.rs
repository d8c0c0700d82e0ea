//! The types of other crates in the signatures of the public crates. Each is a promise: a new major version of that
//! crate forces a new major version of ours.

use std::collections::BTreeSet;

use health_tests::{program::cargo, tools::repository};
use serde_json::Value;

/// The core: types of the drivers behind features, and of the crates that every user depends on.
const CORE: &[&str] = &[
    "async_nats::client::Client",
    "bb8::api::ManageConnection",
    "bb8::api::Pool",
    "bytes::bytes::Bytes",
    "deadpool_lapin::Pool",
    "deadpool_postgres::Pool",
    "deadpool_redis::Pool",
    "fred::clients::client::Client",
    "fred::clients::pool::Pool",
    "http_body::Body",
    "lapin::connection::Connection",
    "lettre::executor::Tokio1Executor",
    "lettre::transport::smtp::async_transport::AsyncSmtpTransport",
    "metrics::recorder::Recorder",
    "mongodb::client::Client",
    "mongodb::client::options::ClientOptions",
    "opentelemetry::metrics::meter::MeterProvider",
    "r2d2::ManageConnection",
    "r2d2::Pool",
    "rdkafka::consumer::Consumer",
    "rdkafka::consumer::ConsumerContext",
    "rdkafka::producer::Partitioner",
    "rdkafka::producer::Producer",
    "rdkafka::producer::ProducerContext",
    "redis::aio::ConnectionLike",
    "redis::client::Client",
    "reqwest::async_impl::client::Client",
    "rumqttc::client::AsyncClient",
    "rumqttc::eventloop::ConnectionError",
    "rumqttc::eventloop::Event",
    "rumqttc::v5::client::AsyncClient",
    "rumqttc::v5::eventloop::ConnectionError",
    "rumqttc::v5::eventloop::Event",
    "rustls::crypto::CryptoProvider",
    "rustls::webpki::anchors::RootCertStore",
    "serde_core::de::Deserialize",
    "serde_core::de::Deserializer",
    "serde_json::value::Value",
    "sqlx_core::database::Database",
    "sqlx_core::executor::Executor",
    "sqlx_core::pool::Pool",
    "tokio::runtime::handle::Handle",
    "tokio::runtime::task::abort::AbortHandle",
    "tokio::runtime::task::join::JoinHandle",
    "tonic::body::Body",
    "tonic::client::service::GrpcService",
    "tonic::codegen::StdError",
    "utoipa::openapi::OpenApi",
];
/// The adapters: types of the framework and of the core.
const ACTIX: [&str; 12] = [
    "actix_http::body::either::EitherBody",
    "actix_http::body::message_body::MessageBody",
    "actix_service::Service",
    "actix_service::transform::Transform",
    "actix_web::config::AppService",
    "actix_web::error::error::Error",
    "actix_web::service::HttpServiceFactory",
    "actix_web::service::ServiceRequest",
    "actix_web::service::ServiceResponse",
    "health_core::dedicated_server::DedicatedServer",
    "health_core::endpoint::Endpoint",
    "pin_project_lite::__private::PinnedFieldsOf",
];
const AXUM: [&str; 12] = [
    "axum::routing::Router",
    "axum_core::BoxError",
    "axum_core::body::Body",
    "bytes::bytes::Bytes",
    "health_core::dedicated_server::DedicatedServer",
    "health_core::endpoint::Endpoint",
    "http::request::Request",
    "http::response::Response",
    "http_body::Body",
    "pin_project_lite::__private::PinnedFieldsOf",
    "tower_layer::Layer",
    "tower_service::Service",
];
const WARP: [&str; 6] = [
    "health_core::dedicated_server::DedicatedServer",
    "health_core::endpoint::Endpoint",
    "warp::filter::Filter",
    "warp::reject::Rejection",
    "warp::reply::Reply",
    "warp::reply::Response",
];
const HYPER: [&str; 11] = [
    "bytes::bytes::Bytes",
    "health_core::dedicated_server::DedicatedServer",
    "health_core::endpoint::Endpoint",
    "http::request::Request",
    "http::response::Response",
    "http_body::Body",
    "http_body::frame::Frame",
    "http_body::size_hint::SizeHint",
    "tokio::net::tcp::listener::TcpListener",
    "tokio::net::unix::listener::UnixListener",
    "tower_service::Service",
];
/// The generated code uses types of prost and tonic.
const TONIC: [&str; 18] = [
    "futures_core::stream::Stream",
    "health_core::health::Health",
    "http::request::Request",
    "http::response::Response",
    "http_body::Body",
    "prost::error::UnknownEnumValue",
    "prost::message::Message",
    "tokio_stream::wrappers::mpsc_bounded::ReceiverStream",
    "tonic::body::Body",
    "tonic::codec::compression::CompressionEncoding",
    "tonic::codegen::StdError",
    "tonic::request::Request",
    "tonic::response::Response",
    "tonic::server::NamedService",
    "tonic::service::interceptor::InterceptedService",
    "tonic::service::interceptor::Interceptor",
    "tonic::status::Status",
    "tower_service::Service",
];

#[test]
fn only_listed_types_of_other_crates_are_public() {
    let root = repository();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let options = ["-Z", "unstable-options", "--output-format", "json", "--out-dir", path];
    let status = cargo()
        // Always the whole workspace: a smaller selection would change the features of the drivers and build them
        // again.
        .args(["test", "--quiet", "--workspace", "--all-features", "--doc"])
        .env("RUSTDOC", root.join("tests/rustdoc"))
        .env("CARGO_ENCODED_RUSTDOCFLAGS", options.join("\x1f"))
        .current_dir(&root)
        .status()
        .unwrap();
    assert!(status.success());
    for (name, list) in [
        ("core", CORE),
        ("actix", &ACTIX),
        ("axum", &AXUM),
        ("warp", &WARP),
        ("hyper", &HYPER),
        ("probe", &[]),
        ("tonic", &TONIC),
    ] {
        let file = folder.path().join(format!("health_{name}.json"));
        let documentation: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        if name == "core" {
            // The test of debug outputs needs the same list of types.
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            // Runs within a multi-thread runtime, which `block_in_place` needs while servers start.
            runtime.block_on(super::debug_output::no_type_is_forgotten(&own_types(&documentation)));
        }
        let shown = external_types(&documentation);
        let list: BTreeSet<String> = list.iter().map(|name| (*name).to_owned()).collect();
        let added: Vec<_> = shown.difference(&list).collect();
        let gone: Vec<_> = list.difference(&shown).collect();
        assert!(
            added.is_empty() && gone.is_empty(),
            "the signatures of health-{name} now have {added:?} and no longer {gone:?}"
        );
    }
}

/// Returns the names of the crate's public structs and enums.
fn own_types(documentation: &Value) -> BTreeSet<String> {
    let items = documentation["index"].as_object().unwrap().values();
    let own = items.filter(|item| item["crate_id"] == 0 && item["visibility"] == "public");
    let types = own.filter(|item| item["inner"]["struct"].is_object() || item["inner"]["enum"].is_object());
    types.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

/// Returns the paths of types and traits of other crates in the signatures of the crate.
fn external_types(documentation: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for item in documentation["index"].as_object().unwrap().values().filter(|item| item["crate_id"] == 0) {
        let implementation = &item["inner"]["impl"];
        if implementation["blanket_impl"].is_object() || implementation["is_synthetic"] == true {
            continue;
        }
        walk(documentation, &item["inner"], &mut found);
    }
    found
}

fn walk(documentation: &Value, part: &Value, found: &mut BTreeSet<String>) {
    match part {
        Value::Object(fields) => {
            if let (Some(id), true, true) = (fields.get("id"), fields.contains_key("path"), fields.contains_key("args"))
            {
                let target = &documentation["paths"][id.to_string()];
                let owner = &documentation["external_crates"][target["crate_id"].to_string()]["name"];
                if target["crate_id"] != 0 && !["core", "std", "alloc"].iter().any(|known| owner == known) {
                    let parts = target["path"].as_array().into_iter().flatten().filter_map(Value::as_str);
                    let path = parts.collect::<Vec<_>>().join("::");
                    found.extend(Some(path).filter(|path| !path.is_empty()));
                }
            }
            fields.values().for_each(|part| walk(documentation, part, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| walk(documentation, part, found)),
        _ => {}
    }
}
