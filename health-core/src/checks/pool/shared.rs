//! The state that the checks of one pool share: their place in the pool's queue, the connection beside the pool, its
//! saturation, and the findings on its connections.
//!
//! The state belongs to the pool, not to a check. One table of the process finds it by the address of the pool. It
//! exists as long as a check of the pool does.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use super::{
    beside::Beside,
    queue::Queue,
    serving::Serving,
    source::{Remark, Source},
};
use crate::check::outcome::Outcome;

type Table = Mutex<HashMap<(TypeId, usize), Weak<dyn Any + Send + Sync>>>;

/// The state of every pool that has checks.
static POOLS: LazyLock<Table> = LazyLock::new(Table::default);

/// The state that the checks of one pool share.
pub(super) struct Shared<S: Source> {
    pub(super) source: S,
    pub(super) serving: Arc<Serving>,
    pub(super) beside: Arc<Beside<S>>,
    pub(super) queue: Arc<Queue<S>>,
    remarks: Mutex<Vec<(Option<S::Id>, Remark)>>,
}

impl<S: Source> Shared<S> {
    /// Returns the state of this pool, and creates it for the pool's first check.
    pub(super) fn of(source: S) -> Arc<Self> {
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, shared| shared.strong_count() > 0);
        // The address is unique, because the state keeps its pool alive.
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
        let serving = Arc::<Serving>::default();
        let beside = Arc::new(Beside::new(source.clone()));
        let queue = Arc::new(Queue::new(source.clone(), Arc::clone(&serving), Arc::clone(&beside)));
        Self { source, serving, beside, queue, remarks: Mutex::default() }
    }

    /// Records a finding on a connection of the pool.
    pub(super) fn remember(&self, id: Option<S::Id>, remark: Remark) {
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that was found idle has no identity here, and may be a recorded one.
        let is_known = |known: &(Option<S::Id>, Remark)| if id.is_some() { known.0 == id } else { known.1().is_some() };
        if !remarks.iter().any(is_known) {
            remarks.push((id, remark));
        }
    }

    /// Returns the worst outcome of the findings that still hold, and removes the others.
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
