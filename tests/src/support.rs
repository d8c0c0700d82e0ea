//! Small helpers of several tests: durations, a [`Health`] with one check, and the answers of a [`Health`].

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Waker},
    thread::{self, JoinHandle},
    time::Duration,
};

use health_core::{
    Check, CheckReport, CheckResult, Endpoint, Health, Outcome, Reason, Registration, Request, Response, Status,
    async_trait, testing::Frozen,
};

use crate::wait::{self, HANG};

/// Returns a duration of this number of seconds.
#[must_use]
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns a duration of this number of milliseconds.
#[must_use]
pub const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Returns whether the long forms of tests run: `tests/run --long`.
#[must_use]
pub fn long() -> bool {
    std::env::var_os("HEALTH_TESTS_LONG").is_some()
}

/// Returns the core's answer to a GET without headers.
#[must_use]
pub fn get(health: &Health, target: &str) -> Response {
    ask(&Endpoint::from(health.clone()), "GET", target)
}

/// Returns an endpoint's answer to a request without headers.
///
/// # Panics
///
/// Panics if the path does not belong to the endpoint.
pub fn ask(endpoint: &Endpoint, method: &str, target: &str) -> Response {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let request = Request::new(method, path, query, None, &|_, _| None);
    endpoint.respond(&request).unwrap_or_else(|| panic!("{target} does not belong to the endpoint"))
}

/// Returns the status code of a GET.
#[must_use]
pub fn code(health: &Health, target: &str) -> u16 {
    get(health, target).status
}

/// Returns the body of a GET as text.
#[must_use]
pub fn body(health: &Health, target: &str) -> String {
    String::from_utf8_lossy(&get(health, target).body).into_owned()
}

/// Lets every task run until it waits, on the paused clock.
pub async fn settle() {
    tokio::time::sleep(millis(1)).await;
}

