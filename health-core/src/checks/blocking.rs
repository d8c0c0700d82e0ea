//! A closure that blocks, as a check: green proves what the closure proves. It runs on one thread of its own, so a
//! call that never returns costs that thread and nothing else: it is never doubled and holds up no shutdown.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::check::{Check, CheckResult, blocking::BlockingThread, error::CheckError, outcome::Outcome};

/// A check made by [`check_blocking`].
pub struct CheckBlocking {
    run: Arc<dyn Fn() -> CheckResult + Send + Sync>,
    thread: BlockingThread,
}

/// Makes a check of a closure that blocks: file systems, system calls, clients without async.
///
/// At its deadline a run is given up and the outcome `timeout` published; while it still blocks its thread, later
/// runs say `timeout` and since when, and none is started beside it.
///
/// ```
/// use health_core::{CheckExt, check_blocking};
///
/// let readable = check_blocking(|| {
///     std::fs::metadata("/etc/hostname")?;
///     Ok(())
/// })
/// .local();
/// # let _ = readable;
/// ```
pub fn check_blocking<F, T>(closure: F) -> CheckBlocking
where
    F: Fn() -> Result<T, CheckError> + Send + Sync + 'static,
    T: Into<Outcome>,
{
    CheckBlocking { run: Arc::new(move || closure().map(Into::into)), thread: BlockingThread::default() }
}

#[async_trait]
impl Check for CheckBlocking {
    async fn check(&self) -> CheckResult {
        let run = Arc::clone(&self.run);
        self.thread.run(move || run()).await?
    }
}

impl fmt::Debug for CheckBlocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckBlocking").finish_non_exhaustive()
    }
}
