//! PostgreSQL on the application's own deadpool-postgres pool. Green proves that the server answers a round trip on
//! an authenticated session, as the application would have one; it does not prove that any table can be read or that
//! the server takes writes: `.writable()` asks for the latter.

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

/// Asks for the role of the server and the default of the session. An application that leaves a read-only transaction open
/// on a connection of its pool does not change the answer, nor do functions of its own by these names.
const WRITABLE: &str = "SELECT pg_catalog.pg_is_in_recovery()::pg_catalog.text, \
                        pg_catalog.current_setting('default_transaction_read_only')";

/// Asks PostgreSQL over the application's own pool. Needs the feature `postgres`.
///
/// - Least privilege: the right to connect. No table is touched, nothing is written.
/// - A busy pool is healthy: the check waits in the pool's queue for up to half of its deadline. A connection that comes later is
///   `saturated`, Degraded, and so is a server that answers only on one connection beside the pool, or that has no room for
///   one more connection. A pool that serves nobody is Unhealthy after [`saturated_for`](Self::saturated_for).
/// - A connection that died in the pool, with or without a word, is no outage: the next one is asked, until a new one fails.
/// - All checks of one pool share its queue and the connection beside it.
/// - Observed: `pool_max`, `pool_size`, `pool_available`, `pool_waiting`, and `pool_wait`, in ms, after a wait in the queue.
///
/// The pool may have been built with or without a runtime and timeouts; none of them is used. A pool in FIFO order,
/// deadpool's default, gives its idle connections in turn, also to the check: an application that removes idle ones by
/// `Pool::retain` uses `QueueMode::Lifo`, so that the check keeps one awake and not all.
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
    /// Checks the server behind this pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool_check: PoolCheck::new(Deadpool::new(pool, explain)), question: Question::Alive }
    }

    /// Fails with `rejected` on a standby and in sessions that are read-only by default, too. A read-only transaction that the
    /// application leaves open on a connection does not count.
    pub fn writable(mut self) -> Self {
        self.question = Question::Writable;
        self
    }

    /// Sets the time in which the pool may serve nobody before that is Unhealthy. Default 10 s.
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
                 read or that the server takes writes."
            }
            Question::Writable => {
                "The server answers on an authenticated session and takes writes. It does not prove that any table can \
                 be read."
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
                // The simple protocol leaves no prepared statement behind and passes every kind of proxy.
                let answer = session.simple_query(WRITABLE).await.map_err(explain)?;
                let row = answer.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some((row.get(0), row.get(1))),
                    _ => None,
                });
                Ok(match row {
                    Some((Some("false"), Some("off"))) => Outcome::healthy(),
                    Some((Some("true"), _)) => {
                        Outcome::unhealthy("the server is a standby and takes no writes").reason(Reason::Rejected)
                    }
                    Some((_, Some("on"))) => Outcome::unhealthy("the session is read-only").reason(Reason::Rejected),
                    _ => Outcome::unhealthy("the server did not say whether it takes writes"),
                })
            }
        }
    }
}

/// Returns what a driver's error means.
fn explain(error: Error) -> Failure {
    let reason = reason(&error);
    let is_broken = match error.code() {
        // A transaction that the application left open has failed: the connection takes no statement.
        Some(code) if *code == SqlState::IN_FAILED_SQL_TRANSACTION => true,
        // Connection lost, shut down, terminated, or cancelled.
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

    /// TLS whose handshake fails in this way.
    struct Fails(io::Error);

    impl TlsConnect<DuplexStream> for Fails {
        type Stream = NoTlsStream;
        type Error = io::Error;
        type Future = Ready<io::Result<NoTlsStream>>;

        fn connect(self, _: DuplexStream) -> Self::Future {
            ready(Err(self.0))
        }
    }

    /// The error of connecting to a server that answers the request for TLS with this byte.
    async fn refused(answer: u8, handshake: io::Error) -> Error {
        let (client, mut server) = duplex(64);
        server.write_all(&[answer]).await.unwrap();
        let mut config = Config::new();
        config.user("app").ssl_mode(SslMode::Require);
        config.connect_raw(client, Fails(handshake)).await.err().unwrap()
    }

    #[tokio::test]
    async fn a_refused_handshake_is_no_lost_connection() {
        let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
        for (answer, handshake, expected) in [
            (b'S', invalid("invalid peer certificate: UnknownIssuer"), Reason::Rejected),
            // The driver's own text alone tells of TLS here.
            (b'S', io::Error::new(io::ErrorKind::InvalidInput, "invalid dns name"), Reason::Rejected),
            (b'S', io::Error::from(io::ErrorKind::ConnectionReset), Reason::Unreachable),
            (b'N', invalid("never begun"), Reason::Rejected),
        ] {
            let error = refused(answer, handshake).await;
            assert_eq!(reason(&error), expected, "{error:?}");
        }
    }
}
