//! A switch that an operator or the program itself turns. Green proves that nobody has turned it; it does not prove that
//! anything works.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::{
    check::{Check, CheckResult, handle::CheckHandle, outcome::Outcome},
    model::status::{Kind, Reason, Status},
};

/// A switch with a message: maintenance, a feature that was turned off, a decision only the program can take.
///
/// Clones turn the same switch. A turn is published before the call returns. The reason of a switch that is not on Healthy
/// is `maintenance`. Each turn counts as a run: with `failures(3)` the first turn to Unhealthy shows Degraded, as of every
/// check. In a group ([`all_of`](crate::all_of)) a turn shows with the group's next run, which it requests at once.
///
/// Least privilege: none; it looks at nothing outside of the process.
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

/// How it stands.
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
    /// A switch that stands on Healthy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Turns it to Healthy.
    pub fn healthy(&self) {
        self.turn(Status::Healthy, String::new());
    }

    /// Turns it to Degraded. The message is shown at full visibility only, redacted, and logged.
    pub fn degraded(&self, message: impl Into<String>) {
        self.turn(Status::Degraded, message.into());
    }

    /// Turns it to Unhealthy. The message is shown at full visibility only, redacted, and logged.
    pub fn unhealthy(&self, message: impl Into<String>) {
        self.turn(Status::Unhealthy, message.into());
    }

    /// The check that shows how the switch stands. It is [`Kind::Local`].
    pub fn check(&self) -> ToggleCheck {
        ToggleCheck(self.clone())
    }

    fn turn(&self, status: Status, message: String) {
        *self.0.turned.lock().unwrap_or_else(PoisonError::into_inner) = Turned { status, message };
        let handles = self.0.handles.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Without the lock, because a log subscriber may turn the switch, too.
        let removed: Vec<CheckHandle> = handles.into_iter().filter(|handle| !handle.run_now()).collect();
        if !removed.is_empty() {
            let mut handles = self.0.handles.lock().unwrap_or_else(PoisonError::into_inner);
            handles.retain(|handle| !removed.iter().any(|other| other.is(handle)));
        }
    }
}

/// The check made by [`Toggle::check`].
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
        "Nobody has turned the switch. It does not prove that anything works."
    }

    fn attach(&self, handle: CheckHandle) {
        self.0.0.handles.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }
}
