//! The handle of a running service.

#[cfg(feature = "serde")]
mod apply;
pub(crate) mod builder;
pub(crate) mod drain;
mod lifecycle;
mod pause;
pub(crate) mod publisher;
#[cfg(feature = "signal")]
pub(crate) mod shutdown;

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::{runtime::Handle, task::JoinHandle};

#[cfg(feature = "serde")]
use crate::config::registered::Registered;
use crate::{
    check::{deadline::Run, error::InvalidCheck, registration::Registration},
    config::{
        error::{BuildError, MuteError, RemoveError, UnknownCheck},
        groups::Groups,
        mistakes::Mistakes,
        plan::{self, Node, Plan},
    },
    engine::{
        scheduler::{self, Job},
        signals::Signals,
        store::{Store, tracked_check::NewCheck},
    },
    health::{
        drain::DrainState,
        publisher::{Publisher, Source},
    },
    model::{
        change::Changes,
        report::Report,
        status::{Lifecycle, Probe, Status},
    },
    time::nanos,
};

/// A handle to the running checks of a service. Clones are cheap and share the checks. Dropping the last handle stops
/// the tasks.
///
/// ```
/// use std::time::Duration;
/// use health_core::{CheckExt, Health, check_fn};
///
/// # async fn verify() -> Result<(), std::io::Error> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder()
///     .service("orders")
///     .check("license", check_fn(|| async { verify().await?; Ok(()) }).every(Duration::from_secs(3600)).failures(3))
///     .start()?;
/// assert!(health.ready().await);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    /// `None` in a service that is frozen for a test, in which nothing runs.
    runtime: Option<Handle>,
    tasks: Mutex<Vec<Task>>,
    /// The tasks of publishers. They end by themselves once the checks have stopped and the last messages are sent.
    publishers: Mutex<Vec<JoinHandle<()>>>,
    drain_state: DrainState,
    /// The checks of a frozen service, which has no tasks to own them.
    frozen: Mutex<Vec<Job>>,
}

/// A running task and the signals of its check. The task of the coordinator has no signals.
struct Task {
    signals: Option<Arc<Signals>>,
    handle: JoinHandle<()>,
}

impl Inner {
    fn new(store: Store, runtime: Option<Handle>) -> Self {
        Self {
            store: Arc::new(store),
            runtime,
            tasks: Mutex::default(),
            publishers: Mutex::default(),
            drain_state: DrainState::default(),
            frozen: Mutex::default(),
        }
    }

    /// Starts the task of the coordinator.
    fn spawn_coordinator(&self) {
        self.keep(None, scheduler::coordinate(Arc::clone(&self.store)));
    }

    /// Starts the task of a check. In a frozen service the check is only kept.
    fn spawn(&self, job: Job) {
        job.check.attach(scheduler::handle(&self.store, &job));
        if self.runtime.is_none() {
            self.frozen.lock().unwrap_or_else(PoisonError::into_inner).push(job);
            return;
        }
        let signals = Arc::clone(&job.signals);
        self.keep(Some(signals), scheduler::run_check(Arc::clone(&self.store), job));
    }

    /// Spawns a task and keeps its handle.
    fn keep(&self, signals: Option<Arc<Signals>>, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            let handle = runtime.spawn(task);
            self.tasks().push(Task { signals, handle });
        }
    }

    /// Returns whether the runtime of the checks has been shut down.
    fn runtime_has_ended(&self) -> bool {
        self.runtime.as_ref().is_some_and(|runtime| {
            // A runtime that has ended drops a task at once.
            let task = runtime.spawn(std::future::pending::<()>());
            let has_ended = task.is_finished();
            task.abort();
            has_ended
        })
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_tasks(&self) -> Vec<JoinHandle<()>> {
        mem::take(&mut *self.tasks()).into_iter().map(|task| task.handle).collect()
    }

    fn publishers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.publishers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publishers_have_ended(&self) -> bool {
        self.publishers().iter().all(JoinHandle::is_finished)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let publishers = mem::take(self.publishers.get_mut().unwrap_or_else(PoisonError::into_inner));
        for task in self.take_tasks().into_iter().chain(publishers) {
            task.abort();
        }
    }
}

