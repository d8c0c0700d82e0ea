//! Pools of bb8 and r2d2 before PostgreSQL, as an application builds them, with patience and lifetimes for tests.

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

/// A manager of bb8.
pub type Bb8PostgresManager = Bb8Manager<bb8_postgres::tokio_postgres::NoTls>;

/// A manager of r2d2.
pub type R2d2PostgresManager = R2d2Manager<BlockingNoTls>;

/// How long a pool here tries by itself.
const PATIENCE: Duration = secs(3);

fn bb8_builder<M: bb8::ManageConnection>(places: usize) -> bb8::Builder<M> {
    // The last to come is the first to go, so that what is not needed any more ends. Nobody else ends a dead connection.
    bb8::Pool::builder()
        .max_size(u32::try_from(places).expect("a small pool"))
        .connection_timeout(PATIENCE)
        .queue_strategy(bb8::QueueStrategy::Lifo)
        .idle_timeout(secs(2))
        .max_lifetime(secs(30))
        .reaper_rate(millis(500))
}

/// A pool of bb8 before PostgreSQL on this port. To be called within a runtime.
#[must_use]
pub fn bb8(port: u16, password: &str, places: usize) -> bb8::Pool<Bb8PostgresManager> {
    let mut config = bb8_postgres::tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user("app").password(password).dbname("postgres");
    bb8_builder(places).build_unchecked(Bb8Manager::new(config, bb8_postgres::tokio_postgres::NoTls))
}

/// A pool of bb8 with connections of diesel-async before PostgreSQL on this port. To be called within a runtime.
#[must_use]
pub fn diesel(port: u16, password: &str, places: usize) -> DieselPool<AsyncPgConnection> {
    let url = format!("postgres://app:{password}@127.0.0.1:{port}/postgres");
    bb8_builder(places).build_unchecked(AsyncDieselConnectionManager::<AsyncPgConnection>::new(url))
}

/// A manager of r2d2 for PostgreSQL on this port.
#[must_use]
pub fn r2d2_manager(port: u16, password: &str) -> R2d2PostgresManager {
    let mut config = BlockingConfig::new();
    config.host("127.0.0.1").port(port).user("app").password(password).dbname("postgres");
    R2d2Manager::new(config, BlockingNoTls)
}

/// A pool of r2d2 before PostgreSQL on this port.
#[must_use]
pub fn r2d2(port: u16, password: &str, places: usize) -> r2d2::Pool<R2d2PostgresManager> {
    r2d2::Pool::builder()
        .max_size(u32::try_from(places).expect("a small pool"))
        .min_idle(Some(0))
        .connection_timeout(PATIENCE)
        .error_handler(Box::new(r2d2::NopErrorHandler))
        .build_unchecked(r2d2_manager(port, password))
}

/// A client that blocks, or a pool of such: it is closed on a thread of its own, as a runtime's may not wait for that.
#[derive(Debug)]
pub struct Blocking<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Blocking<T> {
    /// Takes care of its end.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// The client.
    ///
    /// # Panics
    ///
    /// Never, as it is there until it is dropped.
    #[must_use]
    pub fn get(&self) -> &T {
        self.0.as_ref().expect("a value until it is dropped")
    }
}

impl<T: Send + 'static> Drop for Blocking<T> {
    fn drop(&mut self) {
        let ended = self.0.take();
        drop(thread::spawn(move || drop(ended)));
    }
}