/// Polls a future once and drops it. Returns whether it was ready.
pub fn poll_once<T>(future: impl Future<Output = T>) -> bool {
    let mut future = std::pin::pin!(future);
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Stops the advance of Tokio's paused clock, while threads and sockets work in real time.
///
/// A paused clock advances by itself when every task waits, but not while a blocking task runs. This value holds such a
/// task.
#[derive(Debug)]
pub struct StandingClock {
    /// Dropping the sender ends the blocking task.
    _end: mpsc::Sender<()>,
}

impl StandingClock {
    /// Stops the clock until the value is dropped.
    #[must_use]
    pub fn hold() -> Self {
        let (end, ended) = mpsc::channel::<()>();
        drop(tokio::task::spawn_blocking(move || ended.recv()));
        Self { _end: end }
    }

    /// Advances the clock in steps of 10 ms, so that all timers fire in their order, and lets tasks run after each
    /// step.
    pub async fn advance(&self, by: Duration) {
        const STEP: Duration = millis(10);
        let mut left = by;
        while !left.is_zero() {
            let step = left.min(STEP);
            tokio::time::advance(step).await;
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            left -= step;
        }
    }
}

/// Returns a [`Health`] with one check, `x`, after its first run. The run has a deadline of [`HANG`], which suits a
/// slow machine.
///
/// # Panics
///
/// Panics if the check is refused.
pub async fn checked(check: impl Into<Registration>) -> Health {
    checked_within(HANG, check).await
}

/// Returns a [`Health`] with one check, `x`, after its first run. The run has this deadline.
///
/// # Panics
///
/// Panics if the check is refused.
pub async fn checked_within(deadline: Duration, check: impl Into<Registration>) -> Health {
    let health =
        Health::builder().check("x", check.into().timeout(deadline)).start().expect("a check that is accepted");
    let _clock = StandingClock::hold();
    health.refresh("x").await.expect("the check");
    health
}

/// Returns the current report of the check `x`.
#[must_use]
pub fn shown(health: &Health) -> Arc<CheckReport> {
    Arc::clone(&health.report().checks()[0])
}

/// Runs the check `x` and returns its report. A paused clock does not advance in the meantime.
///
/// # Panics
///
/// Panics if there is no check `x`.
pub async fn rerun(health: &Health) -> Arc<CheckReport> {
    let _clock = StandingClock::hold();
    health.refresh("x").await.expect("the check");
    shown(health)
}

/// Runs the check `x` again and again until it shows this verdict.
///
/// # Panics
///
/// Panics if the check shows another verdict after [`HANG`].
pub async fn turns(health: &Health, status: Status, reason: Option<Reason>) {
    wait::done(status.as_str(), async || {
        let report = rerun(health).await;
        let found = verdict(&report);
        if found == (status, reason) { Ok(()) } else { Err(found) }
    })
    .await;
}

/// Returns the status and the reason that a check shows.
#[must_use]
pub fn verdict(report: &CheckReport) -> (Status, Option<Reason>) {
    (report.status(), report.reason())
}

/// Returns a number that a check observed.
///
/// # Panics
///
/// Panics if the check observed no number of this name.
#[must_use]
pub fn observed(report: &CheckReport, name: &str) -> f64 {
    let found = report.observed().iter().find(|observed| observed.name == name);
    found.unwrap_or_else(|| panic!("the check did not observe {name}: {report:?}")).value.as_f64()
}

/// Returns the number of finished runs of the check `x`.
#[must_use]
pub fn runs(health: &Health) -> u64 {
    shown(health).history().totals().durations().count()
}

/// Returns the error of a refused registration.
///
/// # Panics
///
/// Panics if the registration is accepted.
#[must_use]
pub fn invalid(check: impl Into<Registration>) -> String {
    Frozen::new(Health::builder().check("x", check)).expect_err("a check that is refused").to_string()
}

/// A check that queries another service, as `Upstream` does, but without a network.
#[derive(Debug)]
pub struct Asks;

#[async_trait]
impl Check for Asks {
    async fn check(&self) -> CheckResult {
        Ok(Outcome::healthy())
    }

    fn asks_a_service(&self) -> bool {
        true
    }
}

/// Returns an HTTP client that trusts no certificate.
#[must_use]
pub fn client() -> reqwest::Client {
    crate::certificates::client(rustls::RootCertStore::empty())
}

/// A buffer for log lines.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Returns a subscriber that logs events of every level into this buffer.
    #[must_use]
    pub fn logging(&self) -> tracing::Dispatch {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        tracing::Dispatch::new(subscriber.finish())
    }

    /// Returns all lines since the last call and removes them.
    #[must_use]
    pub fn take(&self) -> String {
        let lines = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&lines).into_owned()
    }

    /// Returns all lines.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Worker threads of a runtime that are blocked until this value is dropped.
#[derive(Debug)]
pub struct Blocked {
    /// Dropping the senders releases the workers.
    _held: Vec<mpsc::Sender<()>>,
}

impl Blocked {
    /// Blocks this number of workers and waits until they are blocked.
    ///
    /// # Panics
    ///
    /// Panics if the runtime has fewer free workers.
    #[must_use]
    pub fn workers(runtime: &tokio::runtime::Handle, count: usize) -> Self {
        let (begun, begins) = mpsc::channel();
        let hold = |_| {
            let (end, ended) = mpsc::channel::<()>();
            let begun = begun.clone();
            drop(runtime.spawn(async move {
                let _ = begun.send(());
                let _ = ended.recv();
            }));
            end
        };
        let held = (0..count).map(hold).collect();
        (0..count).for_each(|_| begins.recv_timeout(HANG).expect("a worker that is free"));
        Self { _held: held }
    }
}

/// Two busy threads for each core, which run until this value is dropped.
#[derive(Debug)]
pub struct Burning {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Burning {
    /// Starts two threads for each core.
    #[must_use]
    pub fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let burn = |_| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                let mut number = 1_u64;
                while !over.load(Ordering::Relaxed) {
                    number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                }
            })
        };
        let threads = (0..cores * 2).map(burn).collect();
        Self { over, threads }
    }
}

impl Drop for Burning {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
