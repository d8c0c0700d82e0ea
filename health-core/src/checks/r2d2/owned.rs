//! The pool and the manager of a check, with their blocking operations.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use r2d2::{ManageConnection, Pool};

use crate::{
    checks::driver_error::{ReasonOf, explain},
    model::status::Reason,
};

/// The pool, the manager and the application's function for the reasons of errors. It is dropped on a thread of its
/// own: the last owner of a pool closes its connections, and blocking clients must not be closed on a thread of a
/// runtime.
pub(super) struct Owned<M: ManageConnection> {
    pool: Option<Pool<M>>,
    manager: Option<Arc<M>>,
    reason_of: ReasonOf<M::Error>,
}

/// The result of a run that got a connection.
pub(super) struct Asked {
    /// The wait for the connection, if none was idle.
    pub(super) waited: Option<Duration>,
}

/// The result of a run that got no connection in time.
pub(super) struct NotServed {
    /// The text of the last failed attempt to connect. The pool reports each failure once.
    pub(super) text: Option<String>,
}

/// The start of the text of r2d2's only error. The driver's text follows.
const LATE: &str = "timed out waiting for connection: ";

impl<M: ManageConnection> Owned<M> {
    pub(super) fn new(pool: Pool<M>) -> Self {
        Self { pool: Some(pool), manager: None, reason_of: Arc::new(|_| None) }
    }

    pub(super) fn set_manager(&mut self, manager: M) {
        self.manager = Some(Arc::new(manager));
    }

    pub(super) fn set_reasons(&mut self, reason_of: ReasonOf<M::Error>) {
        self.reason_of = reason_of;
    }

    pub(super) fn has_manager(&self) -> bool {
        self.manager.is_some()
    }

    /// Returns whether the pool tests a connection before it gives it.
    pub(super) fn is_tested(&self) -> bool {
        self.pool.as_ref().is_some_and(Pool::test_on_check_out)
    }

    pub(super) fn has_connections(&self) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.state().connections > 0)
    }

    pub(super) fn has_idle(&self) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.state().idle_connections > 0)
    }

    /// Returns whether every connection that the pool may have is open and in use.
    pub(super) fn is_full(&self) -> bool {
        self.pool.as_ref().is_some_and(|pool| {
            let state = pool.state();
            state.connections >= pool.max_size() && state.idle_connections == 0
        })
    }

    /// Returns the observed values of the pool.
    pub(super) fn numbers(&self) -> Vec<(&'static str, u32)> {
        let Some(pool) = &self.pool else { return Vec::new() };
        let state = pool.state();
        vec![("pool_max", pool.max_size()), ("pool_size", state.connections), ("pool_idle", state.idle_connections)]
    }

    /// Takes a connection from the pool, which tests it, and gives it back. Blocks.
    pub(super) fn ask_pool(&self, patience: Duration) -> Result<Asked, NotServed> {
        let Some(pool) = &self.pool else { return Err(NotServed { text: None }) };
        let has_idle = pool.state().idle_connections > 0;
        let began = Instant::now();
        match pool.get_timeout(patience) {
            Ok(connection) => {
                let waited = began.elapsed();
                drop(connection);
                Ok(Asked { waited: (!has_idle).then_some(waited) })
            }
            Err(error) => Err(NotServed { text: error.to_string().strip_prefix(LATE).map(str::to_owned) }),
        }
    }

    /// Opens a connection beside the pool, tests it and closes it. Blocks.
    pub(super) fn ask_beside(&self) -> Result<(), (Reason, String)> {
        let Some(manager) = &self.manager else {
            return Err((Reason::Failed, "the check has no manager".to_owned()));
        };
        let asked = manager.connect().and_then(|mut connection| manager.is_valid(&mut connection));
        asked.map_err(|error| explain(&error, &self.reason_of))
    }
}

impl<M: ManageConnection> Clone for Owned<M> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), manager: self.manager.clone(), reason_of: Arc::clone(&self.reason_of) }
    }
}

impl<M: ManageConnection> Drop for Owned<M> {
    fn drop(&mut self) {
        let ended = (self.pool.take(), self.manager.take());
        // If no thread can be started, the pool is dropped here.
        drop(thread::Builder::new().name("health-r2d2".to_owned()).spawn(move || drop(ended)));
    }
}
