//! Waits until a point in time, also where Tokio's timers do not work: outside a runtime, in a runtime without a timer,
//! in a runtime that has ended, and in a current-thread runtime that no thread drives.

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

/// Waits until a point in time. Uses a timer of the current runtime, or a thread if no timer works.
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
    /// Also waits with a thread, because the timers of a runtime do not advance while no thread drives it.
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
            // Tokio panics if the runtime has no timer, and offers no other way to find out.
            let timer = || catch_unwind(|| Box::pin(sleep_until(moment))).ok();
            self.timer = Handle::try_current().ok().and_then(|_| timer());
            self.thread = (self.is_backed || self.timer.is_none()).then(|| Waiting::until(moment));
        }
        if let Some(timer) = &mut self.timer {
            // Tokio also panics if the runtime has ended.
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

/// A thread that waits until a point in time. It ends when this value is dropped.
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
            // Both results are errors: the time has passed, or the value was dropped.
            let _ = cancelled.recv_timeout(left);
            drop(over);
        };
        if thread::Builder::new().name("health-pause".to_owned()).spawn(wait).is_err() {
            // The wait must also end if no thread can be started.
            thread::sleep(left);
        }
        Self { over: passed, _cancel: cancel }
    }
}
