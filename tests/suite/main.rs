//! Everything that needs several crates, sockets, servers or the paused clock, in one binary. A check's tests are in
//! the file of the check's name.

#![allow(clippy::unwrap_used, reason = "an expectation that fails is a test that fails")]

mod backlog;
mod build_errors;
mod certificate;
mod cgroup_trees;
mod conformance;
mod connections;
mod cost;
mod cpu;
mod dependencies;
mod disk_space;
mod dns;
mod drain;
mod error_rate;
mod examples;
mod fault_table;
mod faults;
mod file_descriptors;
mod gauge;
mod grpc;
mod health_local;
mod heartbeat;
mod hostile;
mod http;
mod invariants;
mod kafka;
mod kafka_lag;
mod latch;
mod membership;
mod memory;
mod mute;
mod nats;
mod postgres;
mod rabbitmq;
mod rabbitmq_queue;
mod redis;
mod redis_queue;
mod rolling_restart;
mod runtime_lag;
mod scheduler;
mod secrets;
mod settings;
mod spool_directory;
mod sqlx;
mod stale;
mod support;
mod suspect;
mod task_alive;
mod tcp;
mod toggle;
mod upstream;
mod uptime;
