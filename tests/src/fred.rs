//! Clients of fred for the Redis of a test.

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

/// Number of failed attempts to connect in a row after which a client gives up. Dropping a client does not end it, so a
/// client that no test uses any more would retry for ever.
const ATTEMPTS: u32 = 100;

/// Returns the builder of a client that reconnects every 200 ms. The client closes a connection that has not answered
/// for `unresponsive`. With `None` it never closes one.
fn builder(port: u16, password: &str, unresponsive: Option<Duration>) -> Builder {
    let mut builder = Builder::from_config(Config {
        password: Some(password.to_owned()),
        // Otherwise a client gives up after its first failed attempt.
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

/// Returns a client that connects after [`connect`].
///
/// # Panics
///
/// Panics outside of a Tokio runtime.
#[must_use]
pub fn client(port: u16, password: &str, unresponsive: Option<Duration>) -> Client {
    builder(port, password, unresponsive).build().expect("a client")
}

/// Returns a pool of this many clients that connect after [`connect`].
///
/// # Panics
///
/// Panics if `size` is 0.
#[must_use]
pub fn pool(port: u16, password: &str, size: usize) -> Pool {
    builder(port, password, Some(secs(1))).build_pool(size).expect("a pool")
}

/// Makes a client, or the clients of a pool, connect.
pub fn connect(client: &impl ClientLike) {
    // The task continues without its handle.
    drop(client.connect());
}
