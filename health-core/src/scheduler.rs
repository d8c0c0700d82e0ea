//! When checks run: one task per check, and one coordinator that beats and passes on what requests ask for.
//!
//! Nothing here judges a result; it goes to the board, which says when the next run is due.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    select,
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use crate::{
    board::{Board, Finished},
    check::{Check, blocking::panic_text, deadline::Run, outcome::Outcome},
    config::plan::Plan,
    model::status::Reason,
    slot::Next,
    snapshot::Wish,
    time::{Jitter, rfc3339},
};

/// How often the coordinator shows that the scheduler is alive.
const BEAT: Duration = Duration::from_secs(1);
/// Between two beats that are so far apart the runtime stood still. In less time nothing grows old by default.
const STOOD_STILL: Duration = Duration::from_secs(3);

/// How long after its deadline a run that does not let go of its thread is given up. A run that does let go is
/// cancelled at the deadline itself.
const GRACE: Duration = Duration::from_millis(100);

/// What others tell a check's task.
#[derive(Debug)]
pub(crate) struct Signals {
    pub(crate) wish: Arc<Wish>,
    poke: Notify,
    wake: AtomicBool,
    refresh: AtomicBool,
    released: AtomicBool,
    started: AtomicU64,
    finished: watch::Sender<u64>,
    ended: AtomicBool,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self {
            wish: Arc::default(),
            poke: Notify::new(),
            wake: AtomicBool::new(false),
            refresh: AtomicBool::new(false),
            released: AtomicBool::new(false),
            started: AtomicU64::new(0),
            finished: watch::Sender::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// Whether a run is under way.
    pub(crate) fn is_running(&self) -> bool {
        self.started.load(Ordering::Acquire) > *self.finished.borrow()
    }

    /// Asks for an early run; ignored while one is under way.
    fn wake(&self) {
        self.wake.store(true, Ordering::Release);
        self.poke.notify_one();
    }

    /// Says that the check is no longer held back.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.poke.notify_one();
    }

    /// Asks for a run that starts from now on, even while held back, and waits until it has finished; `false` if the
    /// check will not run any more.
    pub(crate) async fn refreshed(&self) -> bool {
        let mut finished = self.finished.subscribe();
        let target = self.started.load(Ordering::Acquire) + 1;
        self.refresh.store(true, Ordering::Release);
        self.poke.notify_one();
        let over = |number: &u64| *number >= target || self.ended.load(Ordering::Acquire);
        finished.wait_for(over).await.is_ok_and(|number| *number >= target)
    }

    /// Lets those go who wait for a run that will not come.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.finished.send_modify(|_| {});
    }
}

/// Everything a check's task needs.
pub(crate) struct Job {
    pub(crate) name: Arc<str>,
    pub(crate) check: Arc<dyn Check>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) signals: Arc<Signals>,
}

/// Runs one check until the task is dropped, the check is removed, or it has succeeded and was to run until then.
pub(crate) fn run_check(board: Arc<Board>, job: Job) -> impl Future<Output = ()> + Send + 'static {
    // Made here, so that it also tells of a task that is dropped before it was ever polled.
    let end = EndOnDrop(Arc::clone(&job.signals));
    async move {
        let _end = end;
        run_until_done(&board, job).await;
    }
}

async fn run_until_done(board: &Board, job: Job) {
    let signals = Arc::clone(&job.signals);
    let mut runner = Runner { job, given_up: None };
    let mut jitter = Jitter::new();
    loop {
        while board.is_held_back(&signals) && !signals.refresh.load(Ordering::Acquire) {
            signals.poke.notified().await;
        }
        signals.refresh.store(false, Ordering::Release);
        signals.released.store(false, Ordering::Release);
        let number = signals.started.fetch_add(1, Ordering::AcqRel) + 1;
        let (started, began) = (board.clock().now(), Instant::now());
        let outcome = runner.run(board).await;
        let next = board.record(&signals, Finished { outcome, started });
        // A request that came during the run has been answered by it.
        signals.wake.store(false, Ordering::Release);
        signals.finished.send_replace(number);
        let Some(Next::After(spacing)) = next else { return };
        let spacing = jitter.around(spacing);
        // A run that took longer than the spacing is followed by a pause all the same.
        let due = (began + spacing).max(Instant::now() + spacing / 4);
        loop {
            select! {
                () = sleep_until(due) => break,
                () = signals.poke.notified() => {
                    let asked = |flag: &AtomicBool| flag.load(Ordering::Acquire);
                    if asked(&signals.wake) || asked(&signals.refresh) || asked(&signals.released) {
                        break;
                    }
                }
            }
        }
    }
}

struct EndOnDrop(Arc<Signals>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Runs a check, one run at a time.
struct Runner {
    job: Job,
    /// A run that was cancelled and whose future may still be alive, because it blocks its thread.
    given_up: Option<GivenUp>,
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
    Error(crate::check::error::CheckError),
    Timeout,
}

impl Runner {
    async fn run(&mut self, board: &Board) -> Outcome {
        if let Some(GivenUp { run, since, began }) = &self.given_up {
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
        let timeout = self.job.plan.timeout;
        let (since, began) = (SystemTime::now(), Instant::now());
        let deadline = began + timeout;
        let check = Arc::clone(&self.job.check);
        let run = Run { check: Arc::clone(&self.job.name), deadline };
        // The check is asked first and the clock second, so that a late but finished answer counts. A task of its own
        // keeps a panic, and a check that never yields, away from this one.
        let mut handle = AbortOnDrop(tokio::spawn(async move {
            match timeout_at(deadline, run.scope(async move { check.check().await })).await {
                Ok(result) => result.map_err(Failure::Error),
                Err(_) => Err(Failure::Timeout),
            }
        }));
        let joined = select! {
            biased;
            joined = &mut handle.0 => Some(joined),
            // Twice: after a stall of the whole machine both timers are over at once, and the run must have had a turn
            // to see that its answer has come.
            () = async { sleep_until(deadline + GRACE).await; sleep(GRACE).await } => None,
        };
        match joined {
            Some(Ok(Ok(outcome))) => outcome,
            Some(Ok(Err(Failure::Error(error)))) => Outcome::from(error),
            Some(Ok(Err(Failure::Timeout))) => timed_out(timeout),
            Some(Err(join)) => match join.try_into_panic() {
                Ok(payload) => {
                    board.panicked(&self.job.name, panic_text(&*payload));
                    Outcome::unhealthy("the check panicked; the log has what it said").reason(Reason::Panicked)
                }
                Err(_) => Outcome::unhealthy("the runtime cancelled the run"),
            },
            None => {
                handle.0.abort();
                self.given_up = Some(GivenUp { run: handle, since, began });
                timed_out(timeout)
            }
        }
    }
}

fn timed_out(timeout: Duration) -> Outcome {
    Outcome::unhealthy(format!("no answer within {timeout:?}")).reason(Reason::Timeout)
}

/// Beats, and passes on which checks requests have asked for.
pub(crate) async fn coordinate(board: Arc<Board>) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Nobody knows what the application did before the first.
    let mut last = None;
    loop {
        select! {
            _ = beat.tick() => {
                let gap = last.replace(Instant::now()).map_or(Duration::ZERO, |last: Instant| last.elapsed());
                if gap >= STOOD_STILL {
                    board.stood_still(gap);
                }
                board.beat();
            }
            () = board.coordinator.notified() => board.wanted().iter().for_each(|signals| signals.wake()),
        }
    }
}
