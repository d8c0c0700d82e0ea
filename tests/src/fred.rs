//! Clients of fred before a test's Redis.

use std::time::Duration;

use fred::{
    clients::{Client, Pool},
    interfaces::ClientLike,
    types::{
        Builder,
        config::{Config, ReconnectPolicy, ServerConfig},
    },
};

use crate::support::{millis, secs};

/// After so many attempts in a row a client gives up, so that one that no test uses any more does not go on for good:
/// it cannot be ended by dropping it.
const ATTEMPTS: u32 = 100;

/// How a client that tries again every fifth of a second is made. It gives a connection up that has not answered for so
/// long; without a time it never does.
fn builder(port: u16, password: &str, unresponsive: Option<Duration>) -> Builder {
    let mut builder = Builder::from_config(Config {
        password: Some(password.to_owned()),
        // Else the first attempt were the last.
        fail_fast: false,
        server: ServerConfig::new_centralized("127.0.0.1", port),
        ..Config::default()
    });
    builder.set_policy(ReconnectPolicy::new_constant(ATTEMPTS, 200));
    builder.with_connection_config(|config| {
        config.connection_timeout = secs(1);
        config.internal_command_timeout = secs(1);
        config.unresponsive.max_timeout = unresponsive;
        config.unresponsive.interval = millis(200);
    });
    builder
}

/// A client that connects when it can.
///
/// # Panics
///
/// There is no runtime.
#[must_use]
pub fn client(port: u16, password: &str, unresponsive: Option<Duration>) -> Client {
    builder(port, password, unresponsive).build().expect("a client")
}

/// A pool of so many clients that connect when they can.
///
/// # Panics
///
/// It has no place.
#[must_use]
pub fn pool(port: u16, password: &str, size: usize) -> Pool {
    builder(port, password, Some(secs(1))).build_pool(size).expect("a pool")
}

/// Has a client, or the clients of a pool, connect.
pub fn connect(client: &impl ClientLike) {
    // The task goes on without its handle.
    drop(client.connect());
}
