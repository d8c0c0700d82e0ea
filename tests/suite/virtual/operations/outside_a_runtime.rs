//! Calls from outside of Tokio, and after the runtime of the checks has ended.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use health_core::{
    BuildError, CheckExt as _, Drained, Health, Lifecycle, Publisher, Source, Status, async_trait, check_fn,
};
use health_tests::{
    support::{millis, secs},
    wait,
};
use tokio::runtime::Runtime;

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread, without any runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn started() -> (Runtime, Health) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let health = runtime.block_on(async {
        let builder = Health::builder().check("x", check_fn(|| async { Ok(()) }).every(secs(60)));
        let health = builder.start().unwrap();
        assert!(health.ready().await);
        health
    });
    (runtime, health)
}

/// Publishes nothing until it is aborted.
struct Hangs;

#[async_trait]
impl Publisher for Hangs {
    async fn publish(self: Box<Self>, _: Source) {
        std::future::pending::<()>().await;
    }
}

#[test]
fn stop_and_drain_wait_without_a_runtime() {
    let (runtime, health) = started();
    let job = health.in_flight();
    let drained = block_on(health.drain(millis(1)).limit(millis(20)));
    assert_eq!(drained, Drained::LimitReached { in_flight: 1 });
    drop(job);
    assert_eq!(block_on(health.drain(Duration::ZERO)), Drained::Finished);
    block_on(health.drained());
    // The stop waits for a hanging publisher, but not for ever.
    health.publish(Hangs);
    block_on(health.stop());
    assert_eq!(health.report().lifecycle(), Lifecycle::Stopped);
    drop(runtime);
    block_on(health.stop());
}

#[test]
fn a_stop_after_the_end_of_the_runtime_returns() {
    for background in [true, false] {
        let (runtime, health) = started();
        if background {
            runtime.shutdown_background();
        } else {
            drop(runtime);
        }
        block_on(health.stop());
        assert_eq!(health.report().lifecycle(), Lifecycle::Stopped);
    }
}

/// A runtime without a timer, a runtime that has ended while the caller is inside of it, and one that no thread drives.
#[test]
fn stop_and_drain_wait_in_runtimes_without_a_working_timer() {
    let (runtime, health) = started();
    let without_timer = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(without_timer.block_on(health.drain(millis(1))), Drained::Finished);
    without_timer.block_on(health.stop());
    let handle = runtime.handle().clone();
    drop(runtime);
    let (_other, health) = started();
    let inside = handle.enter();
    assert_eq!(block_on(health.drain(millis(1))), Drained::Finished);
    block_on(health.stop());
    drop(inside);

    let undriven = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let health =
        undriven.block_on(async { Health::builder().check("x", check_fn(|| async { Ok(()) })).start().unwrap() });
    health.publish(Hangs);
    undriven.handle().block_on(health.stop());
    assert_eq!(health.report().lifecycle(), Lifecycle::Stopped);
}

#[test]
fn insert_after_the_end_of_the_runtime_is_refused() {
    let (runtime, health) = started();
    let check = || check_fn(|| async { Ok(()) });
    health.insert("before", check()).unwrap();
    drop(runtime);
    let error = health.insert("after", check()).unwrap_err();
    assert_eq!(error, BuildError::RuntimeEnded);
    assert!(error.to_string().contains("has ended"), "{error}");
    assert!(health.report().check("after").is_none() && health.report().check("before").is_some());
    // The error also names every other mistake.
    let mistakes = health.insert("not a name", check()).unwrap_err().to_string();
    assert!(mistakes.contains("has ended") && mistakes.contains("not a name"), "{mistakes}");
    // Inside another runtime the check is refused, too, because checks run in the runtime in which they were started.
    let other = Runtime::new().unwrap();
    assert_eq!(other.block_on(async { health.insert("after", check()).unwrap_err() }), BuildError::RuntimeEnded);
    assert_eq!(block_on(health.refresh("x")), Ok(Status::Healthy), "the last status");
    health.publish(Hangs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_refreshes_itself_causes_no_extra_run() {
    let handle = Arc::new(std::sync::OnceLock::<Health>::new());
    let (own, runs) = (Arc::clone(&handle), Arc::new(std::sync::atomic::AtomicU32::new(0)));
    let counted = Arc::clone(&runs);
    let check = check_fn(move || {
        let (own, counted) = (Arc::clone(&own), Arc::clone(&counted));
        async move {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if let Some(health) = own.get() {
                health.refresh("self").await?;
                health.refresh("other").await?;
            }
            Ok(())
        }
    });
    let health = Health::builder()
        .check("self", check.every(secs(60)).timeout(wait::HANG))
        .check("other", check_fn(|| async { Ok(()) }).every(secs(60)))
        .start()
        .unwrap();
    assert!(health.ready().await);
    assert!(handle.set(health.clone()).is_ok());
    assert_eq!(health.refresh("self").await, Ok(Status::Healthy));
    assert_eq!(runs.load(std::sync::atomic::Ordering::Relaxed), 2);
    // No request for a run is left over, so the next run is that of the next refresh.
    assert_eq!(health.refresh("self").await, Ok(Status::Healthy));
    assert_eq!(runs.load(std::sync::atomic::Ordering::Relaxed), 3);
    health.stop().await;
}
