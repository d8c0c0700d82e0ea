//! Checks any database behind a pool of sqlx. Green proves that the database answers a ping on an authenticated
//! session. It does not prove that any table can be read or that the database accepts writes.

use std::{
    fmt,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sqlx::{Connection as _, Database, Error, Executor, Pool, error::DatabaseError, pool::PoolConnection};
use tokio::{runtime::Handle, sync::Mutex, time::timeout};

use super::{
    failure::Failure,
    limits::check_settings,
    pool::{
        PoolCheck,
        source::{Connected, RoundTrip, Source, Taken},
    },
    sqlstate::sqlstate_reason,
};
use crate::{
    check::{
        Check, CheckResult,
        deadline::time_left,
        error::{InvalidCheck, classify},
        outcome::Outcome,
    },
    model::status::Reason,
};

/// The time for which the check keeps a connection of its own after the last use. The number of idle connections of a
/// pool in use changes constantly, so a connection closed at once would have to be opened repeatedly.
const KEPT: Duration = Duration::from_secs(60);

/// The time limit for the orderly close of a connection beside the pool.
const GOODBYE: Duration = Duration::from_secs(2);

/// Checks PostgreSQL, MySQL, MariaDB or SQLite by a ping over the application's own [`sqlx::Pool`].
///
/// Green proves that the database answers a ping on an authenticated session. It does not prove that any table can be
/// read or that the database accepts writes.
///
/// - Least privilege: the right to connect, and room on the server for one connection more than the pool's maximum. The
///   check touches no table and writes nothing.
/// - The check needs Rust 1.94, like sqlx.
/// - A `DatabaseConnection` of sea-orm 2 gives access to such a pool, for example by `get_postgres_connection_pool()`.
/// - For SQLite the check reads the beginning of the file, so a file that is not a database is `failed`. The check does
///   not notice the removal of the file, which stays readable on open connections. If the pool has not connected yet,
///   the check makes it connect, which creates the file if `create_if_missing` is set.
/// - If the pool has several idle connections, the check takes one of them out of the pool and keeps it, so that its
///   use does not keep the others from their `idle_timeout`. If none is idle and the pool has room, the check opens one
///   connection beside the pool and keeps it for a minute after the last use. It does not use sqlx's `acquire` for
///   this, which retries until its own timeout and does not return the cause.
/// - A dead pooled connection is not an outage: the check takes the next one.
/// - A pool whose connections are all in use is healthy if the check gets one within half of its deadline. A later
///   connection is Degraded with `saturated`. A pool that serves no connection is Unhealthy after
///   [`saturated_for`](Self::saturated_for), and so is a server without room for one more connection.
/// - Observed values: `pool_max`, `pool_size`, `pool_idle`, and, after a wait in the pool's queue, `pool_wait` in ms.
///
/// ```no_run
/// use health_core::{Health, Sqlx};
/// # fn example<DB: sqlx::Database>(pool: sqlx::Pool<DB>) -> Result<(), health_core::BuildError>
/// # where
/// #     for<'c> &'c mut DB::Connection: sqlx::Executor<'c, Database = DB>,
/// # {
///
/// let health = Health::builder().check("database", Sqlx::new(pool.clone())).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Sqlx<DB: Database> {
    pool_check: PoolCheck<SqlxPool<DB>>,
}

impl<DB: Database> Sqlx<DB> {
    /// Creates a check of the database behind this pool.
    pub fn new(pool: Pool<DB>) -> Self {
        Self { pool_check: PoolCheck::new(SqlxPool(pool)) }
    }

    /// Sets the time for which the pool may serve no connection before the check is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.pool_check.saturated_for = duration;
        self
    }
}

#[async_trait]
impl<DB: Database> Check for Sqlx<DB>
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    async fn check(&self) -> CheckResult {
        Ok(self.pool_check.run(&Ping).await)
    }

    fn proves(&self) -> &'static str {
        "The database answers a ping on an authenticated session. It does not prove that any table can be read or that \
         the database accepts writes."
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        Ok(self.pool_check.validate()?)
    }

    check_settings! {
        saturated_for: pool_check.saturated_for = duration;
    }
}

/// Pings the server.
struct Ping;

