//! What subscribers hear: every change of a check's status and of the lifecycle.

use std::{sync::Arc, time::SystemTime};

use tokio::sync::broadcast;

use crate::model::status::{Lifecycle, Reason, Status};

/// Changes that a slow subscriber can fall behind before it misses some.
pub(crate) const BACKLOG: usize = 1024;

/// Something changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A check's status.
    Check(CheckChange),
    /// The service's phase of life.
    Lifecycle(LifecycleChange),
}

/// A check's status changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckChange {
    /// The check.
    pub check: Arc<str>,
    /// The status before; `None` when this is the first verdict.
    pub from: Option<Status>,
    /// The status now.
    pub to: Status,
    /// The public category of a bad status.
    pub reason: Option<Reason>,
    /// The redacted text of a bad outcome.
    pub message: Option<Arc<str>>,
    pub(crate) log_message: Option<Arc<str>>,
    /// The checks at the root of a `dependency` verdict.
    pub caused_by: Vec<Arc<str>>,
    /// When.
    pub at: SystemTime,
}

/// The service moved on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LifecycleChange {
    /// The phase before.
    pub from: Lifecycle,
    /// The phase now.
    pub to: Lifecycle,
    /// When.
    pub at: SystemTime,
}

/// A subscription, from [`Health::subscribe`](crate::Health::subscribe): every change from then on, in order.
#[derive(Debug)]
pub struct Changes {
    receiver: broadcast::Receiver<Change>,
    missed: u64,
    stopped: bool,
}

impl Changes {
    pub(crate) fn new(receiver: broadcast::Receiver<Change>, stopped: bool) -> Self {
        Self { receiver, missed: 0, stopped }
    }

    /// Waits for the next change; `None` once the checks are stopped or gone and every change has been handed out.
    ///
    /// Can be cancelled without losing a change. A subscriber that falls more than 1024 changes behind loses the
    /// oldest; [`missed`](Self::missed) says how many.
    pub async fn next(&mut self) -> Option<Change> {
        while !self.stopped {
            match self.receiver.recv().await {
                Ok(change) => {
                    self.stopped = matches!(&change, Change::Lifecycle(change) if change.to == Lifecycle::Stopped);
                    return Some(change);
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => self.missed += missed,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
        None
    }

    /// How many changes this subscription has lost so far because it was read too slowly.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// Why a drain is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drained {
    /// The delay has passed and no work is in progress.
    Finished,
    /// The limit was reached first.
    LimitReached {
        /// So many pieces of work were still in progress.
        in_flight: usize,
    },
}
