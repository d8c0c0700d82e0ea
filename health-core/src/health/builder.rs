//! The builder of a service.

use std::{panic, sync::Arc, time::Duration};

use tokio::runtime::Handle;

#[cfg(feature = "serde")]
use crate::config::settings::Settings;
use crate::{
    check::registration::Registration,
    config::{
        defaults::Defaults,
        error::BuildError,
        mistakes::Mistakes,
        plan::{Graph, Node},
        presets::Presets,
    },
    engine::{
        scheduler::Job,
        snapshot::contents::About,
        store::{Store, tracked_check::NewCheck},
    },
    health::{Health, Inner, Shared, prepare},
    model::status::Probe,
    redact::Secrets,
    time::Clock,
};

/// Configures a service and its checks before they start.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `.start()`"]
pub struct Builder {
    about: About,
    secrets: Secrets,
    checks: Vec<(String, Registration)>,
    presets: Presets,
}

impl Health {
    /// Returns a builder without any check.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// Sets the name of the service, shown at full visibility and sent by publishers.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.about.service = Some(name.into().into());
        self
    }

    /// Sets the version of the service, shown at full visibility.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.about.version = Some(version.into().into());
        self
    }

    /// Adds a service of `grpc.health.v1` under a name of its own, with the status of a probe. Envoy and gRPC's own
    /// clients ask for the full name of a service, such as `orders.v1.Orders`, which should have the status of
    /// readiness. Can be given several times. A name that a check or a probe has is refused.
    pub fn grpc_service(mut self, name: impl Into<String>, probe: Probe) -> Self {
        self.about.grpc_services.push((name.into().into(), probe));
        self
    }

    /// Adds a string that must appear in no body and no log line, besides the known shapes of secrets. An empty string
    /// is ignored.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.add(secret.into());
        self
    }

    /// Adds a check. A name has 1 to 64 letters, digits, `_`, `-` and `.`, and not dots alone; `starting` and
    /// `shutdown` are reserved. Reports list the checks in this order.
    pub fn check(mut self, name: impl Into<String>, check: impl Into<Registration>) -> Self {
        self.checks.push((name.into(), check.into()));
        self
    }

    /// Makes a tag a group: every check with this tag, those inserted later included, is a member, and documents and
    /// metrics show one row for all members. For checks by the hundred, such as one per tenant. Can be given several
    /// times.
    ///
    /// It changes what is shown and nothing else: verdicts, codes, root causes, excludes, subscriptions and the history
    /// stay those of the members. `/health/tags/{tag}` lists the members, and each has its `/health/checks/{name}`.
    ///
    /// A check with the tags of two groups is refused, and so is one that has the name of a group. A group without
    /// members is shown in metrics alone.
    ///
    /// ```
    /// use health_core::{CheckExt, Health, check_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), health_core::BuildError> {
    /// let mut builder = Health::builder().group("tenants");
    /// for tenant in 0..500 {
    ///     builder = builder.check(format!("tenant-{tenant}"), check_fn(|| async { Ok(()) }).tag("tenants"));
    /// }
    /// let health = builder.start()?;
    /// let report = health.report();
    /// assert_eq!((report.checks().len(), report.listed().count()), (500, 0));
    /// assert_eq!((report.groups()[0].name(), report.groups()[0].checks()), ("tenants", 500));
    /// # health.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn group(mut self, tag: impl Into<String>) -> Self {
        self.presets.groups.add(tag.into().into());
        self
    }

    /// Sets the defaults for options that a check leaves open. They also apply to checks inserted later.
    pub fn defaults(mut self, defaults: Defaults) -> Self {
        self.presets.defaults = defaults;
        self
    }

    /// Sets an operator's options of checks, which override the options in the code. They are kept for checks that are
    /// inserted later. [`Health::apply`] replaces them in the running service. Needs the feature `serde`.
    #[cfg(feature = "serde")]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.presets.settings = settings;
        self
    }

    /// Starts one task per check on the current Tokio runtime; every check runs at once. The runtime is captured
    /// here, so that no check ever runs on the runtime of a worker that only serves requests.
    ///
    /// # Errors
    ///
    /// Returns a [`BuildError`] that says what to change if the configuration is invalid or contradicts itself, or if
    /// the call is made outside a runtime with a timer. Nothing has been started then.
    pub fn start(self) -> Result<Health, BuildError> {
        let mut mistakes = Mistakes::default();
        let runtime = mistakes.collect(runtime());
        let Prepared { about, secrets, checks, presets } = self.prepare(mistakes)?;
        let (new, jobs): (Vec<NewCheck>, Vec<Job>) = checks.into_iter().unzip();
        let store = Store::new(Clock::running(), about, secrets, presets, new);
        let inner = Inner::new(store, runtime);
        inner.spawn_coordinator();
        for job in jobs {
            inner.spawn(job);
        }
        Ok(Health { inner: Arc::new(inner) })
    }

    /// Creates a service whose checks never run.
    #[cfg(feature = "testing")]
    pub(crate) fn freeze(self, clock: Clock) -> Result<Health, BuildError> {
        let Prepared { about, secrets, checks, presets } = self.prepare(Mistakes::default())?;
        let (new, jobs): (Vec<NewCheck>, Vec<Job>) = checks.into_iter().unzip();
        let inner = Inner::new(Store::new(clock, about, secrets, presets, new), None);
        jobs.into_iter().for_each(|job| inner.spawn(job));
        Ok(Health { inner: Arc::new(inner) })
    }

    /// Validates the whole configuration before anything starts, and returns all its mistakes together.
    fn prepare(mut self, mut mistakes: Mistakes) -> Result<Prepared, BuildError> {
        self.presets.apply(&mut self.checks, &mut mistakes);
        let groups = &self.presets.groups;
        groups.check(&mut mistakes);
        self.about.groups = groups.names().to_vec();
        let nodes: Vec<Node<'_>> =
            self.checks.iter().map(|(name, registration)| Node { name, options: &registration.options }).collect();
        let mut last = Shared::of_builder();
        let prepared: Vec<Option<(NewCheck, Job)>> =
            self.checks.iter().map(|(name, check)| prepare(name, check, groups, &mut last, &mut mistakes)).collect();
        let graph = Graph::new(&nodes, |_| None);
        graph.check(&mut mistakes);
        graph.check_grpc_services(&self.about.grpc_services, &mut mistakes);
        mistakes.result()?;
        let checks = prepared.into_iter().flatten().collect();
        Ok(Prepared { about: self.about, secrets: self.secrets, checks, presets: self.presets })
    }
}

/// Returns the current runtime, if it can run checks.
fn runtime() -> Result<Handle, BuildError> {
    let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
    // Tokio offers no other way to find out whether a runtime has a timer.
    panic::catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).map_err(|_| BuildError::NoTimer)?;
    Ok(runtime)
}

/// The validated parts of a builder.
struct Prepared {
    presets: Presets,
    about: About,
    secrets: Secrets,
    checks: Vec<(NewCheck, Job)>,
}
