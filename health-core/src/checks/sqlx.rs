//! Any database behind a pool of sqlx. Green proves that the server answers a ping on an authenticated session; it does
//! not prove that any table can be read or that the server takes writes.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{Connection as _, Database, Error, Pool, pool::PoolConnection};
use tokio::time::{Instant, sleep};

use crate::{
    check::{
        Check, CheckResult,
        error::{CheckError, InvalidCheck, classify},
        outcome::Outcome,
    },
    model::status::{Reason, Status},
};

/// A pool is exhausted if it had no connection to give over these pauses: a busy one has within a few milliseconds.
const PATIENCE: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(60),
];

/// How long a pool may go without a free connection before that is Unhealthy.
const SATURATED_FOR: Duration = Duration::from_secs(10);

/// Pings PostgreSQL, MySQL, MariaDB or SQLite over the application's own [`sqlx::Pool`]. Needs the feature `sqlx`.
///
/// - Least privilege: the right to connect. No table is touched, nothing is written.
/// - Needs Rust 1.94, as sqlx does.
/// - An idle connection is asked, and if it died in the pool it is discarded and the next one asked. Where none is idle,
///   one connection beside the pool is asked, and kept only while that lasts: sqlx' own `acquire` tries again and again
///   and cannot tell why it failed.
/// - A pool whose every connection is in use is `saturated`, Degraded while the server answers, and Unhealthy after
///   [`saturated_for`](Self::saturated_for).
/// - Observed: `pool_max`, `pool_size`, `pool_idle`.
///
/// ```no_run
/// use health_core::{Health, Sqlx};
/// # fn example<DB: sqlx::Database>(pool: sqlx::Pool<DB>) -> Result<(), health_core::BuildError> {
///
/// let health = Health::builder().check("database", Sqlx::new(pool.clone())).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Sqlx<DB: Database> {
    pool: Pool<DB>,
    saturated_for: Duration,
    state: Mutex<State<DB>>,
}

struct State<DB: Database> {
    saturated_since: Option<Instant>,
    /// The connection beside the pool, kept while none is idle.
    beside: Option<DB::Connection>,
}

impl<DB: Database> Sqlx<DB> {
    /// Checks the server behind this pool.
    pub fn new(pool: Pool<DB>) -> Self {
        let state = Mutex::new(State { saturated_since: None, beside: None });
        Self { pool, saturated_for: SATURATED_FOR, state }
    }

    /// How long the pool may go without a free connection before that is Unhealthy. Default 10 s.
    pub fn saturated_for(mut self, duration: Duration) -> Self {
        self.saturated_for = duration;
        self
    }

    /// Asks idle connections until one answers; without one, asks beside the pool.
    async fn ask(&self) -> Result<Outcome, Error> {
        if self.pool.is_closed() {
            return Ok(Outcome::unhealthy("the pool has been closed"));
        }
        for pause in PATIENCE {
            sleep(pause).await;
            while let Some(connection) = self.pool.try_acquire() {
                let mut lease = Lease(Some(connection));
                let Some(connection) = lease.0.as_mut() else { continue };
                // One that died in the pool is no outage: discarded here, and the next one taken.
                if connection.ping().await.is_ok() {
                    lease.give_back();
                    self.no_longer_saturated();
                    return Ok(Outcome::healthy());
                }
            }
            if self.pool.size() < self.pool.options().get_max_connections() {
                // There is room, so none will come back that was not idle before.
                break;
            }
        }
        let since = self.saturated_since();
        self.ask_beside().await?;
        Ok(match since {
            Some(since) => self.outcome_when_saturated(since.elapsed()),
            None => Outcome::healthy(),
        })
    }

    async fn ask_beside(&self) -> Result<(), Error> {
        let kept = self.state().beside.take();
        if let Some(mut connection) = kept
            && connection.ping().await.is_ok()
        {
            self.state().beside = Some(connection);
            return Ok(());
        }
        let mut connection = DB::Connection::connect_with(&self.pool.connect_options()).await?;
        connection.ping().await?;
        self.state().beside = Some(connection);
        Ok(())
    }

    /// Since when every connection that the pool may have is in use, if that is so.
    fn saturated_since(&self) -> Option<Instant> {
        let full = self.pool.size() >= self.pool.options().get_max_connections();
        let mut state = self.state();
        if full {
            Some(*state.saturated_since.get_or_insert_with(Instant::now))
        } else {
            state.saturated_since = None;
            None
        }
    }

    fn outcome_when_saturated(&self, lasted: Duration) -> Outcome {
        let message =
            format!("the server answers, but the pool has had no free connection for {:.1} s", lasted.as_secs_f64());
        let status = if lasted >= self.saturated_for { Status::Unhealthy } else { Status::Degraded };
        Outcome::healthy().worsened(status, Reason::Saturated, message)
    }

    fn no_longer_saturated(&self) {
        *self.state() = State { saturated_since: None, beside: None };
    }

    fn state(&self) -> MutexGuard<'_, State<DB>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pooled connection in use by a run. Dropped in mid-question it is discarded: back in the pool, the next user would
/// wait for an answer that is not its own.
struct Lease<DB: Database>(Option<PoolConnection<DB>>);

impl<DB: Database> Lease<DB> {
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl<DB: Database> Drop for Lease<DB> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

#[async_trait]
impl<DB: Database> Check for Sqlx<DB> {
    async fn check(&self) -> CheckResult {
        let outcome = match self.ask().await {
            Ok(outcome) => outcome,
            Err(error) => {
                let reason = reason(&error);
                CheckError::from(error).reason(reason).into()
            }
        };
        Ok(outcome
            .observe("pool_max", self.pool.options().get_max_connections(), "connections")
            .observe("pool_size", self.pool.size(), "connections")
            .observe("pool_idle", self.pool.num_idle(), "connections"))
    }

    fn validate(&self) -> Result<(), InvalidCheck> {
        if self.saturated_for.is_zero() {
            return Err(("saturated_for(0 s) makes every busy moment an outage: use the time that is tolerable"
                .to_owned())
            .into());
        }
        Ok(())
    }
}

/// Words of MySQL and MariaDB for having no connection left.
const FULL: [&str; 2] = ["Too many connections", "max_user_connections"];

/// The public category of an error of sqlx: by its kind, or by the SQLSTATE that the server gave.
fn reason(error: &Error) -> Reason {
    match error {
        // MySQL says the first before it has a code to say, and the second with that of a permission.
        Error::Database(database) if FULL.iter().any(|words| database.message().contains(words)) => Reason::Saturated,
        Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            match code.get(..2) {
                Some("53") => Reason::Saturated,
                Some("57" | "08") => Reason::Unreachable,
                Some("28" | "3D" | "42" | "25") => Reason::Rejected,
                _ => Reason::Failed,
            }
        }
        Error::Tls(_) | Error::Configuration(_) => Reason::Rejected,
        Error::PoolTimedOut => Reason::Timeout,
        Error::Io(_) => classify(error).unwrap_or(Reason::Unreachable),
        _ => classify(error).unwrap_or(Reason::Failed),
    }
}

impl<DB: Database> fmt::Debug for Sqlx<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlx").field("database", &DB::NAME).finish_non_exhaustive()
    }
}
