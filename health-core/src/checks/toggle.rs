//! A switch that an operator or the application sets. Green proves that the switch is set to Healthy. It does not prove
//! that anything works.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::{
    check::{Check, CheckResult, handle::CheckHandle, outcome::Outcome},
    model::status::{Kind, Reason, Status},
};

/// A switch with a status and a message, for example for maintenance, for a feature that is turned off, or for a
/// decision that only the application can make.
///
/// Green proves that the switch is set to Healthy. It does not prove that anything works.
///
/// - All clones set the same switch. A change is published before the call returns.
/// - The reason of a switch that is not set to Healthy is `maintenance`.
/// - Each change counts as a run of the check. With `failures(3)` the first change to Unhealthy is published as
///   Degraded, as for every check.
/// - In a group ([`all_of`](crate::all_of)) a change starts a run of the group at once, and is published with the
///   result of that run.
/// - Least privilege: none. The check reads nothing outside of the process.
///
/// ```
/// use health_core::{Health, Toggle};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let maintenance = Toggle::new();
/// let health = Health::builder().check("maintenance", maintenance.check()).start()?;
/// maintenance.unhealthy("moving to the new cluster until noon");
/// // … and when it is over:
/// maintenance.healthy();
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Toggle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    turned: Mutex<Turned>,
    handles: Mutex<Vec<CheckHandle>>,
}

/// The position of the switch.
#[derive(Clone, Debug)]
struct Turned {
    status: Status,
    message: String,
}

impl Default for Turned {
    fn default() -> Self {
        Self { status: Status::Healthy, message: String::new() }
    }
}

impl Toggle {
    /// Creates a switch that is set to Healthy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the switch to Healthy.
    pub fn healthy(&self) {
        self.turn(Status::Healthy, String::new());
    }

    /// Sets the switch to Degraded. The message is logged and shown at full visibility only, in both cases redacted.
    pub fn degraded(&self, message: impl Into<String>) {
        self.turn(Status::Degraded, message.into());
    }

    /// Sets the switch to Unhealthy. The message is logged and shown at full visibility only, in both cases redacted.
    pub fn unhealthy(&self, message: impl Into<String>) {
        self.turn(Status::Unhealthy, message.into());
    }

    /// Returns the check that publishes the status of the switch. Its kind is [`Kind::Local`].
    pub fn check(&self) -> ToggleCheck {
        ToggleCheck(self.clone())
    }

    fn turn(&self, status: Status, message: String) {
        *self.0.turned.lock().unwrap_or_else(PoisonError::into_inner) = Turned { status, message };
        let handles = self.0.handles.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The lock is released before the runs, because a log subscriber may set the switch, too.
        let removed: Vec<CheckHandle> = handles.into_iter().filter(|handle| !handle.run_now()).collect();
        if !removed.is_empty() {
            let mut handles = self.0.handles.lock().unwrap_or_else(PoisonError::into_inner);
            handles.retain(|handle| !removed.iter().any(|other| other.is(handle)));
        }
    }
}

/// The check of a [`Toggle`], created by [`Toggle::check`].
#[derive(Debug)]
#[must_use]
pub struct ToggleCheck(Toggle);

#[async_trait]
impl Check for ToggleCheck {
    async fn check(&self) -> CheckResult {
        let Turned { status, message } = self.0.0.turned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(match status {
            Status::Healthy => Outcome::healthy(),
            Status::Degraded => Outcome::degraded(message).reason(Reason::Maintenance),
            Status::Unhealthy => Outcome::unhealthy(message).reason(Reason::Maintenance),
        })
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn proves(&self) -> &'static str {
        "The switch is set to Healthy. It does not prove that anything works."
    }

    fn attach(&self, handle: CheckHandle) {
        self.0.0.handles.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }
}
