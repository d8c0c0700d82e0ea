//! Servers, clients and programs for the tests. Each server starts on a free loopback port in a directory of its own.
//! It is ended by its process id when it is dropped, also when a test fails.

#![warn(missing_docs)]

pub mod any_pool;
pub mod bare_clock;
pub mod browser;
pub mod certificates;
pub mod costs;
pub mod daemon;
pub mod datadog_agent;
pub mod elasticsearch;
pub mod envoy;
pub mod fault_matrix;
pub mod fault_rows;
pub mod fred;
#[cfg(doctest)]
mod guide;
pub mod haproxy;
pub mod host_tree;
pub mod http;
pub mod hung_mount;
pub mod json_schema;
pub mod kafka;
pub mod kafka_gate;
pub mod mariadb;
pub mod memcached;
pub mod metrics_page;
pub mod module_graph;
pub mod mongodb;
pub mod mosquitto;
pub mod mount;
pub mod nagios;
pub mod name_server;
pub mod nats;
pub mod nginx;
pub mod port;
pub mod postgres;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;
pub mod sample_service;
pub mod secret;
pub mod secret_dialects;
pub mod service;
pub mod smtp;
pub mod support;
pub mod tools;
pub mod traefik;
pub mod wait;
pub mod wire_contract;
