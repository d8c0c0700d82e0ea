//! A gate that holds readiness until everything that must be done first is done. Green proves that every clone of the
//! latch has been dropped; it does not prove that what held them succeeded: drop a clone only then.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;

use crate::{
    check::{Check, CheckResult, handle::CheckHandle, outcome::Outcome},
    model::status::{Kind, Reason},
};

/// Holds readiness until every clone is dropped: caches being filled, migrations, a first synchronisation.
///
/// A task that panics or returns early drops its clone, too; keep the latch where it lives as long as the work is not
/// done. Once released it stays so. The release is published before the last drop returns; until then the reason is
/// `starting`.
///
/// Least privilege: none; it looks at nothing outside of the process.
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
#[must_use = "a latch that is dropped at once holds nothing"]
pub struct Latch(Arc<Held>);

/// What the clones of a latch hold together.
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
    /// A latch that holds.
    pub fn new() -> Self {
        Self::default()
    }

    /// The check that waits for this latch and all its clones. It is [`Kind::Local`].
    pub fn check(&self) -> LatchCheck {
        LatchCheck(Arc::downgrade(&self.0))
    }
}

/// The check made by [`Latch::check`].
#[derive(Debug)]
#[must_use]
pub struct LatchCheck(Weak<Held>);

#[async_trait]
impl Check for LatchCheck {
    async fn check(&self) -> CheckResult {
        let held = self.0.strong_count();
        Ok(match held {
            0 => Outcome::healthy(),
            _ => Outcome::unhealthy(format!("not everything that must be done first is done: {held} held"))
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
