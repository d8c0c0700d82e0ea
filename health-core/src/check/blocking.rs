//! Work that blocks: one named thread per check, made at its first use and used again, never Tokio's blocking pool.

use std::{
    any::Any,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::SystemTime,
};

use tokio::{sync::oneshot, time::Instant};

use crate::{
    check::{deadline::Run, error::CheckError},
    model::status::Reason,
    time::rfc3339,
};

type Job = Box<dyn FnOnce() + Send>;

/// A thread that does one piece of work at a time. A piece that never ends keeps it for good and is never doubled.
#[derive(Default)]
pub(crate) struct BlockingThread {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    busy: Arc<Mutex<Option<Busy>>>,
}

#[derive(Clone, Copy)]
struct Busy {
    since: Instant,
    at: SystemTime,
}

impl BlockingThread {
    /// Does the work on the thread.
    ///
    /// # Errors
    ///
    /// `timeout` at once while the work of an earlier, given-up run still blocks the thread, and `failed` if the
    /// system has no thread to give.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CheckError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Busy { since, at }) = *busy {
                let message = format!(
                    "the run that began at {} still blocks its thread, for {} s now",
                    rfc3339(at),
                    since.elapsed().as_secs(),
                );
                return Err(CheckError::new(message).reason(Reason::Timeout));
            }
            *busy = Some(Busy { since: Instant::now(), at: SystemTime::now() });
        }
        let run = Run::current();
        let name = run.as_ref().map_or_else(|| "health".to_owned(), |run| format!("health-{}", run.check));
        let busy = Arc::clone(&self.busy);
        let job: Job = Box::new(move || {
            let result = panic::catch_unwind(AssertUnwindSafe(|| match run {
                Some(run) => run.sync_scope(work),
                None => work(),
            }));
            *busy.lock().unwrap_or_else(PoisonError::into_inner) = None;
            // Nobody waits any more for a run that was given up.
            let _ = answer.send(result);
        });
        self.send(job, name).inspect_err(|_| {
            *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = None;
        })?;
        match answered.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(payload)) => panic::resume_unwind(payload),
            Err(_) => Err(CheckError::new("the check's thread ended before the work did")),
        }
    }

    /// Hands the job to the thread, starting it if there is none.
    fn send(&self, job: Job, name: String) -> Result<(), CheckError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match jobs.take() {
            Some(sender) => sender,
            None => {
                let (sender, queue) = mpsc::channel::<Job>();
                // It ends by itself when the check, and with it the sender, is dropped.
                thread::Builder::new().name(name).spawn(move || queue.iter().for_each(|job| job()))?;
                sender
            }
        };
        let sent = sender.send(job).map_err(|_| CheckError::new("the check's thread has ended"));
        if sent.is_ok() {
            *jobs = Some(sender);
        }
        sent
    }
}

impl fmt::Debug for BlockingThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingThread").finish_non_exhaustive()
    }
}

/// The text of a panic, if it has one.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}
