//! Liveness, readiness and startup probes for Rust services: the core, which is independent of web frameworks.
//!
//! - [`Health`] runs the checks on their own tasks, apart from requests, and publishes a snapshot of their results.
//! - [`Check`] is the trait of a check. [`check_fn`] and [`check_blocking`] make a check from a closure, and the
//!   module [`checks`] has ready-made checks.
//! - [`Endpoint`] answers requests from the published snapshot. `health-actix`, `health-axum` and `health-warp` mount
//!   it, and `health-hyper` serves it without a framework.
//! - [`Report`] is the model that every format is rendered from.
//!
//! The page [`architecture`] describes the modules, the path of a request and of a result, and where the invariants
//! are listed.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `agent_check` | [`AgentCheck`], the agent that HAProxy queries |
//! | `anyhow` | classification of the first error of an `anyhow::Error`, which determines the [`Reason`] |
//! | `bb8` | [`Bb8`] on any pool of bb8 |
//! | `certificate` | [`Certificate`] of a TLS endpoint or a file, with the application's own cryptography provider |
//! | `disk_space` | [`DiskSpace`] of a file system |
//! | `elasticsearch` | [`Elasticsearch`], the health of a cluster of Elasticsearch or OpenSearch, on a reqwest client |
//! | `eyre` | classification of the first error of an `eyre::Report`, which determines the [`Reason`] |
//! | `fred` | [`Fred`] on a client or a pool of fred |
//! | `grpc` | [`Grpc`], a client of `grpc.health.v1` on a tonic channel |
//! | `html` | the [status page](Format) for browsers, and badges; every HTTP adapter enables it by default |
//! | `http` | [`Http`] on a reqwest client |
//! | `kafka` | [`Kafka`] on an rdkafka client |
//! | `kafka_lag` | [`KafkaLag`], the lag of a consumer group |
//! | `memcached` | [`Memcached`], over a connection of its own |
//! | `metrics` | [`Metrics`], the values of the metrics page through the `metrics` facade |
//! | `mongodb` | [`MongoDb`] on a mongodb client |
//! | `mqtt` | [`Mqtt`] on a rumqttc client |
//! | `nats` | [`Nats`] on an async-nats client |
//! | `opentelemetry` | [`OpenTelemetry`], the values of the metrics page through OpenTelemetry's metrics API |
//! | `postgres` | [`Postgres`] on a deadpool-postgres pool |
//! | `r2d2` | [`R2d2`] on any pool of r2d2 |
//! | `rabbitmq` | [`RabbitMq`] on a deadpool-lapin pool |
//! | `rabbitmq_connection` | [`RabbitMqConnection`] on a lapin connection |
//! | `rabbitmq_queue` | [`RabbitMqQueue`], the length of a queue and the number of its consumers |
//! | `redis` | [`Redis`] on a deadpool-redis pool |
//! | `redis_connection` | [`RedisConnection`] on a connection of the redis crate: `ConnectionManager` and others |
//! | `redis_queue` | [`RedisQueue`], the length of a list, stream, sorted set or set |
//! | `serde` | [`Settings`], options of checks from configuration; [`Health::apply`] replaces them without a restart |
//! | `settings_file` | [`Settings::load`] and [`SettingsLoader`]: TOML, YAML and JSON files, environment variables |
//! | `signal` | [`shutdown`], which drains on SIGTERM, SIGINT or Ctrl-C; every HTTP adapter enables it by default |
//! | `smtp` | [`Smtp`] on a lettre transport |
//! | `sqlx` | [`Sqlx`] on any pool of sqlx |
//! | `tcp` | [`Tcp`], a TCP connection |
//! | `testing` | [`testing`]: scripted checks and a frozen [`Health`] |
//! | `tokio_postgres` | classification of tokio-postgres errors by their SQLSTATE in [`Bb8`] and [`R2d2`] |
//! | `upstream` | [`Upstream`], the health document of another service |
//! | `utoipa` | [`Endpoint::openapi`], the paths and schemas of the endpoint as an OpenAPI document |
//! | `webhook` | [`Webhook`], changes as JSON on a reqwest client |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]
// A build without one of these features lacks an item that the table above links to.
#![cfg_attr(
    not(all(
        feature = "agent_check",
        feature = "bb8",
        feature = "certificate",
        feature = "disk_space",
        feature = "elasticsearch",
        feature = "fred",
        feature = "grpc",
        feature = "kafka_lag",
        feature = "memcached",
        feature = "metrics",
        feature = "mongodb",
        feature = "mqtt",
        feature = "nats",
        feature = "opentelemetry",
        feature = "postgres",
        feature = "rabbitmq_connection",
        feature = "r2d2",
        feature = "rabbitmq_queue",
        feature = "redis_connection",
        feature = "redis_queue",
        feature = "serde",
        feature = "settings_file",
        feature = "signal",
        feature = "smtp",
        feature = "sqlx",
        feature = "tcp",
        feature = "testing",
        feature = "upstream",
        feature = "utoipa",
        feature = "webhook"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

mod check;
pub mod checks;
mod config;
mod dedicated_server;
pub mod endpoint;
mod engine;
mod grpc;
mod health;
mod model;
pub mod publish;
mod redact;
mod render;
#[cfg(feature = "settings_file")]
mod settings_file;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

#[doc = include_str!("../ARCHITECTURE.md")]
pub mod architecture {}

/// Re-exports of the drivers of the ready-made checks, and of the other crates whose types are part of this crate's
/// API. An application that uses these re-exports has the versions that this crate expects.
pub mod drivers {
    #[cfg(feature = "nats")]
    pub use async_nats;
    #[cfg(feature = "bb8")]
    pub use bb8;
    #[cfg(feature = "rabbitmq")]
    pub use deadpool_lapin;
    #[cfg(feature = "postgres")]
    pub use deadpool_postgres;
    #[cfg(feature = "redis")]
    pub use deadpool_redis;
    #[cfg(feature = "fred")]
    pub use fred;
    #[cfg(any(feature = "rabbitmq", feature = "rabbitmq_connection"))]
    pub use lapin;
    #[cfg(feature = "smtp")]
    pub use lettre;
    #[cfg(feature = "metrics")]
    pub use metrics;
    #[cfg(feature = "mongodb")]
    pub use mongodb;
    #[cfg(feature = "opentelemetry")]
    pub use opentelemetry;
    #[cfg(feature = "r2d2")]
    pub use r2d2;
    #[cfg(feature = "kafka")]
    pub use rdkafka;
    #[cfg(any(feature = "redis", feature = "redis_connection"))]
    pub use redis;
    #[cfg(feature = "http")]
    pub use reqwest;
    #[cfg(feature = "mqtt")]
    pub use rumqttc;
    #[cfg(feature = "sqlx")]
    pub use sqlx;
    #[cfg(feature = "certificate")]
    pub use tokio_rustls;
    #[cfg(feature = "grpc")]
    pub use tonic;
    #[cfg(feature = "utoipa")]
    pub use utoipa;
}

pub use async_trait::async_trait;
pub use bytes;
pub use serde_json;

#[cfg(feature = "serde")]
pub use crate::check::setting::Setting;
#[cfg(feature = "bb8")]
pub use crate::checks::bb8::Bb8;
#[cfg(feature = "certificate")]
pub use crate::checks::certificate::Certificate;
#[cfg(feature = "disk_space")]
pub use crate::checks::disk_space::DiskSpace;
#[cfg(feature = "elasticsearch")]
pub use crate::checks::elasticsearch::Elasticsearch;
#[cfg(feature = "fred")]
pub use crate::checks::fred::Fred;
#[cfg(feature = "grpc")]
pub use crate::checks::grpc::Grpc;
#[cfg(feature = "http")]
pub use crate::checks::http::Http;
#[cfg(feature = "kafka")]
pub use crate::checks::kafka::Kafka;
#[cfg(feature = "kafka_lag")]
pub use crate::checks::kafka_lag::KafkaLag;
#[cfg(feature = "memcached")]
pub use crate::checks::memcached::Memcached;
#[cfg(feature = "mongodb")]
pub use crate::checks::mongodb::MongoDb;
#[cfg(feature = "mqtt")]
pub use crate::checks::mqtt::{Mqtt, MqttObserver};
#[cfg(feature = "nats")]
pub use crate::checks::nats::Nats;
#[cfg(feature = "postgres")]
pub use crate::checks::postgres::Postgres;
#[cfg(feature = "r2d2")]
pub use crate::checks::r2d2::R2d2;
#[cfg(feature = "rabbitmq")]
pub use crate::checks::rabbitmq::RabbitMq;
#[cfg(feature = "rabbitmq_connection")]
pub use crate::checks::rabbitmq_connection::RabbitMqConnection;
#[cfg(feature = "rabbitmq_queue")]
pub use crate::checks::rabbitmq_queue::RabbitMqQueue;
#[cfg(feature = "redis")]
pub use crate::checks::redis::Redis;
#[cfg(feature = "redis_connection")]
pub use crate::checks::redis_connection::RedisConnection;
#[cfg(feature = "redis_queue")]
pub use crate::checks::redis_queue::RedisQueue;
#[cfg(feature = "smtp")]
pub use crate::checks::smtp::Smtp;
#[cfg(feature = "sqlx")]
pub use crate::checks::sqlx::Sqlx;
#[cfg(feature = "tcp")]
pub use crate::checks::tcp::Tcp;
#[cfg(feature = "upstream")]
pub use crate::checks::upstream::Upstream;
#[cfg(feature = "serde")]
pub use crate::config::applied::{Applied, ChangedOption, RestartOption};
#[cfg(feature = "settings_file")]
pub use crate::config::parse::mistake::SettingsMistake;
#[cfg(feature = "serde")]
pub use crate::config::settings::Settings;
#[cfg(feature = "signal")]
pub use crate::health::shutdown::{Shutdown, shutdown};
#[cfg(feature = "agent_check")]
pub use crate::publish::agent_check::AgentCheck;
#[cfg(feature = "metrics")]
pub use crate::publish::metrics::Metrics;
#[cfg(feature = "opentelemetry")]
pub use crate::publish::opentelemetry::OpenTelemetry;
#[cfg(feature = "webhook")]
pub use crate::publish::webhook::{Webhook, notice::Notice};
#[cfg(feature = "settings_file")]
pub use crate::settings_file::{SettingsError, SettingsLoader};
pub use crate::{
    check::{
        Check, CheckResult,
        deadline::time_left,
        error::{CheckError, InvalidCheck},
        handle::CheckHandle,
        outcome::Outcome,
        registration::{CheckExt, Registration},
    },
    checks::{
        backlog::Backlog,
        blocking::{CheckBlocking, check_blocking, check_blocking_result},
        closure::{CheckFn, check_fn, check_result},
        cpu::Cpu,
        dns::Dns,
        error_rate::{ErrorRate, ErrorRateCheck},
        file_descriptors::FileDescriptors,
        gauge::Gauge,
        heartbeat::{Heartbeat, HeartbeatCheck},
        latch::{Latch, LatchCheck},
        memory::Memory,
        quorum::{Quorum, all_of, any_of, at_least},
        runtime_lag::RuntimeLag,
        spool_directory::SpoolDirectory,
        task_alive::TaskAlive,
        toggle::{Toggle, ToggleCheck},
        uptime::Uptime,
    },
    config::{
        defaults::Defaults,
        error::{BuildError, MuteError, RemoveError, UnknownCheck},
    },
    dedicated_server::{DedicatedServer, DedicatedServerEnd},
    endpoint::{
        Endpoint,
        config::EndpointError,
        format::{Format, Rendered},
        header_cache::HeaderCache,
        message::{Digits, HeaderValue, Headers, Request, Response, ResponseExtras},
    },
    health::{
        Health,
        builder::Builder,
        drain::{Drain, InFlight},
        publisher::{Publisher, Source},
    },
    model::{
        change::{Change, Changes, CheckChange, Drained, LifecycleChange},
        group::GroupReport,
        history::{History, PastResult, Transition, UptimeShare},
        observed::{Limits, Number, Observed},
        report::{CheckReport, Muted, Report, Subject},
        status::{Impact, Kind, Lifecycle, Membership, Probe, Reason, Status, Visibility},
        totals::{Durations, Totals},
    },
    publish::{dogstatsd::Dogstatsd, systemd::Systemd},
};
