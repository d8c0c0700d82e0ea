//! The ready-made checks, each in the file of its name.

mod bb8;
mod certificate;
mod disk_space;
mod dns;
mod elasticsearch;
mod fred;
mod grpc;
mod http;
mod kafka;
mod kafka_lag;
mod mongodb;
mod nats;
mod postgres;
mod r2d2;
mod rabbitmq;
mod rabbitmq_connection;
mod rabbitmq_queue;
mod recipes;
mod redis;
mod redis_connection;
mod redis_queue;
mod runtime_lag;
mod sqlx;
mod tcp;
mod upstream;
