//! Blocking work on one named thread per check, which starts at the first use and is reused. Tokio's blocking pool is
//! not used.

use std::{
    any::Any,
    fmt, io,
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

/// A thread that does one piece of work at a time. Work that never ends occupies the thread for good: no second thread
/// is started.
#[derive(Default)]
pub(crate) struct BlockingThread {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    busy: Arc<Mutex<Option<Busy>>>,
    /// Whether the system refuses the thread.
    #[cfg(test)]
    is_refused: bool,
}

/// The start of the work that occupies the thread.
#[derive(Clone, Copy)]
struct Busy {
    since: Instant,
    at: SystemTime,
}

impl BlockingThread {
    /// Runs the work on the thread and waits for its result.
    ///
    /// # Errors
    ///
    /// Fails at once with `timeout` while the work of an earlier, cancelled run still blocks the thread. Fails with
    /// `failed` if no thread can be started, or if the thread has ended.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CheckError> {
        self.run_or(work, |_, error| Err(CheckError::new(format!("cannot start a thread for the check: {error}"))))
            .await
    }

    /// Runs work that never blocks for long, such as reading files of the kernel. If no thread can be started, the work
    /// runs on the calling thread. Otherwise the same as [`run`](Self::run).
    pub(crate) async fn run_short<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CheckError> {
        self.run_or(work, |job, _| {
            job();
            Ok(())
        })
        .await
    }

    /// Runs the work on the thread. `without_thread` receives the work if no thread can be started.
    async fn run_or<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        without_thread: impl FnOnce(Job, io::Error) -> Result<(), CheckError>,
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
            // The receiver is gone if the run was cancelled.
            let _ = answer.send(result);
        });
        self.send(job, name, without_thread).inspect_err(|_| {
            *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = None;
        })?;
        match answered.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(payload)) => panic::resume_unwind(payload),
            Err(_) => Err(CheckError::new("the check's thread ended before the work did")),
        }
    }

    /// Sends the job to the thread, and starts the thread if it does not exist yet.
    fn send(
        &self,
        job: Job,
        name: String,
        without_thread: impl FnOnce(Job, io::Error) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match jobs.take() {
            Some(sender) => sender,
            None => {
                let (sender, queue) = mpsc::channel::<Job>();
                // The thread ends when the check, and with it the sender, is dropped.
                match self.builder().name(name).spawn(move || queue.iter().for_each(|job| job())) {
                    Ok(_) => sender,
                    Err(error) => return without_thread(job, error),
                }
            }
        };
        let sent = sender.send(job).map_err(|_| CheckError::new("the check's thread has ended"));
        if sent.is_ok() {
            *jobs = Some(sender);
        }
        sent
    }
}

impl BlockingThread {
    #[cfg(not(test))]
    fn builder(&self) -> thread::Builder {
        thread::Builder::new()
    }

    #[cfg(test)]
    fn builder(&self) -> thread::Builder {
        match self.is_refused {
            // More memory than any system has.
            true => thread::Builder::new().stack_size(1 << 60),
            false => thread::Builder::new(),
        }
    }
}

impl fmt::Debug for BlockingThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingThread").finish_non_exhaustive()
    }
}

/// Returns the message of a panic, or a placeholder if it has none.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn short_work_runs_on_the_caller_if_no_thread_can_be_started() {
        let refused = BlockingThread { is_refused: true, ..BlockingThread::default() };
        let here = thread::current().id();
        for _ in 0..2 {
            assert_eq!(refused.run_short(|| thread::current().id()).await.unwrap(), here);
        }
        let error = refused.run(|| ()).await.unwrap_err();
        let text = error.get_message();
        assert!(text.starts_with("cannot start a thread for the check: "), "{text}");
        assert_eq!(error.get_reason(), Reason::Failed);
        let granted = BlockingThread::default();
        assert_ne!(granted.run_short(|| thread::current().id()).await.unwrap(), here);
    }
}
