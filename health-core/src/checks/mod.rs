//! The built-in checks, one file per check. Each file imports the check contract, the model, its driver and the
//! helpers of this module, and nothing else of this crate. The feature, the file, the module and the test of a check
//! share one name.

pub(crate) mod backlog;
#[cfg(feature = "bb8")]
pub(crate) mod bb8;
pub(crate) mod blocking;
#[cfg(feature = "certificate")]
pub(crate) mod certificate;
pub(crate) mod closure;
#[cfg(any(feature = "certificate", feature = "memcached", feature = "tcp"))]
pub(crate) mod connect;
pub(crate) mod cpu;
#[cfg(feature = "disk_space")]
pub(crate) mod disk_space;
pub(crate) mod dns;
#[cfg(any(feature = "bb8", feature = "r2d2"))]
mod driver_error;
#[cfg(feature = "elasticsearch")]
pub(crate) mod elasticsearch;
pub(crate) mod error_rate;
#[cfg(any(
    feature = "bb8",
    feature = "postgres",
    feature = "rabbitmq",
    feature = "rabbitmq_connection",
    feature = "redis",
    feature = "redis_connection",
    feature = "sqlx"
))]
mod failure;
pub(crate) mod file_descriptors;
#[cfg(feature = "fred")]
pub(crate) mod fred;
pub(crate) mod gauge;
#[cfg(feature = "grpc")]
pub(crate) mod grpc;
pub(crate) mod heartbeat;
pub(crate) mod host;
#[cfg(feature = "http")]
pub(crate) mod http;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
#[cfg(feature = "kafka_lag")]
pub(crate) mod kafka_lag;
pub(crate) mod latch;
pub(crate) mod limits;
#[cfg(feature = "memcached")]
pub(crate) mod memcached;
pub(crate) mod memory;
#[cfg(feature = "mongodb")]
pub(crate) mod mongodb;
#[cfg(feature = "mqtt")]
pub(crate) mod mqtt;
#[cfg(feature = "nats")]
pub(crate) mod nats;
pub(crate) mod open_files;
#[cfg(any(feature = "bb8", feature = "postgres", feature = "rabbitmq", feature = "redis", feature = "sqlx"))]
pub(crate) mod pool;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(all(feature = "tokio_postgres", any(feature = "bb8", feature = "postgres", feature = "r2d2")))]
mod postgres_error;
pub(crate) mod quorum;
#[cfg(feature = "r2d2")]
pub(crate) mod r2d2;
#[cfg(feature = "rabbitmq")]
pub(crate) mod rabbitmq;
#[cfg(feature = "rabbitmq_connection")]
pub(crate) mod rabbitmq_connection;
#[cfg(any(feature = "rabbitmq", feature = "rabbitmq_connection"))]
mod rabbitmq_protocol;
#[cfg(feature = "rabbitmq_queue")]
pub(crate) mod rabbitmq_queue;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "redis_connection")]
pub(crate) mod redis_connection;
#[cfg(any(feature = "redis", feature = "redis_connection"))]
mod redis_protocol;
#[cfg(feature = "redis_queue")]
pub(crate) mod redis_queue;
pub(crate) mod resolve;
pub(crate) mod runtime_lag;
#[cfg(any(
    feature = "bb8",
    feature = "mongodb",
    feature = "postgres",
    feature = "r2d2",
    feature = "rabbitmq",
    feature = "redis",
    feature = "sqlx"
))]
pub(crate) mod saturation;
#[cfg(feature = "smtp")]
pub(crate) mod smtp;
pub(crate) mod spool_directory;
#[cfg(any(
    feature = "sqlx",
    all(feature = "tokio_postgres", any(feature = "bb8", feature = "postgres", feature = "r2d2"))
))]
mod sqlstate;
#[cfg(feature = "sqlx")]
pub(crate) mod sqlx;
pub(crate) mod task_alive;
#[cfg(feature = "tcp")]
pub(crate) mod tcp;
pub(crate) mod toggle;
#[cfg(feature = "upstream")]
pub(crate) mod upstream;
pub(crate) mod uptime;

pub use self::{
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
};

#[cfg(feature = "bb8")]
pub use self::bb8::Bb8;
#[cfg(feature = "certificate")]
pub use self::certificate::Certificate;
#[cfg(feature = "disk_space")]
pub use self::disk_space::DiskSpace;
#[cfg(feature = "elasticsearch")]
pub use self::elasticsearch::Elasticsearch;
#[cfg(feature = "fred")]
pub use self::fred::Fred;
#[cfg(feature = "grpc")]
pub use self::grpc::Grpc;
#[cfg(feature = "http")]
pub use self::http::Http;
#[cfg(feature = "kafka")]
pub use self::kafka::Kafka;
#[cfg(feature = "kafka_lag")]
pub use self::kafka_lag::KafkaLag;
#[cfg(feature = "memcached")]
pub use self::memcached::Memcached;
#[cfg(feature = "mongodb")]
pub use self::mongodb::MongoDb;
#[cfg(feature = "mqtt")]
pub use self::mqtt::{Mqtt, MqttObserver};
#[cfg(feature = "nats")]
pub use self::nats::Nats;
#[cfg(feature = "postgres")]
pub use self::postgres::Postgres;
#[cfg(feature = "r2d2")]
pub use self::r2d2::R2d2;
#[cfg(feature = "rabbitmq")]
pub use self::rabbitmq::RabbitMq;
#[cfg(feature = "rabbitmq_connection")]
pub use self::rabbitmq_connection::RabbitMqConnection;
#[cfg(feature = "rabbitmq_queue")]
pub use self::rabbitmq_queue::RabbitMqQueue;
#[cfg(feature = "redis")]
pub use self::redis::Redis;
#[cfg(feature = "redis_connection")]
pub use self::redis_connection::RedisConnection;
#[cfg(feature = "redis_queue")]
pub use self::redis_queue::RedisQueue;
#[cfg(feature = "smtp")]
pub use self::smtp::Smtp;
#[cfg(feature = "sqlx")]
pub use self::sqlx::Sqlx;
#[cfg(feature = "tcp")]
pub use self::tcp::Tcp;
#[cfg(feature = "upstream")]
pub use self::upstream::Upstream;