/// Values of the last prepared check. The next check shares them if its values are equal, which saves memory with
/// thousands of checks.
struct Shared {
    plan: Option<Arc<Plan>>,
    #[cfg(feature = "serde")]
    registered: Option<Arc<Registered>>,
    #[cfg(feature = "serde")]
    is_of_builder: bool,
}

impl Shared {
    fn of_builder() -> Self {
        Self {
            plan: None,
            #[cfg(feature = "serde")]
            registered: None,
            #[cfg(feature = "serde")]
            is_of_builder: true,
        }
    }

    fn inserted() -> Self {
        Self {
            #[cfg(feature = "serde")]
            is_of_builder: false,
            ..Self::of_builder()
        }
    }
}

/// Returns the last value if it is equal, otherwise the new one. Keeps the returned value as the last one.
fn shared<T: PartialEq>(last: &mut Option<Arc<T>>, value: T) -> Arc<T> {
    let value = last.take().filter(|last| **last == value).unwrap_or_else(|| Arc::new(value));
    *last = Some(Arc::clone(&value));
    value
}

/// Validates a registration and prepares it for the store and the scheduler. Collects mistakes.
fn prepare(
    name: &str,
    registration: &Registration,
    groups: &Groups,
    last: &mut Shared,
    mistakes: &mut Mistakes,
) -> Option<(NewCheck, Job)> {
    let group = groups.group_of(name, &registration.options, mistakes);
    let plan = plan::plan(name, &registration.options, mistakes).map(|plan| Plan { group, ..plan });
    let invalid = |error: InvalidCheck| BuildError::InvalidCheck { name: name.to_owned(), message: error.to_string() };
    let valid = mistakes.collect(registration.check.validate().map_err(invalid));
    let (plan, ()) = (plan?, valid?);
    let plan = shared(&mut last.plan, plan);
    let name: Arc<str> = Arc::from(name);
    let signals = Arc::new(Signals::new(nanos(plan.max_age), nanos(plan.traits.timeout)));
    let new = NewCheck {
        name: Arc::clone(&name),
        plan,
        #[cfg(feature = "serde")]
        registered: shared(&mut last.registered, Registered::of(registration, last.is_of_builder)),
        signals: Arc::clone(&signals),
    };
    Some((new, Job { name, check: Arc::clone(&registration.check), signals }))
}