#[async_trait]
impl<DB: Database> RoundTrip<SqlxPool<DB>> for Ping
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    async fn ask(&self, session: &Session<DB>) -> Result<Outcome, Failure> {
        let mut session = session.0.lock().await;
        let connection = match &mut *session {
            SomeConnection::Pooled(connection) => &mut **connection,
            SomeConnection::Beside(connection) => connection,
            SomeConnection::None => return Err(Failure::new("the connection is gone", Reason::Unreachable, true)),
        };
        connection.ping().await.map_err(explain)?;
        if SqlxPool::<DB>::is_a_file() {
            // A ping only reaches the driver's own thread. This statement reads the beginning of the file. The timeout
            // is needed because SQLite waits for a lock of another program longer than most deadlines.
            let patience = time_left().map_or(Duration::MAX, |left| left.mul_f64(0.95));
            match timeout(patience, Executor::execute(connection, "PRAGMA schema_version")).await {
                Ok(answer) => drop(answer.map_err(explain)?),
                Err(_) => return Err(Failure::new("the file was locked until the deadline", Reason::Saturated, true)),
            }
        }
        Ok(Outcome::healthy())
    }
}

/// A pool of sqlx.
struct SqlxPool<DB: Database>(Pool<DB>);

impl<DB: Database> Clone for SqlxPool<DB> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<DB: Database> SqlxPool<DB> {
    /// Returns whether the database is a file that this process opens, without a server.
    fn is_a_file() -> bool {
        DB::NAME == "SQLite"
    }

    fn is_full(&self) -> bool {
        self.0.size() >= self.0.options().get_max_connections()
    }
}

/// A connection of the pool, or one beside it. A connection allows one request at a time.
struct Session<DB: Database>(Mutex<SomeConnection<DB>>);

enum SomeConnection<DB: Database> {
    Pooled(PoolConnection<DB>),
    Beside(DB::Connection),
    None,
}

impl<DB: Database> Session<DB> {
    fn pooled(connection: PoolConnection<DB>) -> Taken<SqlxPool<DB>> {
        let session = Self(Mutex::new(SomeConnection::Pooled(connection)));
        Taken::Connection(Connected { session, is_new: false })
    }

    fn beside(connection: DB::Connection) -> Self {
        Self(Mutex::new(SomeConnection::Beside(connection)))
    }

    fn take(&mut self) -> SomeConnection<DB> {
        std::mem::replace(self.0.get_mut(), SomeConnection::None)
    }
}

impl<DB: Database> Drop for Session<DB> {
    fn drop(&mut self) {
        // Closes the connection properly, because the server counts a connection that ends without a close as aborted.
        if let SomeConnection::Beside(connection) = self.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(timeout(GOODBYE, connection.close()));
        }
    }
}

impl<DB: Database> Source for SqlxPool<DB> {
    type Session = Session<DB>;
    type Raw = ();
    type Id = ();

    fn address(&self) -> usize {
        std::ptr::from_ref(self.0.options()).addr()
    }

    fn has_server(&self) -> bool {
        !Self::is_a_file()
    }

    fn keeps_beside(&self) -> Duration {
        KEPT
    }

    fn renews_beside_after(&self) -> Duration {
        self.0.options().get_max_lifetime().unwrap_or(Duration::MAX)
    }

    fn numbers(&self) -> Vec<(&'static str, usize, &'static str)> {
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        vec![
            ("pool_max", number(self.0.options().get_max_connections()), "connections"),
            ("pool_size", number(self.0.size()), "connections"),
            ("pool_idle", self.0.num_idle(), "connections"),
        ]
    }

    fn has_connections(&self) -> bool {
        self.0.size() > 0
    }

    fn has_idle(&self) -> bool {
        self.0.num_idle() > 0
    }

    /// Takes the idle connection if there is exactly one. Several are left in the pool, because the pool hands them out
    /// in turn and each use keeps a connection from its `idle_timeout`. The pool is not made to connect to a server,
    /// because its `acquire` retries and does not return the cause of a failure. A file is opened by the pool only,
    /// because a connection beside the pool could lock out the application.
    async fn take(&self) -> Taken<Self> {
        if self.0.is_closed() {
            return Taken::Failed(Failure::new("the pool has been closed", Reason::Failed, true));
        }
        if self.0.num_idle() > 1 {
            return Taken::Beside;
        }
        match self.0.try_acquire() {
            Some(connection) => Session::pooled(connection),
            None if self.is_full() => Taken::Busy,
            None if Self::is_a_file() => self.wait().await,
            None => Taken::Beside,
        }
    }

    async fn wait(&self) -> Taken<Self> {
        match self.0.acquire().await {
            Ok(connection) => Session::pooled(connection),
            Err(Error::PoolTimedOut) => Taken::Busy,
            Err(error) => Taken::Failed(explain(error)),
        }
    }

    async fn connect(&self) -> Result<Connected<Self>, Failure> {
        if Self::is_a_file() {
            return Err(Failure::new("the pool has no free connection", Reason::Saturated, false));
        }
        let connection = DB::Connection::connect_with(&self.0.connect_options()).await.map_err(explain)?;
        Ok(Connected { session: Session::beside(connection), is_new: true })
    }

