//! A blocking closure as a check. Green proves what the closure proves. The closure runs on one thread of the check's
//! own, so a call that never returns costs only that thread: no second call starts beside it, and it delays no
//! shutdown.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::check::{Check, CheckResult, blocking::BlockingThread, error::CheckError, outcome::Outcome};

/// A check created by [`check_blocking`] or [`check_blocking_result`].
///
/// Green proves what the closure proves. Least privilege: what the closure needs.
pub struct CheckBlocking {
    run: Arc<dyn Fn() -> CheckResult + Send + Sync>,
    thread: BlockingThread,
}

/// Creates a check from a blocking closure: for file systems, system calls, and clients without async.
///
/// A run that reaches its deadline is abandoned, and the reason `timeout` is published. While an abandoned run still
/// blocks the thread, later runs report `timeout` and when that run began, and the closure is not called again.
///
/// The check is a [`Kind::Dependency`](crate::Kind::Dependency) unless `.local()` is called.
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

/// Creates a check from a blocking closure that returns any `Result`, such as that of a library call. For a closure
/// that uses `?`, call [`check_blocking`].
///
/// ```
/// use health_core::{CheckExt, check_blocking_result};
///
/// let readable = check_blocking_result(|| std::fs::metadata("/etc/hostname").map(drop)).local();
/// # let _ = readable;
/// ```
pub fn check_blocking_result<F, T, E>(closure: F) -> CheckBlocking
where
    F: Fn() -> Result<T, E> + Send + Sync + 'static,
    T: Into<Outcome>,
    E: Into<CheckError>,
{
    let run = move || closure().map(Into::into).map_err(Into::into);
    CheckBlocking { run: Arc::new(run), thread: BlockingThread::default() }
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
