//! The items that the core uses from the standard library and from Tokio, over loom's primitives.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use loom::sync::Mutex;
pub(super) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A model of `tokio::sync::Notify`, by its documentation.
#[derive(Debug)]
pub(super) struct Notify(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    permit: bool,
    /// The number of calls of `notify_waiters`.
    broadcasts: usize,
    wakers: Vec<Waker>,
}

impl Notify {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::default()))
    }

    pub(super) fn notify_one(&self) {
        self.notify(|state| state.permit = true);
    }

    pub(super) fn notify_waiters(&self) {
        self.notify(|state| state.broadcasts += 1);
    }

    pub(super) fn notified(&self) -> Notified<'_> {
        Notified { notify: self, broadcasts: self.0.lock().unwrap().broadcasts }
    }

    fn notify(&self, change: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = self.0.lock().unwrap();
            change(&mut state);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

pub(super) struct Notified<'n> {
    notify: &'n Notify,
    broadcasts: usize,
}

impl Notified<'_> {
    /// Does nothing, because a future receives broadcasts from its creation on.
    pub(super) fn enable(self: Pin<&mut Self>) -> bool {
        false
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.notify.0.lock().unwrap();
        if std::mem::take(&mut state.permit) || state.broadcasts != self.broadcasts {
            return Poll::Ready(());
        }
        state.wakers.push(context.waker().clone());
        Poll::Pending
    }
}