    fn detach(&self) -> Option<Session<DB>> {
        if self.0.num_idle() < 2 {
            return None;
        }
        self.0.try_acquire().map(|connection| Session::beside(connection.detach()))
    }

    fn raw(_: &Session<DB>) -> &() {
        &()
    }

    fn id(_: &Session<DB>) -> Option<()> {
        None
    }

    fn discard(mut session: Session<DB>) {
        if let SomeConnection::Pooled(connection) = session.take() {
            drop(connection.detach());
        }
    }

    fn clear_idle(&self, _unused_since: Instant) {
        for _ in 0..self.0.num_idle() {
            let Some(connection) = self.0.try_acquire() else { return };
            drop(connection.detach());
        }
    }
}

/// Converts an error of sqlx, with its reason.
fn explain(error: Error) -> Failure {
    let reason = reason(&error);
    let is_broken = match &error {
        Error::Database(error) => reason == Reason::Unreachable && sqlite_number(&**error).is_none(),
        _ => true,
    };
    Failure::new(error, reason, is_broken)
}

/// Returns the public category of an error of sqlx, from its kind or from the error number of the server.
fn reason(error: &Error) -> Reason {
    match error {
        Error::Database(error) => answer_reason(&**error),
        Error::Tls(_) | Error::Configuration(_) => Reason::Rejected,
        Error::PoolTimedOut => Reason::Timeout,
        Error::Io(_) => classify(error).unwrap_or(Reason::Unreachable),
        _ => classify(error).unwrap_or(Reason::Failed),
    }
}

/// Returns the public category of an error that the database answered. sqlx shows an error of MySQL as
/// `1040 (08004): …` and an error of SQLite as `(code: 5) …`. An error of PostgreSQL has no number, so its SQLSTATE is
/// used.
fn answer_reason(error: &dyn DatabaseError) -> Reason {
    let text = error.to_string();
    let code = error.code().unwrap_or_default();
    if let Some(number) = sqlite_number(error) {
        return sqlite_reason(number);
    }
    if let Some(reason) = leading_number(&text).and_then(mysql_reason) {
        return reason;
    }
    sqlstate_reason(&code, error.message())
}

fn sqlite_number(error: &dyn DatabaseError) -> Option<u32> {
    error.to_string().strip_prefix("(code: ").and_then(leading_number)
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Returns the public category of an error number of [MySQL] or [MariaDB]. Returns `None` if the SQLSTATE decides.
///
/// [MySQL]: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
/// [MariaDB]: https://mariadb.com/kb/en/mariadb-error-code-reference/
fn mysql_reason(number: u32) -> Option<Reason> {
    match number {
        // Too many connections of the server or of the user, or an hourly limit of the user.
        1040 | 1203 | 1226 => Some(Reason::Saturated),
        // The server shuts down or is offline, or the connection was killed or was idle for too long.
        1053 | 1077 | 1079 | 1927 | 3032 | 4031 => Some(Reason::Unreachable),
        // The host is blocked or may not connect, the account is locked, its password has expired or is wrong, the
        // database may not be used, the server is read-only, a plugin is missing, or TLS is required.
        1129 | 1130 | 3118 | 4151 | 1820 | 1862 | 1290 | 1251 | 1524 | 3159 | 1044 | 1045 | 1049 | 1698 => {
            Some(Reason::Rejected)
        }
        // The query took too long, or was killed.
        1317 | 1969 | 3024 => Some(Reason::Timeout),
        _ => None,
    }
}

/// Returns the public category of a [result code of SQLite](https://www.sqlite.org/rescode.html). Its lower byte is the
/// primary result code.
fn sqlite_reason(code: u32) -> Reason {
    match code & 0xff {
        // Busy, locked.
        5 | 6 => Reason::Saturated,
        // Permission, read-only, authorization.
        3 | 8 | 23 => Reason::Rejected,
        // Cannot open.
        14 => Reason::Unreachable,
        _ => Reason::Failed,
    }
}

impl<DB: Database> fmt::Debug for Sqlx<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlx").field("database", &DB::NAME).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_failed_tls_handshake_is_rejected_and_a_lost_connection_unreachable() {
        let io = |kind: io::ErrorKind, text: &str| Error::Io(io::Error::new(kind, text.to_owned()));
        for (error, expected) in [
            (io(io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer"), Reason::Rejected),
            (Error::Tls("server does not support TLS".into()), Reason::Rejected),
            (io(io::ErrorKind::ConnectionReset, "reset"), Reason::Unreachable),
            (io(io::ErrorKind::InvalidData, "an unknown text"), Reason::Unreachable),
        ] {
            assert_eq!(reason(&error), expected, "{error}");
        }
    }
}
