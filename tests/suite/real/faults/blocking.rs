//! Checks that block a thread, in real time: on a thread of their own, or on a worker of the runtime, which is against
//! the rules.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use health_core::{CheckExt as _, Health, Reason, check_blocking, check_fn};
use health_tests::{
    support::{millis, shown},
    wait,
};

/// Returns a closure that blocks its caller until the sender is dropped.
fn held() -> (mpsc::Sender<()>, impl Fn() + Clone + Send + Sync + 'static) {
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    let blocks = move || {
        let _ = ended.lock().unwrap().recv();
    };
    (end, blocks)
}

#[test]
fn a_blocking_check_does_not_delay_the_shutdown_of_the_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (end, blocks) = held();
    let health = runtime.block_on(async {
        let blocking = check_blocking(move || {
            blocks();
            Ok(())
        });
        Health::builder().check("x", blocking.timeout(millis(50))).start().unwrap()
    });
    wait::equals("a timeout", &Some(Reason::Timeout), || shown(&health).reason());
    // Dropping the runtime would wait for ever if the check used its blocking pool.
    drop(runtime);
    drop(end);
}

#[test]
fn an_async_check_that_blocks_its_worker_still_times_out() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (end, blocks) = held();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let health = runtime.block_on(async {
        let rude = check_fn(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let blocks = blocks.clone();
            async move {
                blocks();
                Ok(())
            }
        });
        Health::builder().check("rude", rude.timeout(millis(100)).every(millis(200))).start().unwrap()
    });
    wait::equals("a timeout", &Some(Reason::Timeout), || shown(&health).reason());
    wait::until("the check reports that its thread is still blocked", || {
        shown(&health).message().is_some_and(|message| message.contains("still blocks its thread"))
    });
    assert_eq!(runs.load(Ordering::SeqCst), 1, "a blocked run must not be started a second time");
    drop(end);
    drop(health);
    runtime.shutdown_background();
}
