//! Waiting for a moment, also where Tokio's timers do not work: outside of a runtime, in one without a timer, in one
//! that has ended, and in one that nobody drives.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll},
    thread,
};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, Sleep, sleep_until},
};

/// Waits until a moment, by a timer of the current runtime, or by a thread if there is none that works.
pub(super) fn pause_until(moment: Instant) -> Pause {
    Pause { moment, has_begun: false, is_backed: false, timer: None, thread: None }
}

/// The future of [`pause_until`].
pub(super) struct Pause {
    moment: Instant,
    has_begun: bool,
    is_backed: bool,
    timer: Option<Pin<Box<Sleep>>>,
    thread: Option<Waiting>,
}

impl Pause {
    /// Waits by a thread besides, because a runtime that nobody drives moves no timer.
    pub(super) fn backed_by_a_thread(mut self) -> Self {
        self.is_backed = true;
        self
    }
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let moment = self.moment;
        if !std::mem::replace(&mut self.has_begun, true) {
            // Tokio tells by a panic alone that a runtime has no timer.
            let timer = || catch_unwind(|| Box::pin(sleep_until(moment))).ok();
            self.timer = Handle::try_current().ok().and_then(|_| timer());
            self.thread = (self.is_backed || self.timer.is_none()).then(|| Waiting::until(moment));
        }
        if let Some(timer) = &mut self.timer {
            // And by another panic that a runtime has ended.
            match catch_unwind(AssertUnwindSafe(|| timer.as_mut().poll(context))) {
                Ok(Poll::Ready(())) => return Poll::Ready(()),
                Ok(Poll::Pending) => {}
                Err(_) => {
                    self.timer = None;
                    self.thread.get_or_insert_with(|| Waiting::until(moment));
                }
            }
        }
        match &mut self.thread {
            Some(waiting) => Pin::new(&mut waiting.over).poll(context).map(|_| ()),
            None => Poll::Pending,
        }
    }
}

/// A thread that waits for a moment. It ends when this value is dropped.
struct Waiting {
    over: oneshot::Receiver<()>,
    _cancel: mpsc::Sender<()>,
}

impl Waiting {
    fn until(moment: Instant) -> Self {
        let (over, passed) = oneshot::channel();
        let (cancel, cancelled) = mpsc::channel::<()>();
        let left = moment.saturating_duration_since(Instant::now());
        let wait = move || {
            // An error says that the time is over, or that nobody waits any more.
            let _ = cancelled.recv_timeout(left);
            drop(over);
        };
        if thread::Builder::new().name("health-pause".to_owned()).spawn(wait).is_err() {
            // Without a thread, too, the moment must pass.
            thread::sleep(left);
        }
        Self { over: passed, _cancel: cancel }
    }
}