impl Health {
    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Returns the current full report. Expired results are marked stale. The parts of the report are shared, not
    /// copied.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        self.inner.store.report(None)
    }

    /// Returns the current report of one probe.
    #[must_use]
    pub fn probe(&self, probe: Probe) -> Arc<Report> {
        self.inner.store.report(Some(probe))
    }

    /// Returns the current status of one probe.
    #[must_use]
    pub fn status(&self, probe: Probe) -> Status {
        self.inner.store.read().current().probe(probe, false).status()
    }

    /// Subscribes to every later change of a check's status and of the lifecycle.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        self.inner.store.subscribe()
    }

    /// Runs a publisher, which sends the state of the service to another system, on its own task until the checks stop.
    /// Does nothing for a frozen service, which has no runtime. Logs a warning and does nothing if the runtime has
    /// ended.
    ///
    /// Call [`stop`](Self::stop) before the runtime ends, because it waits for the last messages of publishers.
    /// Otherwise the tasks of publishers end with the runtime.
    pub fn publish(&self, publisher: impl Publisher) {
        if self.inner.runtime_has_ended() {
            tracing::warn!(target: "health", "publisher not started: the runtime of the checks has ended");
        } else if let Some(runtime) = &self.inner.runtime {
            let source = Source::new(Arc::clone(&self.inner.store));
            let task = runtime.spawn(async move { Box::new(publisher).publish(source).await });
            let mut publishers = self.inner.publishers();
            publishers.retain(|publisher| !publisher.is_finished());
            publishers.push(task);
        }
    }

    /// Runs a check, waits for a run that started after this call, and returns the status of the check. Also runs a
    /// check that `depends_on` holds back.
    ///
    /// Returns the last status at once for a check that no longer runs. The same applies if the call is made from a run
    /// of the check itself, or from a run of a member of a `Quorum` with this name, because the check would otherwise
    /// run itself without end.
    ///
    /// # Errors
    ///
    /// Returns an error if no check has this name, or if the check was removed during the wait.
    pub async fn refresh(&self, name: &str) -> Result<Status, UnknownCheck> {
        let unknown = || UnknownCheck { name: name.to_owned() };
        let signals = self.inner.store.signals(name).ok_or_else(unknown)?;
        if self.inner.runtime.is_some() && !self.is_run_by(name) {
            signals.refreshed().await;
            self.inner.store.flush();
        }
        self.inner.store.read().current().check(name).map(|page| page.status()).ok_or_else(unknown)
    }

    /// Returns whether the call is made from a run of this check or of one of its members.
    fn is_run_by(&self, name: &str) -> bool {
        let is_of = |run: &Run| self.inner.store.published().check_name(name).is_some_and(|name| run.is_of(name));
        Run::current().is_some_and(|run| is_of(&run))
    }

    /// Reports that a call of the application to the resource behind a check has failed. The check runs at once, even
    /// if its runs are spaced out after many failures.
    ///
    /// The call is cheap and may be made on every failure. It causes at most one run per second, and none while a run
    /// of the check is in progress or a check that it depends on has failed.
    ///
    /// Returns `false` if no check has this name.
    ///
    /// ```
    /// # use health_core::{Health, check_fn};
    /// # async fn query() -> Result<(), std::io::Error> { Err(std::io::ErrorKind::ConnectionReset.into()) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), health_core::BuildError> {
    /// let health = Health::builder().check("database", check_fn(|| async { query().await?; Ok(()) })).start()?;
    /// if query().await.is_err() {
    ///     health.suspect("database");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn suspect(&self, name: &str) -> bool {
        self.inner.store.suspect(name)
    }

    /// Mutes a check until the given time, because its failure is known. The check continues to run, but counts as
    /// Degraded at most. It is shown as muted; the redacted note is shown at full visibility only. The check counts in
    /// full again within 1 s after the given time. A later mute replaces an earlier one.
    ///
    /// A check that depends on the muted one is still held back. It also counts as Degraded at most if every check that
    /// holds it back is muted.
    ///
    /// # Errors
    ///
    /// Returns an error if no check has this name, if the time has passed, or if the checks have been stopped.
    pub fn mute(&self, name: &str, until: SystemTime, note: impl AsRef<str>) -> Result<(), MuteError> {
        if until <= self.inner.store.clock().wall() {
            return Err(MuteError::Past { until });
        }
        self.inner.store.mute(name, Some((until, note.as_ref())))
    }

    /// Ends the mute of a check early. Does nothing if the check is not muted.
    ///
    /// # Errors
    ///
    /// Returns an error if no check has this name, or if the checks have been stopped.
    pub fn unmute(&self, name: &str) -> Result<(), MuteError> {
        self.inner.store.mute(name, None)
    }

    /// Adds a check to the running checks. The check runs at once. If it is inserted while the service is Ready, it
    /// does not count until its first result, so that an insertion alone never changes the status of a probe.
    ///
    /// The builder's defaults and settings apply to the check. With the feature `serde`, `inserted.<name>` in the
    /// settings overrides the options in the code. If the settings there disable the check, it is not added, and the
    /// call succeeds.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Builder::start`](crate::Builder::start), [`BuildError::Stopped`] after
    /// [`stop`](Self::stop), and [`BuildError::RuntimeEnded`] if the runtime of the checks has ended.
    pub fn insert(&self, name: impl AsRef<str>, check: impl Into<Registration>) -> Result<(), BuildError> {
        self.insert_all([(name, check)])
    }

    /// Adds many checks to the running checks: all of them, or none if one is refused. Publishes once. For hundreds of
    /// checks, such as one per tenant, also use [`group`](crate::Builder::group) or
    /// [`no_metrics`](crate::CheckExt::no_metrics).
    ///
    /// ```
    /// use health_core::{CheckExt, Health, check_fn};
    ///
    /// # async fn ping(_: u32) -> Result<(), std::io::Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), health_core::BuildError> {
    /// let health = Health::builder().start()?;
    /// health.insert_all((0..500).map(|tenant| {
    ///     let check = check_fn(move || async move { ping(tenant).await?; Ok(()) });
    ///     (format!("tenant-{tenant}"), check.tag("tenants").report_only().no_metrics())
    /// }))?;
    /// # health.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`insert`](Self::insert), with the mistakes of all checks.
    pub fn insert_all<N: AsRef<str>, R: Into<Registration>>(
        &self,
        checks: impl IntoIterator<Item = (N, R)>,
    ) -> Result<(), BuildError> {
        let mut checks: Vec<(N, Registration)> = checks.into_iter().map(|(name, check)| (name, check.into())).collect();
        let jobs = loop {
            if let Some(jobs) = self.insert_by_presets(&mut checks)? {
                break jobs;
            }
        };
        jobs.into_iter().for_each(|job| self.inner.spawn(job));
        if self.inner.store.published().lifecycle() == Lifecycle::Stopped {
            // A concurrent call of `stop` could not see these tasks.
            self.inner.take_tasks().iter().for_each(JoinHandle::abort);
        }
        Ok(())
    }

    /// Adds checks to the store with the current settings. Returns the jobs to start; `None` if other settings were
    /// applied in the meantime.
    fn insert_by_presets<N: AsRef<str>>(
        &self,
        checks: &mut [(N, Registration)],
    ) -> Result<Option<Vec<Job>>, BuildError> {
        let mut mistakes = Mistakes::default();
        if self.inner.runtime_has_ended() {
            mistakes.push(BuildError::RuntimeEnded);
        }
        let presets = self.inner.store.presets();
        let published = self.inner.store.published();
        let runs = |name: &str| published.check(name).is_some();
        let enabled = presets.apply_to_inserted(checks, runs, &mut mistakes);
        let checks: Vec<&(N, Registration)> =
            checks.iter().zip(enabled).filter_map(|(check, is_enabled)| is_enabled.then_some(check)).collect();
        let nodes: Vec<Node<'_>> =
            checks.iter().map(|(name, check)| Node { name: name.as_ref(), options: &check.options }).collect();
        let mut last = Shared::inserted();
        let groups = &presets.groups;
        let prepared =
            checks.iter().filter_map(|(name, check)| prepare(name.as_ref(), check, groups, &mut last, &mut mistakes));
        let (new, jobs): (Vec<NewCheck>, Vec<Job>) = prepared.unzip();
        let is_inserted = self.inner.store.insert(new, &nodes, &presets, mistakes)?;
        Ok(is_inserted.then_some(jobs))
    }

    /// Removes a check. A run in progress is cancelled.
    ///
    /// # Errors
    ///
    /// Returns an error if no check has this name, or if other checks depend on it. In both cases nothing changes.
    pub fn remove(&self, name: &str) -> Result<(), RemoveError> {
        let signals = self.inner.store.remove(name)?;
        self.inner.tasks().retain(|task| {
            let is_it = task.signals.as_ref().is_some_and(|its| Arc::ptr_eq(its, &signals));
            if is_it {
                task.handle.abort();
            }
            !is_it
        });
        signals.end();
        Ok(())
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report();
        f.debug_struct("Health")
            .field("lifecycle", &report.lifecycle)
            .field("status", &report.status)
            .field("checks", &report.checks.len())
            .finish_non_exhaustive()
    }
}
