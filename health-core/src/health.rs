//! The builder and the handle.

use std::{
    fmt, mem, panic,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{runtime::Handle, task::JoinHandle};

use crate::{
    board::Board,
    check::registration::Registration,
    config::{
        defaults::Defaults,
        error::{BuildError, MuteError, RemoveError, UnknownCheck},
        plan::{self, Node},
    },
    lifecycle::Leaving,
    model::{
        change::Changes,
        report::Report,
        status::{Lifecycle, Probe, Status},
    },
    publish::{Publisher, Source},
    redact::Secrets,
    scheduler::{self, Job, Signals},
    slot::NewSlot,
    snapshot::About,
    time::Clock,
};

/// What is to be watched, before it is.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `.start()`"]
pub struct Builder {
    about: About,
    secrets: Secrets,
    checks: Vec<(String, Registration)>,
    defaults: Defaults,
    #[cfg(feature = "serde")]
    settings: crate::config::settings::Settings,
}

impl Builder {
    /// The service's name, shown at full visibility, and told by publishers.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.about.service = Some(name.into().into());
        self
    }

    /// The service's version, shown at full visibility.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.about.version = Some(version.into().into());
        self
    }

    /// A string that must appear in no body and no log line, besides the known shapes of secrets. An empty one is
    /// ignored.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.add(secret.into());
        self
    }

    /// Adds a check. Names are 1 to 64 letters, digits, `_`, `-` and `.`; reports list checks in this order.
    pub fn check(mut self, name: impl Into<String>, check: impl Into<Registration>) -> Self {
        self.checks.push((name.into(), check.into()));
        self
    }

    /// What holds for every check that says nothing else, those inserted later included.
    pub fn defaults(mut self, defaults: Defaults) -> Self {
        self.defaults = defaults;
        self
    }

    /// What an operator has to say about the checks of this builder, in place of what the code says. Needs the feature
    /// `serde`.
    #[cfg(feature = "serde")]
    pub fn settings(mut self, settings: crate::config::settings::Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Starts one task per check on the current Tokio runtime; every check runs at once. The runtime is captured
    /// here, so that no check ever runs on a worker that merely served a request.
    ///
    /// # Errors
    ///
    /// Every contradiction and every call outside a runtime is a [`BuildError`] that says what to change; nothing has
    /// been started then.
    pub fn start(self) -> Result<Health, BuildError> {
        let Prepared { about, secrets, checks, defaults } = self.prepare()?;
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        // There is no other way to ask a runtime whether it has a timer.
        panic::catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).map_err(|_| BuildError::NoTimer)?;
        let (slots, jobs): (Vec<NewSlot>, Vec<Job>) = checks.into_iter().unzip();
        let board = Arc::new(Board::new(Clock::running(), about, secrets, slots));
        let inner = Inner {
            board,
            defaults,
            runtime: Some(runtime),
            tasks: Mutex::default(),
            publishers: Mutex::default(),
            leaving: Leaving::default(),
        };
        inner.spawn_coordinator();
        for job in jobs {
            inner.spawn(job);
        }
        Ok(Health { inner: Arc::new(inner) })
    }

    /// A board that nothing runs on.
    #[cfg(feature = "testing")]
    pub(crate) fn freeze(self, clock: Clock) -> Result<Health, BuildError> {
        let Prepared { about, secrets, checks, defaults } = self.prepare()?;
        let slots = checks.into_iter().map(|(slot, _)| slot).collect();
        let board = Arc::new(Board::new(clock, about, secrets, slots));
        let inner = Inner {
            board,
            defaults,
            runtime: None,
            tasks: Mutex::default(),
            publishers: Mutex::default(),
            leaving: Leaving::default(),
        };
        Ok(Health { inner: Arc::new(inner) })
    }

    /// Validates everything before anything happens.
    fn prepare(self) -> Result<Prepared, BuildError> {
        let configured = self.configured()?;
        let nodes: Vec<Node<'_>> = configured
            .checks
            .iter()
            .map(|(name, registration)| Node { name, options: &registration.options })
            .collect();
        let mut slots = Vec::new();
        for (name, registration) in &configured.checks {
            slots.push(prepare(name, registration)?);
        }
        plan::check_graph(&nodes)?;
        let Self { about, secrets, defaults, .. } = configured;
        Ok(Prepared { about, secrets, checks: slots, defaults })
    }

    /// With the settings and the defaults applied: the settings first, as they overrule what the code says.
    #[cfg_attr(not(feature = "serde"), expect(clippy::unnecessary_wraps, reason = "settings can be wrong"))]
    fn configured(mut self) -> Result<Self, BuildError> {
        #[cfg(feature = "serde")]
        {
            // Before anything is looked up by name.
            if let Some((name, _)) = duplicate(&self.checks) {
                return Err(BuildError::DuplicateName { name: name.clone() });
            }
            self.settings.apply(&mut self.checks)?;
            self.defaults = self.settings.defaults(self.defaults)?;
        }
        for (_, registration) in &mut self.checks {
            self.defaults.fill(&mut registration.options);
        }
        Ok(self)
    }
}

