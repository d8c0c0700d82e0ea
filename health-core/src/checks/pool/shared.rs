//! What the checks of one pool share: their place in its queue, the connection beside it, since when it has served nobody, and
//! what its connections have said.
//!
//! The state belongs to the pool, not to a check. It is found by the pool's address in one table of the process, and lives as
//! long as a check of the pool.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use super::{
    beside::Beside,
    queue::Queue,
    saturation::Saturation,
    source::{Remark, Source},
};
use crate::check::outcome::Outcome;

type Table = Mutex<HashMap<(TypeId, usize), Weak<dyn Any + Send + Sync>>>;

/// Every pool that has checks.
static POOLS: LazyLock<Table> = LazyLock::new(Table::default);

/// What the checks of one pool share.
pub(super) struct Shared<S: Source> {
    pub(super) source: S,
    pub(super) saturation: Arc<Saturation>,
    pub(super) beside: Arc<Beside<S>>,
    pub(super) queue: Arc<Queue<S>>,
    remarks: Mutex<Vec<(Option<S::Id>, Remark)>>,
}

impl<S: Source> Shared<S> {
    /// Returns what the checks of this pool share.
    pub(super) fn of(source: S) -> Arc<Self> {
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, shared| shared.strong_count() > 0);
        // The address is unique: what is shared keeps its pool alive.
        let key = (TypeId::of::<S>(), source.address());
        let found = pools.get(&key).and_then(Weak::upgrade).and_then(|shared| shared.downcast::<Self>().ok());
        found.unwrap_or_else(|| {
            let shared = Arc::new(Self::new(source));
            let weak: Weak<Self> = Arc::downgrade(&shared);
            pools.insert(key, weak);
            shared
        })
    }

    fn new(source: S) -> Self {
        let saturation = Arc::<Saturation>::default();
        let beside = Arc::new(Beside::new(source.clone()));
        let queue = Arc::new(Queue::new(source.clone(), Arc::clone(&saturation), Arc::clone(&beside)));
        Self { source, saturation, beside, queue, remarks: Mutex::default() }
    }

    /// Remembers what a connection of the pool has said.
    pub(super) fn remember(&self, id: Option<S::Id>, remark: Remark) {
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was found idle, and has no identity, may be one that is known.
        let is_known = |known: &(Option<S::Id>, Remark)| if id.is_some() { known.0 == id } else { known.1().is_some() };
        if !remarks.iter().any(is_known) {
            remarks.push((id, remark));
        }
    }

    /// Returns the worst of what connections of the pool have said and have not taken back.
    pub(super) fn remarks(&self) -> Option<Outcome> {
        let mut worst: Option<Outcome> = None;
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, remark)| {
            let outcome = remark();
            let holds = outcome.is_some();
            worst = worst.take().into_iter().chain(outcome).max_by_key(|outcome| outcome.status);
            holds
        });
        worst
    }
}
