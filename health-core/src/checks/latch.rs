//! A latch that keeps a service not ready until its startup work is done. Green proves that every clone of the latch
//! has been dropped. It does not prove that the work succeeded: the application drops a clone only after success.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;

use crate::{
    check::{Check, CheckResult, handle::CheckHandle, outcome::Outcome},
    model::status::{Kind, Reason},
};

/// Keeps readiness Unhealthy until every clone is dropped, for example while caches are filled, migrations run or a
/// first synchronisation is under way.
///
/// Until the release the check is Unhealthy with `starting`. A released latch stays released. The release is published
/// before the drop of the last clone returns.
///
/// Green proves that every clone of the latch has been dropped. It does not prove that the work succeeded, because a
/// task that panics or returns early drops its clone, too. Keep the latch in a value that lives until the work is done.
///
/// Least privilege: none. The check reads nothing outside of the process.
///
/// ```
/// use health_core::{Health, Latch};
///
/// # async fn fill_the_cache() {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let latch = Latch::new();
/// let health = Health::builder().check("warm_up", latch.check()).start()?;
/// tokio::spawn(async move {
///     fill_the_cache().await;
///     drop(latch);
/// });
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a latch that is dropped at once is released at once"]
pub struct Latch(Arc<Held>);

/// The state that the clones of a latch share.
#[derive(Debug, Default)]
struct Held {
    handles: Mutex<Vec<CheckHandle>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let handles = self.handles.get_mut().unwrap_or_else(PoisonError::into_inner);
        for handle in handles.iter() {
            handle.run_now();
        }
    }
}

impl Latch {
    /// Creates a latch that is not released.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the check of this latch and all its clones. Its kind is [`Kind::Local`].
    pub fn check(&self) -> LatchCheck {
        LatchCheck(Arc::downgrade(&self.0))
    }
}

/// The check of a [`Latch`], created by [`Latch::check`].
#[derive(Debug)]
#[must_use]
pub struct LatchCheck(Weak<Held>);

#[async_trait]
impl Check for LatchCheck {
    async fn check(&self) -> CheckResult {
        let held = self.0.strong_count();
        Ok(match held {
            0 => Outcome::healthy(),
            _ => Outcome::unhealthy(format!("startup work is not done: latch clones still held: {held}"))
                .reason(Reason::Starting),
        })
    }

    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn proves(&self) -> &'static str {
        "Every clone of the latch has been dropped. It does not prove that the work that held them succeeded."
    }

    fn attach(&self, handle: CheckHandle) {
        if let Some(held) = self.0.upgrade() {
            held.handles.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
        }
    }
}
