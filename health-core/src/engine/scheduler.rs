//! The scheduler: one task per check, and one coordinator for signs of life, wake requests and delayed publications.
//! The store judges the results and decides when the next run is due.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use tokio::{
    select,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout_at},
};

use crate::{
    check::{
        Check,
        blocking::panic_text,
        deadline::Run,
        error::CheckError,
        handle::{CheckHandle, Place},
        outcome::Outcome,
    },
    engine::{
        log,
        signals::Signals,
        store::{CompletedRun, LONGEST_WAIT, Store, tracked_check::NextRun},
    },
    model::status::Reason,
    time::{Jitter, rfc3339},
};

/// The time between two signs of life of the coordinator.
const BEAT: Duration = Duration::from_secs(1);
/// The time between two signs of life at which the runtime counts as stalled. With default options no result expires in
/// a shorter time.
const STALL: Duration = Duration::from_secs(3);
/// The number of signs of life after which a mounted endpoint without a request is logged. They take one minute.
const UNASKED: u32 = 60;

/// The grace period. A run that blocks its thread is abandoned two grace periods after its deadline. A run that yields
/// is cancelled at its deadline.
const GRACE: Duration = Duration::from_millis(100);

/// A check that the scheduler runs.
pub(crate) struct Job {
    pub(crate) name: Arc<str>,
    pub(crate) check: Arc<dyn Check>,
    pub(crate) signals: Arc<Signals>,
}

/// Runs one check until the task is dropped, the check is removed, the service stops, or a check with `once` has
/// succeeded.
pub(crate) fn run_check(store: Arc<Store>, job: Job) -> impl Future<Output = ()> + Send + 'static {
    // Created before the future, so that the signals also end if the task is dropped before its first poll. One struct
    // holds the fields, so that the future of each check stores them once and not once per await point.
    let end = EndOnDrop(Arc::clone(&job.signals));
    let mut runner = Runner { job, given_up: None, _end: end };
    async move {
        let mut jitter = Jitter::new();
        loop {
            let signals = &runner.job.signals;
            while store.is_held_back(signals) && !signals.refresh_requested() {
                signals.changed().await;
            }
            let number = signals.run_started();
            let (started, began) = (store.clock().now(), Instant::now());
            let reading = signals.reading();
            let outcome = runner.run(&store).await;
            let signals = &runner.job.signals;
            let next = store.record(signals, CompletedRun { outcome, started, reading });
            signals.run_finished(number);
            let Some(NextRun::After(spacing)) = next else { return };
            let spacing = jitter.around(spacing);
            // The next run starts only after a pause, even if the last run took longer than the spacing.
            let mut due = (began + spacing).max(Instant::now() + spacing / 4);
            loop {
                select! {
                    () = sleep_until(due) => break,
                    () = signals.changed() => if signals.run_requested() {
                        break;
                    },
                }
                // `run_now` has recorded a result, or the settings have changed, so that the next run may be due
                // sooner.
                if let Some(NextRun::After(spacing)) = store.next_run(signals) {
                    due = due.min(Instant::now() + jitter.around(spacing));
                }
            }
        }
    }
}

