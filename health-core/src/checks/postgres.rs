//! Checks PostgreSQL over the application's own deadpool-postgres pool. Green proves that the server answers a round
//! trip on an authenticated session, opened like the sessions of the application. It does not prove that any table can
//! be read or that the server accepts writes: `.writable()` checks the latter.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use deadpool_postgres::{
    Manager, Pool,
    tokio_postgres::{Error, SimpleQueryMessage, error::SqlState},
};

use super::{
    failure::Failure,
    limits::check_settings,
    pool::{
        PoolCheck,
        deadpool::{Deadpool, Session},
        source::RoundTrip,
    },
    postgres_error::reason,
};
use crate::{
    check::{Check, CheckResult, error::InvalidCheck, outcome::Outcome},
    model::status::Reason,
};

/// Selects the role of the server and the session's default for new transactions. A read-only transaction that the
/// application left open on a pooled connection does not change the answer. Neither do functions of the application
/// with the same names, because the names are qualified.
const WRITABLE: &str = "SELECT pg_catalog.pg_is_in_recovery()::pg_catalog.text, \
                        pg_catalog.current_setting('default_transaction_read_only')";

/// Checks PostgreSQL by a round trip over the application's own pool.
///
/// Green proves that the server answers on an authenticated session, opened like the sessions of the application. It
/// does not prove that any table can be read or, unless [`writable`](Self::writable) is set, that the server accepts
/// writes.
///
/// - Least privilege: the right to connect. The check touches no table and writes nothing.
/// - A busy pool is healthy if the check gets a connection from the pool's queue within half of its deadline. The check
///   is Degraded with `saturated` if the connection comes later, if the server answers only on a connection beside the
///   pool, or if the server has no room for one more connection. A pool that serves no connection is Unhealthy after
///   [`saturated_for`](Self::saturated_for).
/// - A dead pooled connection is not an outage, whether it was closed or only fell silent. The check takes the next
///   connection, until a new one fails.
/// - All checks of one pool share its queue and the connection beside it.
/// - Observed values: `pool_max`, `pool_size`, `pool_available`, `pool_waiting`, and, after a wait in the queue,
///   `pool_wait` in ms.
///
/// The pool may have been built with or without a runtime and timeouts, because the check uses neither. A pool in FIFO
/// order, which is deadpool's default, hands out its idle connections in turn, also to the check. An application that
/// removes idle connections by `Pool::retain` should use `QueueMode::Lifo`, so that the check keeps one connection in
/// use and not all of them.
///
/// ```no_run
/// use health_core::{Health, Postgres};
/// # fn pool() -> deadpool_postgres::Pool { unimplemented!() }
///
/// # fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().check("database", Postgres::new(pool()).writable()).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Postgres {
    pool_check: PoolCheck<Deadpool<Manager>>,
    question: Question,
}

#[derive(Clone, Copy, Debug)]
enum Question {
    /// One protocol round trip: no statement is parsed or planned.
    Alive,
    Writable,
}

impl Postgres {
    /// Creates a check of the server behind this pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool_check: PoolCheck::new(Deadpool::new(pool, explain)), question: Question::Alive }
    }

    /// Requires a server that accepts writes. The check is `rejected` on a standby, and if sessions are read-only by
    /// default. A read-only transaction that the application left open on a connection has no effect. Off by default.
    pub fn writable(mut self) -> Self {
        self.question = Question::Writable;
        self
    }

    /// Sets the time for which the pool may serve no connection before the check is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }
}

#[async_trait]
impl Check for Postgres {
    async fn check(&self) -> CheckResult {
        Ok(self.pool_check.run(&self.question).await)
    }

    fn proves(&self) -> &'static str {
        match self.question {
            Question::Alive => {
                "The server answers a round trip on an authenticated session. It does not prove that any table can be \
                 read or that the server accepts writes."
            }
            Question::Writable => {
                "The server answers on an authenticated session and accepts writes. It does not prove that any table \
                 can be read."
            }
        }
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(self.pool_check.validate()?)
    }

    check_settings! {
        saturated_for: pool_check.saturated_for = duration;
    }
}

#[async_trait]
impl RoundTrip<Deadpool<Manager>> for Question {
    async fn ask(&self, session: &Session<Manager>) -> Result<Outcome, Failure> {
        match self {
            Self::Alive => {
                session.check_connection().await.map_err(explain)?;
                Ok(Outcome::healthy())
            }
            Self::Writable => {
                // The simple protocol leaves no prepared statement behind and works through every kind of proxy.
                let answer = session.simple_query(WRITABLE).await.map_err(explain)?;
                let row = answer.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some((row.get(0), row.get(1))),
                    _ => None,
                });
                Ok(match row {
                    Some((Some("false"), Some("off"))) => Outcome::healthy(),
                    Some((Some("true"), _)) => {
                        Outcome::unhealthy("the server is a standby and accepts no writes").reason(Reason::Rejected)
                    }
                    Some((_, Some("on"))) => Outcome::unhealthy("the session is read-only").reason(Reason::Rejected),
                    _ => Outcome::unhealthy("the server did not report whether it accepts writes"),
                })
            }
        }
    }
}

/// Converts an error of the driver, with its reason.
fn explain(error: Error) -> Failure {
    let reason = reason(&error);
    let is_broken = match error.code() {
        // A transaction that the application left open has failed, and the connection accepts no statement.
        Some(code) if *code == SqlState::IN_FAILED_SQL_TRANSACTION => true,
        // The connection was lost, shut down, terminated or cancelled.
        Some(code) => reason == Reason::Unreachable || code.code().starts_with("08") || code.code().starts_with("57"),
        None => true,
    };
    Failure::new(error, reason, is_broken)
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("question", &self.question).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, ready},
        io,
    };

    use deadpool_postgres::tokio_postgres::{
        Config,
        config::SslMode,
        tls::{NoTlsStream, TlsConnect},
    };
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// TLS whose handshake fails with this error.
    struct Fails(io::Error);

    impl TlsConnect<DuplexStream> for Fails {
        type Stream = NoTlsStream;
        type Error = io::Error;
        type Future = Ready<io::Result<NoTlsStream>>;

        fn connect(self, _: DuplexStream) -> Self::Future {
            ready(Err(self.0))
        }
    }

    /// Returns the error of connecting to a server that answers the request for TLS with this byte.
    async fn refused(answer: u8, handshake: io::Error) -> Error {
        let (client, mut server) = duplex(64);
        server.write_all(&[answer]).await.unwrap();
        let mut config = Config::new();
        config.user("app").ssl_mode(SslMode::Require);
        config.connect_raw(client, Fails(handshake)).await.err().unwrap()
    }

    #[tokio::test]
    async fn a_failed_tls_handshake_is_rejected_and_a_lost_connection_unreachable() {
        let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
        for (answer, handshake, expected) in [
            (b'S', invalid("invalid peer certificate: UnknownIssuer"), Reason::Rejected),
            // Only the text of the driver's own error mentions TLS here.
            (b'S', io::Error::new(io::ErrorKind::InvalidInput, "invalid dns name"), Reason::Rejected),
            (b'S', io::Error::from(io::ErrorKind::ConnectionReset), Reason::Unreachable),
            (b'N', invalid("the handshake never starts"), Reason::Rejected),
        ] {
            let error = refused(answer, handshake).await;
            assert_eq!(reason(&error), expected, "{error:?}");
        }
    }
}
