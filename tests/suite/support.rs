//! Small helpers of several tests.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use health_core::{
    Check, CheckReport, CheckResult, Endpoint, Health, Outcome, Reason, Registration, Request, Response, Status,
    async_trait, testing::Frozen,
};

/// What the core answers to a GET without headers.
pub(crate) fn get(health: &Health, target: &str) -> Response {
    ask(&Endpoint::from(health.clone()), "GET", target)
}

/// What an endpoint answers to a request without headers.
pub(crate) fn ask(endpoint: &Endpoint, method: &str, target: &str) -> Response {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let request = Request { method, path, query, peer: None, header: &|_| None };
    endpoint.respond(&request).unwrap_or_else(|| panic!("{target} is not ours"))
}

/// The code of a GET.
pub(crate) fn code(health: &Health, target: &str) -> u16 {
    get(health, target).status
}

/// The body of a GET as text.
pub(crate) fn body(health: &Health, target: &str) -> String {
    String::from_utf8(get(health, target).body.to_vec()).unwrap()
}

/// Lets every task do what it can do now, on the paused clock.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Whether the long forms of tests are wanted: `tests/run --long`.
pub(crate) fn long() -> bool {
    std::env::var_os("HEALTH_TESTS_LONG").is_some()
}

/// Polls a future once and drops it.
pub(crate) fn poll_once<T>(future: impl Future<Output = T>) -> bool {
    let mut future = std::pin::pin!(future);
    future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A health with one check, called `x`, after its first run.
pub(crate) async fn checked(check: impl Into<Registration>) -> Health {
    let health = Health::builder().check("x", check).start().unwrap();
    health.refresh("x").await.unwrap();
    health
}

/// What the check `x` shows now.
pub(crate) fn shown(health: &Health) -> Arc<CheckReport> {
    Arc::clone(&health.report().checks[0])
}

/// Runs the check `x` and tells what it shows then.
pub(crate) async fn rerun(health: &Health) -> Arc<CheckReport> {
    health.refresh("x").await.unwrap();
    shown(health)
}

/// The status and the reason that a check shows.
pub(crate) fn verdict(report: &CheckReport) -> (Status, Option<Reason>) {
    (report.status, report.reason)
}

/// A number that a check observed.
pub(crate) fn observed(report: &CheckReport, name: &str) -> f64 {
    let found = report.observed.iter().find(|observed| observed.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {report:?}")).value.as_f64()
}

/// The error of a registration that is refused.
pub(crate) fn invalid(check: impl Into<Registration>) -> String {
    Frozen::new(Health::builder().check("x", check)).unwrap_err().to_string()
}

/// A check that asks a service, as `Upstream` does, without a network.
pub(crate) struct Asks;

#[async_trait]
impl Check for Asks {
    async fn check(&self) -> CheckResult {
        Ok(Outcome::healthy())
    }

    fn asks_a_service(&self) -> bool {
        true
    }
}

/// A client of HTTP that trusts nobody.
pub(crate) fn client() -> reqwest::Client {
    health_tests::certificates::client(tokio_rustls::rustls::RootCertStore::empty())
}

/// Notes how late a thread of its own wakes: the machine's mood, which no code of ours can help.
pub(crate) struct Mood {
    worst: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Mood {
    pub(crate) fn watch() -> Self {
        let mood = Self { worst: Arc::default(), over: Arc::default() };
        let (worst, over) = (Arc::clone(&mood.worst), Arc::clone(&mood.over));
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let before = Instant::now();
                thread::sleep(millis(10));
                let late = before.elapsed().saturating_sub(millis(10));
                worst.fetch_max(u64::try_from(late.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        mood
    }

    /// The worst so far.
    pub(crate) fn stalled(&self) -> Duration {
        millis(self.worst.load(Ordering::Relaxed))
    }
}

impl Drop for Mood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// A place for log lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Logs everything here, at every level.
    pub(crate) fn logging(&self) -> tracing::Dispatch {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        tracing::Dispatch::new(subscriber.finish())
    }

    /// All of them.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