/// Ends the signals of a check when its task ends for any reason.
struct EndOnDrop(Arc<Signals>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The runner of one check, which has at most one run at a time.
struct Runner {
    job: Job,
    /// The last run, if it was abandoned. Its future may still be alive, because it blocks its thread.
    given_up: Option<Box<GivenUp>>,
    /// Dropped last, so that callers that wait for a run are released after everything else of the runner is gone.
    _end: EndOnDrop,
}

struct GivenUp {
    run: AbortOnDrop,
    since: SystemTime,
    began: Instant,
}

struct AbortOnDrop(JoinHandle<Result<Outcome, Failure>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Failure {
    Error(CheckError),
    Timeout,
}

impl Runner {
    /// Runs the check once, at most until its deadline.
    async fn run(&mut self, store: &Store) -> Outcome {
        if let Some(given_up) = &self.given_up {
            let GivenUp { run, since, began } = &**given_up;
            if !run.0.is_finished() {
                return Outcome::unhealthy(format!(
                    "the run that began at {} was cancelled and still blocks its thread, for {} s now",
                    rfc3339(*since),
                    began.elapsed().as_secs(),
                ))
                .reason(Reason::Timeout);
            }
            self.given_up = None;
        }
        // Read once, because a run keeps its deadline when the settings change.
        let timeout = Duration::from_nanos(self.job.signals.timeout());
        let (since, began) = (SystemTime::now(), Instant::now());
        let deadline = began + timeout;
        let check = Arc::clone(&self.job.check);
        let run = Run { check: Arc::clone(&self.job.name), deadline, outer: Vec::new() };
        // `timeout_at` polls the check before the clock, so that an answer that is ready counts even if it is late. The
        // run is a separate task, so that this task survives a panic of the check and a check that never yields.
        let mut handle = AbortOnDrop(tokio::spawn(async move {
            match timeout_at(deadline, run.scope(async move { check.check().await })).await {
                Ok(result) => result.map_err(Failure::Error),
                Err(_) => Err(Failure::Timeout),
            }
        }));
        let joined = select! {
            biased;
            joined = &mut handle.0 => Some(joined),
            // Two timers in a row: after a stall of the whole machine the first one is over at once, and the run must
            // be polled once more before it is abandoned.
            () = async { sleep_until(deadline + GRACE).await; sleep(GRACE).await } => None,
        };
        match joined {
            Some(Ok(Ok(outcome))) => outcome,
            Some(Ok(Err(Failure::Error(error)))) => Outcome::from(error),
            Some(Ok(Err(Failure::Timeout))) => timed_out(timeout),
            Some(Err(join)) => match join.try_into_panic() {
                Ok(payload) => {
                    store.log_panic(&self.job.name, panic_text(&*payload));
                    Outcome::unhealthy("the check panicked; the log has the panic message").reason(Reason::Panicked)
                }
                Err(_) => Outcome::unhealthy("the runtime cancelled the run"),
            },
            None => {
                handle.0.abort();
                self.given_up = Some(Box::new(GivenUp { run: handle, since, began }));
                timed_out(timeout)
            }
        }
    }
}

fn timed_out(timeout: Duration) -> Outcome {
    Outcome::unhealthy(format!("no answer within {timeout:?}")).reason(Reason::Timeout)
}

/// Returns the handle with which a check requests that it runs at once. The handle keeps neither the store nor the
/// check alive.
pub(crate) fn handle(store: &Arc<Store>, job: &Job) -> CheckHandle {
    let (store, check) = (Arc::downgrade(store), Arc::downgrade(&job.check));
    let signals = Arc::clone(&job.signals);
    CheckHandle::new(move |place| {
        let (Some(store), Some(check)) = (store.upgrade(), check.upgrade()) else { return false };
        match place {
            Place::Caller => run_now(&store, &signals, &*check),
            Place::Task => signals.request_run(),
        }
        true
    })
}

/// Polls a check once on the caller's thread. Records the outcome if the check is ready, otherwise requests a run on
/// its task.
fn run_now(store: &Store, signals: &Arc<Signals>, check: &dyn Check) {
    let (started, reading) = (store.clock().now(), signals.reading());
    let polled =
        catch_unwind(AssertUnwindSafe(|| check.check().as_mut().poll(&mut Context::from_waker(Waker::noop()))));
    match polled {
        Ok(Poll::Ready(result)) => {
            let outcome = result.unwrap_or_else(Outcome::from);
            store.record(signals, CompletedRun { outcome, started, reading });
            // Published at once, because the application may read the result right after this call.
            store.flush();
            signals.repace();
        }
        // The task of the check runs it again, and reports a panic.
        Ok(Poll::Pending) | Err(_) => signals.request_run(),
    }
}

/// Records signs of life in the store, forwards wake requests to the tasks of checks, and publishes the results that
/// wait.
pub(crate) async fn coordinate(store: Arc<Store>) {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first sign of life has no predecessor to compare with.
    let mut last = None;
    let mut unasked = 0;
    let mut publication = pin!(sleep(Duration::ZERO));
    let mut waits = false;
    loop {
        select! {
            _ = beat.tick() => {
                if unasked < UNASKED && store.is_unasked() {
                    unasked += 1;
                    if unasked == UNASKED {
                        log::unasked();
                    }
                }
                let gap = last.replace(Instant::now()).map_or(Duration::ZERO, |last: Instant| last.elapsed());
                if gap >= STALL {
                    store.log_stall(gap);
                }
                store.beat();
            }
            () = store.waiting(), if !waits => {
                publication.as_mut().reset(Instant::now() + LONGEST_WAIT);
                waits = true;
            }
            () = &mut publication, if waits => {
                store.flush();
                waits = false;
            }
            () = store.wake_requested() => store.take_requested().iter().for_each(|signals| signals.wake()),
        }
    }
}