/// A check whose name another had before it.
#[cfg(feature = "serde")]
fn duplicate(checks: &[(String, Registration)]) -> Option<&(String, Registration)> {
    checks
        .iter()
        .enumerate()
        .find(|(at, (name, _))| checks[..*at].iter().any(|(other, _)| other == name))
        .map(|it| it.1)
}

/// Everything of a builder, validated.
struct Prepared {
    defaults: Defaults,
    about: About,
    secrets: Secrets,
    checks: Vec<(NewSlot, Job)>,
}

/// A registration, validated by itself.
fn prepare(name: &str, registration: &Registration) -> Result<(NewSlot, Job), BuildError> {
    let plan = Arc::new(plan::plan(name, &registration.options)?);
    registration.check.validate().map_err(|message| BuildError::InvalidCheck { name: name.to_owned(), message })?;
    let name: Arc<str> = Arc::from(name);
    let signals = Arc::new(Signals::new());
    let slot = NewSlot {
        name: Arc::clone(&name),
        options: registration.options.clone(),
        plan: Arc::clone(&plan),
        signals: Arc::clone(&signals),
    };
    Ok((slot, Job { name, check: Arc::clone(&registration.check), plan, signals }))
}

/// The running checks. Cheap to clone; dropping the last handle stops the tasks.
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

pub(crate) struct Inner {
    pub(crate) board: Arc<Board>,
    defaults: Defaults,
    /// `None` where nothing runs: frozen for a test.
    runtime: Option<Handle>,
    tasks: Mutex<Vec<Task>>,
    /// They end by themselves when the checks stop, after they have told of it.
    publishers: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) leaving: Leaving,
}

/// A running task, and the check that it runs; the coordinator has none.
struct Task {
    signals: Option<Arc<Signals>>,
    handle: JoinHandle<()>,
}

impl Inner {
    fn spawn_coordinator(&self) {
        self.keep(None, scheduler::coordinate(Arc::clone(&self.board)));
    }

    fn spawn(&self, job: Job) {
        let signals = Arc::clone(&job.signals);
        self.keep(Some(signals), scheduler::run_check(Arc::clone(&self.board), job));
    }

