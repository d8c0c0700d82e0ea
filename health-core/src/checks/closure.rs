//! An async closure as a check. Green proves what the closure proves. The closure can check anything for which this
//! crate has no check, with any client of any version.

use std::{fmt, pin::Pin};

use async_trait::async_trait;

use crate::check::{Check, CheckResult, error::CheckError, outcome::Outcome};

type Run = dyn Fn() -> Pin<Box<dyn Future<Output = CheckResult> + Send>> + Send + Sync;

/// A check created by [`check_fn`] or [`check_result`].
///
/// Green proves what the closure proves. Least privilege: what the closure needs.
pub struct CheckFn {
    run: Box<Run>,
}

/// Creates a check from an async closure. `Ok(())` is Healthy, any error is Unhealthy, and an [`Outcome`] sets status
/// and details itself.
///
/// The check is a [`Kind::Dependency`](crate::Kind::Dependency) unless `.local()` is called.
///
/// ```
/// use health_core::{CheckExt, Outcome, check_fn};
/// # struct Client;
/// # impl Client {
/// #     async fn ping(&self) -> Result<(), std::io::Error> { Ok(()) }
/// #     async fn lag(&self) -> Result<u64, std::io::Error> { Ok(3) }
/// # }
/// # let (ping, lag): (&'static Client, &'static Client) = (&Client, &Client);
///
/// let reachable = check_fn(move || async move { ping.ping().await?; Ok(()) });
/// let measured = check_fn(move || async move {
///     Ok(Outcome::healthy().observe("lag", lag.lag().await?, "messages"))
/// })
/// .failures(3);
/// # let _ = (reachable, measured);
/// ```
pub fn check_fn<F, R, T>(closure: F) -> CheckFn
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, CheckError>> + Send + 'static,
    T: Into<Outcome>,
{
    CheckFn {
        run: Box::new(move || {
            let asked = closure();
            Box::pin(async move { asked.await.map(Into::into) })
        }),
    }
}

/// Creates a check from an async closure that returns any `Result`, such as that of a driver's method. `Ok(())` is
/// Healthy, any error is Unhealthy, and an [`Outcome`] sets status and details itself.
///
/// For a closure that uses `?`, call [`check_fn`]. The check is a [`Kind::Dependency`](crate::Kind::Dependency) unless
/// `.local()` is called.
///
/// ```
/// use health_core::{CheckExt, check_result};
/// # async fn verify() -> Result<(), String> { Ok(()) }
///
/// let license = check_result(|| verify()).failures(3);
/// # let _ = license;
/// ```
pub fn check_result<F, R, T, E>(closure: F) -> CheckFn
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, E>> + Send + 'static,
    T: Into<Outcome>,
    E: Into<CheckError>,
{
    CheckFn {
        run: Box::new(move || {
            let run = closure();
            Box::pin(async move { run.await.map(Into::into).map_err(Into::into) })
        }),
    }
}

#[async_trait]
impl Check for CheckFn {
    async fn check(&self) -> CheckResult {
        (self.run)().await
    }
}

impl fmt::Debug for CheckFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckFn").finish_non_exhaustive()
    }
}
