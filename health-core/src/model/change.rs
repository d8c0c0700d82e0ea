//! The changes that subscribers receive: changes of a check's status and of the lifecycle.

use std::{sync::Arc, time::SystemTime};

use tokio::sync::broadcast;

use crate::model::status::{Lifecycle, Reason, Status};

/// The number of unread changes that a subscription keeps. A further change drops the oldest.
pub(crate) const BACKLOG: usize = 1024;

/// A change of a check's status or of the lifecycle, from [`Changes::next`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A change of a check's status.
    Check(CheckChange),
    /// A change of the service's lifecycle.
    Lifecycle(LifecycleChange),
}

/// A change of one check's status.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckChange {
    /// The name of the check.
    pub check: Arc<str>,
    /// The previous status; `None` if the check was pending.
    pub from: Option<Status>,
    /// The new status.
    pub to: Status,
    /// The reason of a Degraded or Unhealthy status; `None` for a Healthy one.
    pub reason: Option<Reason>,
    /// The redacted message of the check; `None` if the check has none.
    pub message: Option<Arc<str>>,
    pub(crate) log_message: Option<Arc<str>>,
    /// The names of the checks that caused a status with the reason `dependency`; otherwise empty.
    pub caused_by: Vec<Arc<str>>,
    /// The time of the change.
    pub at: SystemTime,
}

/// A change of the service's lifecycle.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LifecycleChange {
    /// The previous lifecycle.
    pub from: Lifecycle,
    /// The new lifecycle.
    pub to: Lifecycle,
    /// The time of the change.
    pub at: SystemTime,
}

/// A subscription to changes, from [`Health::subscribe`](crate::Health::subscribe). Receives every later change, in
/// order.
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

    /// Waits for the next change. Returns `None` once the checks are stopped or dropped and every change was returned.
    ///
    /// Cancel safe: dropping the future loses no change. A subscription with more than 1024 unread changes loses the
    /// oldest ones; [`missed`](Self::missed) returns their number.
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

    /// Returns the number of changes that this subscription has lost because they were not read in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// The way in which a [`Drain`](crate::Drain) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drained {
    /// The delay has passed and no work is in progress.
    Finished,
    /// The limit was reached while work was still in progress.
    LimitReached {
        /// The number of [`InFlight`](crate::InFlight) values that still exist.
        in_flight: usize,
    },
}