    fn keep(&self, signals: Option<Arc<Signals>>, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            let handle = runtime.spawn(task);
            self.tasks().push(Task { signals, handle });
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_tasks(&self) -> Vec<JoinHandle<()>> {
        mem::take(&mut *self.tasks()).into_iter().map(|task| task.handle).collect()
    }

    fn publishers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.publishers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publishers_have_ended(&self) -> bool {
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

impl Health {
    /// Begins a description of what is to be watched.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The full report as of now, stale results included. Its parts are shared, not copied.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        self.inner.board.report(None)
    }

    /// The report of one probe as of now.
    #[must_use]
    pub fn probe(&self, probe: Probe) -> Arc<Report> {
        self.inner.board.report(Some(probe))
    }

    /// What a probe would be told now.
    #[must_use]
    pub fn status(&self, probe: Probe) -> Status {
        self.probe(probe).status
    }

    /// Every change from now on.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        self.inner.board.subscribe()
    }

    /// Lets a publisher tell another system how the service is, on a task of its own, until the checks stop. Nothing happens
    /// for a frozen service, which has no runtime.
    ///
    /// End with [`stop`](Self::stop), which waits for what publishers have still to say: tasks that nobody waits for end
    /// with the runtime.
    pub fn publish(&self, publisher: impl Publisher) {
        if let Some(runtime) = &self.inner.runtime {
            let source = Source::new(Arc::clone(&self.inner.board));
            let task = runtime.spawn(async move { Box::new(publisher).publish(source).await });
            let mut publishers = self.inner.publishers();
            publishers.retain(|publisher| !publisher.is_finished());
            publishers.push(task);
        }
    }

    /// Runs a check and waits for a run that started after this call, then tells the check's status. A check held
    /// back by `depends_on` is run all the same; one that will not run any more just tells its last status.
    ///
    /// # Errors
    ///
    /// There is no check of that name, or it was removed while waiting.
    pub async fn refresh(&self, name: &str) -> Result<Status, UnknownCheck> {
        let unknown = || UnknownCheck { name: name.to_owned() };
        let signals = self.inner.board.signals(name).ok_or_else(unknown)?;
        if self.inner.runtime.is_some() {
            signals.refreshed().await;
        }
        self.report().check(name).map(|check| check.status).ok_or_else(unknown)
    }

    /// Tells that a call of the application to what this check watches has failed, so that the check runs at once, also
    /// while its runs are spaced out after many failures. Costs next to nothing and may be called on every failed call:
    /// it makes a check run at most once a second, and none while a run is under way or one it depends on has failed.
    ///
    /// `false` if there is no check of that name.
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
        self.inner.board.suspect(name)
    }

    /// Takes a check's failure for known until a moment: it counts as Degraded at most, is shown as muted with the note
    /// (redacted; at full visibility), and counts in full again within a second after that moment. The check goes on
    /// running. What depends on it is held back as before and Degraded, too, if all that it waits for is muted. Muting
    /// again replaces the earlier word.
    ///
    /// # Errors
    ///
    /// There is no check of that name, the moment has passed, or the checks have been stopped.
    pub fn mute(&self, name: &str, until: SystemTime, note: impl AsRef<str>) -> Result<(), MuteError> {
        if until <= self.inner.board.clock().wall() {
            return Err(MuteError::Past { until });
        }
        self.inner.board.mute(name, Some((until, note.as_ref())))
    }

    /// Ends a mute before its time.
    ///
    /// # Errors
    ///
    /// There is no check of that name, or the checks have been stopped.
    pub fn unmute(&self, name: &str) -> Result<(), MuteError> {
        self.inner.board.mute(name, None)
    }

    /// Adds a check to the running ones; it runs at once. While the service is Ready it counts for nothing until its
    /// first result, so that an insertion never turns a probe by itself.
    ///
    /// # Errors
    ///
    /// What [`Builder::start`] would refuse, and [`BuildError::Stopped`] after [`stop`](Self::stop).
    pub fn insert(&self, name: impl AsRef<str>, check: impl Into<Registration>) -> Result<(), BuildError> {
        let mut registration = check.into();
        self.inner.defaults.fill(&mut registration.options);
        let (slot, job) = prepare(name.as_ref(), &registration)?;
        self.inner.board.insert(slot)?;
        self.inner.spawn(job);
        if self.report().lifecycle == Lifecycle::Stopped {
            // Stopped in the meantime, by somebody who could not know of this task.
            self.inner.take_tasks().iter().for_each(JoinHandle::abort);
        }
        Ok(())
    }

    /// Takes a check out; a run under way is cancelled.
    ///
    /// # Errors
    ///
    /// There is no check of that name, or others depend on it: then it stays.
    pub fn remove(&self, name: &str) -> Result<(), RemoveError> {
        let signals = self.inner.board.remove(name)?;
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
