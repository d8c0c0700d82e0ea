//! Pools of bb8 and r2d2 connected to PostgreSQL, built as an application builds them, with timeouts and lifetimes that
//! suit tests.

use std::{thread, time::Duration};

use bb8_postgres::PostgresConnectionManager as Bb8Manager;
use diesel_async::{
    AsyncPgConnection,
    pooled_connection::{AsyncDieselConnectionManager, bb8::Pool as DieselPool},
};
use r2d2_postgres::{
    PostgresConnectionManager as R2d2Manager,
    postgres::{Config as BlockingConfig, NoTls as BlockingNoTls},
};

use crate::support::{millis, secs};

/// Connection manager of a bb8 pool.
pub type Bb8PostgresManager = Bb8Manager<bb8_postgres::tokio_postgres::NoTls>;

/// Connection manager of an r2d2 pool.
pub type R2d2PostgresManager = R2d2Manager<BlockingNoTls>;

/// How long a pool waits for a connection before it returns an error.
const PATIENCE: Duration = secs(3);

fn bb8_builder<M: bb8::ManageConnection>(places: usize) -> bb8::Builder<M> {
    // LIFO order leaves surplus connections idle, so the idle timeout closes them. Only the pool itself closes a dead
    // idle connection.
    bb8::Pool::builder()
        .max_size(u32::try_from(places).expect("a small pool"))
        .connection_timeout(PATIENCE)
        .queue_strategy(bb8::QueueStrategy::Lifo)
        .idle_timeout(secs(2))
        .max_lifetime(secs(30))
        .reaper_rate(millis(500))
}

/// Returns a bb8 pool for PostgreSQL on this port. Must be called within a Tokio runtime.
#[must_use]
pub fn bb8(port: u16, password: &str, places: usize) -> bb8::Pool<Bb8PostgresManager> {
    let mut config = bb8_postgres::tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user("app").password(password).dbname("postgres");
    bb8_builder(places).build_unchecked(Bb8Manager::new(config, bb8_postgres::tokio_postgres::NoTls))
}

/// Returns a bb8 pool of diesel-async connections for PostgreSQL on this port. Must be called within a Tokio runtime.
#[must_use]
pub fn diesel(port: u16, password: &str, places: usize) -> DieselPool<AsyncPgConnection> {
    let url = format!("postgres://app:{password}@127.0.0.1:{port}/postgres");
    bb8_builder(places).build_unchecked(AsyncDieselConnectionManager::<AsyncPgConnection>::new(url))
}

/// Returns an r2d2 connection manager for PostgreSQL on this port.
#[must_use]
pub fn r2d2_manager(port: u16, password: &str) -> R2d2PostgresManager {
    let mut config = BlockingConfig::new();
    config.host("127.0.0.1").port(port).user("app").password(password).dbname("postgres");
    R2d2Manager::new(config, BlockingNoTls)
}

/// Returns an r2d2 pool for PostgreSQL on this port.
#[must_use]
pub fn r2d2(port: u16, password: &str, places: usize) -> r2d2::Pool<R2d2PostgresManager> {
    r2d2::Pool::builder()
        .max_size(u32::try_from(places).expect("a small pool"))
        .min_idle(Some(0))
        .connection_timeout(PATIENCE)
        .error_handler(Box::new(r2d2::NopErrorHandler))
        .build_unchecked(r2d2_manager(port, password))
}

/// Wraps a blocking client, or a pool of blocking clients. Dropping it closes the client on a thread of its own,
/// because a runtime's worker must not block.
#[derive(Debug)]
pub struct Blocking<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Blocking<T> {
    /// Wraps a blocking client.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// Returns the client.
    ///
    /// # Panics
    ///
    /// Never panics: the client is present until the wrapper is dropped.
    #[must_use]
    pub fn get(&self) -> &T {
        self.0.as_ref().expect("the client is present until the wrapper is dropped")
    }
}

impl<T: Send + 'static> Drop for Blocking<T> {
    fn drop(&mut self) {
        let ended = self.0.take();
        drop(thread::spawn(move || drop(ended)));
    }
}
