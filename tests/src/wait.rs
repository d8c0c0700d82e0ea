//! Waiting for a condition instead of for a time. Only a hang reaches the limit, so a slow machine fails no test.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{Handle, RuntimeFlavor};

/// The longest wait for anything. A test that needs more hangs.
pub const HANG: Duration = Duration::from_secs(180);

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits on this thread until `look` returns a value.
///
/// # Panics
///
/// Panics if there is no value after [`HANG`].
pub fn found<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < HANG, "{what}: not within {HANG:?}");
        thread::sleep(PAUSE);
    }
}

/// Waits on this thread until `is` returns true.
///
/// # Panics
///
/// Panics if `is` does not return true within [`HANG`].
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    found(what, || is().then_some(()));
}

/// Waits on this thread until `look` returns the expected value. The panic shows the last value.
///
/// # Panics
///
/// Panics if the value is another one after [`HANG`].
pub fn equals<T: PartialEq + Debug>(what: &str, expected: &T, mut look: impl FnMut() -> T) {
    let began = Instant::now();
    loop {
        let last = look();
        if last == *expected {
            return;
        }
        assert!(began.elapsed() < HANG, "{what}: not {expected:?} within {HANG:?} but {last:?}");
        thread::sleep(PAUSE);
    }
}

/// Waits until the future of `look` returns `Ok`. The panic shows the last `Err`.
///
/// The limit uses the system's clock, so it also holds while Tokio's clock is paused.
///
/// # Panics
///
/// Panics if there is no `Ok` within [`HANG`].
pub async fn done<T, E: Debug>(what: &str, mut look: impl AsyncFnMut() -> Result<T, E>) -> T {
    let began = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(last) => assert!(began.elapsed() < HANG, "{what}: not within {HANG:?}, last {last:?}"),
        }
        pause().await;
    }
}

/// Waits as a task until `look` returns `Ok`. The panic shows the last `Err`.
///
/// # Panics
///
/// Panics if there is no `Ok` within [`HANG`].
pub async fn ok<T, E: Debug>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) => assert!(began.elapsed() < HANG, "{what}: not within {HANG:?}, last {last:?}"),
        }
        pause().await;
    }
}

/// Waits as a task until `is` returns true.
///
/// # Panics
///
/// Panics if `is` does not return true within [`HANG`].
pub async fn true_of(what: &str, mut is: impl FnMut() -> bool) {
    ok(what, || if is() { Ok(()) } else { Err("it does not hold") }).await;
}

/// Pauses by the system's clock and does not advance a paused clock of Tokio.
async fn pause() {
    // Only a current-thread runtime can have a paused clock. Other runtimes need no extra thread for the pause.
    if Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
        return tokio::time::sleep(PAUSE).await;
    }
    let paused = tokio::task::spawn_blocking(|| thread::sleep(PAUSE));
    // Only the end of the runtime cancels the pause, and then no task waits any more.
    let _ = paused.await;
}
