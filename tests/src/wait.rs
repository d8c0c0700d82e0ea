//! Waits for a thing instead of for a time: a limit that only a hang reaches, so that a slow machine fails no test.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{Handle, RuntimeFlavor};

/// The longest wait for anything. A test that needs more hangs.
pub const HANG: Duration = Duration::from_secs(180);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `look` returns a value, on this thread.
///
/// # Panics
///
/// Nothing comes within [`HANG`].
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

/// Waits until `is` holds, on this thread.
///
/// # Panics
///
/// It does not within [`HANG`].
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    found(what, || is().then_some(()));
}

/// Waits until `look` returns what is `expected`, on this thread, and shows what it returned last if that never comes.
///
/// # Panics
///
/// It does not within [`HANG`].
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

/// Waits until the future of `look` returns `Ok`, and shows the last `Err` if that never comes.
///
/// The limit is one of the system's clock, so it also holds where Tokio's clock is paused.
///
/// # Panics
///
/// It does not within [`HANG`].
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

/// Waits until `look` returns `Ok`, as a task, and shows the last `Err` if that never comes.
///
/// # Panics
///
/// It does not within [`HANG`].
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

/// Waits until `is` holds, as a task.
///
/// # Panics
///
/// It does not within [`HANG`].
pub async fn true_of(what: &str, mut is: impl FnMut() -> bool) {
    ok(what, || if is() { Ok(()) } else { Err("it does not hold") }).await;
}

/// A pause of the system's clock that leaves a paused clock of Tokio's where it stands.
async fn pause() {
    // Only a runtime of one thread can have a paused clock; the others need no thread beside theirs.
    if Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
        return tokio::time::sleep(PAUSE).await;
    }
    let paused = tokio::task::spawn_blocking(|| thread::sleep(PAUSE));
    // Cancelled only with the runtime, and then nobody waits any more.
    let _ = paused.await;
}
