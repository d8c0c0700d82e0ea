//! The application's pool in front of a server, and the faults of pool and server.

use std::{pin::Pin, sync::Arc};

use health_core::Registration;
use tokio::task::{JoinHandle, block_in_place};

use super::{PLACES, ServerUnderTest};
use crate::{daemon::Rule, proxy::NetworkFault, support::millis};

/// An application's pool of [`PLACES`] connections, and checks that watch it.
#[expect(missing_debug_implementations, reason = "functions have none")]
pub struct Pooled {
    /// Creates a check of the pool.
    pub check: Box<dyn Fn() -> Registration + Send + Sync>,
    /// Takes a connection. Dropping it gives it back to the pool.
    pub take: Arc<dyn Fn() -> Taking + Send + Sync>,
}

/// A connection that is being taken.
pub type Taking = Pin<Box<dyn Future<Output = Box<dyn Send>> + Send>>;

impl Pooled {
    pub(super) fn of<P: Clone + Send + Sync + 'static>(
        pool: P,
        check: fn(P) -> Registration,
        take: fn(P) -> Taking,
    ) -> Self {
        let watched = pool.clone();
        Self { check: Box::new(move || check(watched.clone())), take: Arc::new(move || take(pool.clone())) }
    }

    /// Takes every connection of the pool.
    pub async fn take_all(&self) -> Vec<Box<dyn Send>> {
        let mut held = Vec::new();
        for _ in 0..PLACES {
            held.push((self.take)().await);
        }
        held
    }

    /// Starts a fault of [`POOL_FAULTS`](crate::fault_rows::POOL_FAULTS).
    pub async fn begin(&self, fault: &'static str, subject: &ServerUnderTest) -> Begun {
        let (mut held, mut tasks) = (Vec::new(), Vec::new());
        match fault {
            "busy" => tasks.extend((0..PLACES * 3).map(|_| tokio::spawn(busy(Arc::clone(&self.take))))),
            "full server" => {
                held = self.take_all().await;
                block_in_place(|| subject.server.impose(Rule::Full));
            }
            "idle ones dead" => subject.proxy.set(NetworkFault::HalfOpen),
            _ => {
                // The new rule does not affect open connections, so the proxy closes them first.
                subject.proxy.set(NetworkFault::Refused);
                block_in_place(|| subject.server.impose(Rule::LockedOut));
                subject.proxy.set(NetworkFault::None);
            }
        }
        Begun { fault, held, tasks }
    }
}

/// A fault of [`POOL_FAULTS`](crate::fault_rows::POOL_FAULTS) in progress.
#[expect(missing_debug_implementations, reason = "the held connections have none")]
pub struct Begun {
    fault: &'static str,
    held: Vec<Box<dyn Send>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Begun {
    /// Ends the fault.
    pub fn end(self, subject: &ServerUnderTest) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if matches!(self.fault, "full server" | "locked out") {
            block_in_place(|| subject.server.impose(Rule::Open));
        }
        if self.fault == "idle ones dead" {
            // Dead connections would stay dead, and some pools cannot close them.
            subject.proxy.set(NetworkFault::Refused);
        }
        subject.proxy.set(NetworkFault::None);
        drop(self.held);
    }
}

/// Takes a connection of the pool again and again and holds it for a moment.
async fn busy(take: Arc<dyn Fn() -> Taking + Send + Sync>) {
    loop {
        let held = take().await;
        tokio::time::sleep(millis(10)).await;
        drop(held);
    }
}
