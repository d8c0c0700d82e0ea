//! Serves the endpoint of [`health_core`] without a web framework, on hyper alone, for workers that have no HTTP server
//! of their own. The core decides everything that a caller sees. This crate accepts connections, and translates
//! requests and responses.
//!
//! ```
//! use health_core::{CheckExt as _, Health, Heartbeat};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let heartbeat = Heartbeat::new();
//! let health = Health::builder().check("worker", heartbeat.check().liveness()).start()?;
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let probes = health_hyper::serve(health, listener).spawn();
//! heartbeat.beat(); // after each job
//! probes.end().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`HealthService`] is the endpoint as a tower service, for a router of axum or tonic or for a server of your own.
//!
//! # The server
//!
//! The server speaks HTTP/1 on a TCP port or a Unix socket, without TLS. It limits the resources that a client can use:
//!
//! - The first request must arrive within 10 s of the connection, a further request within 10 s of its first byte. The
//!   client must read a response within 30 s. An idle connection is kept for 75 s.
//! - A request line with its headers may have up to 128 KiB.
//! - At most 256 connections are open ([`Serve::max_connections`]). When a connection takes the last place, the server
//!   closes every other connection that has no request in progress, so that idle clients cannot exclude other clients.
//! - If `accept` fails, for instance because the process has no free file descriptor, the server also closes idle
//!   connections. It logs the error at most once per minute, and tries again within 1 s.
//!
//! While the service drains, each response closes its connection.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

mod connection;
mod limited;
mod listener;
mod server;
mod service;

#[cfg(feature = "dedicated_server")]
use std::{io, net::TcpListener};

#[cfg(feature = "dedicated_server")]
use health_core::DedicatedServer;
use health_core::Endpoint;

pub use health_core;
/// Returns the future for [`Serve::until`].
///
/// ```no_run
/// use std::time::Duration;
/// use health_core::Health;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let leave = health_hyper::shutdown(&health, Duration::from_secs(10))?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// health_hyper::serve(health.clone(), listener).until(leave).await;
/// health.stop().await;
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "signal")]
#[doc(inline)]
pub use health_core::shutdown;

#[cfg(unix)]
pub use crate::listener::bind_unix;
pub use crate::{
    listener::Listener,
    server::{Serve, Server},
    service::{HealthBody, HealthService},
};

/// Prepares a server for the endpoint on a Tokio listener: a TCP port or a Unix socket. [`Serve::until`] or
/// [`Serve::spawn`] runs the server. Every path that the endpoint does not own gets a 404.
///
/// ```
/// use health_core::Health;
/// use tokio::net::TcpListener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let job = async { /* the work of this process */ };
/// health_hyper::serve(health, listener).until(job).await;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Panics if an option of the endpoint was refused: see [`Endpoint::mounted`].
#[track_caller]
pub fn serve(endpoint: impl Into<Endpoint>, listener: impl Into<Listener>) -> Serve {
    Serve::new(HealthService::new(endpoint), listener.into())
}

/// Serves the endpoint on this listener, on a thread and a runtime of its own, so that probes are answered while every
/// worker of the application's runtime is blocked. Dropping the returned value ends the server.
///
/// ```
/// use std::net::TcpListener;
/// use health_core::Health;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let server = health_hyper::serve_dedicated(health, TcpListener::bind("127.0.0.1:0")?)?;
/// println!("probes: http://{}/livez", server.address());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Returns an error if the listener cannot be used or the system cannot start a thread. Returns an error of the kind
/// [`InvalidInput`](io::ErrorKind::InvalidInput), with the text of the mistake, if an option of the endpoint was
/// refused.
#[cfg(feature = "dedicated_server")]
pub fn serve_dedicated(endpoint: impl Into<Endpoint>, listener: TcpListener) -> io::Result<DedicatedServer> {
    let endpoint = endpoint.into().validated().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    DedicatedServer::run(listener, move |listener, end| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            serve(endpoint, tokio::net::TcpListener::from_std(listener)?).until(end).await;
            Ok(())
        })
    })
}
