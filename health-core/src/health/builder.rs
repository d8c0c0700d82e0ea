//! The builder of a [`Health`].

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
    /// Sets the name of the service, which is shown at full visibility and sent by publishers. Default none.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.about.service = Some(name.into().into());
        self
    }

    /// Sets the version of the service, which is shown at full visibility. Default none.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.about.version = Some(version.into().into());
        self
    }

    /// Adds a service of `grpc.health.v1` with this name and the status of a probe. Envoy and gRPC clients request the
    /// full name of a service, such as `orders.v1.Orders`, which should have the status of readiness. Can be called
    /// several times. [`start`](Self::start) refuses an empty name and the name of a probe, a check or another such
    /// service.
    pub fn grpc_service(mut self, name: impl Into<String>, probe: Probe) -> Self {
        self.about.grpc_services.push((name.into().into(), probe));
        self
    }

    /// Adds a secret that is redacted in every body, log line, metric label and notification. Known shapes of secrets
    /// are redacted without this call. An empty string is ignored. Can be called several times.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.add(secret.into());
        self
    }

    /// Adds a check. Reports list the checks in the order of these calls.
    ///
    /// A name consists of 1 to 64 letters, digits, `_`, `-` and `.`, at least one of them not a dot. The names
    /// `starting` and `shutdown` are reserved.
    pub fn check(mut self, name: impl Into<String>, check: impl Into<Registration>) -> Self {
        self.checks.push((name.into(), check.into()));
        self
    }

    /// Turns a tag into a group. Every check with this tag is a member, including checks that are inserted later.
    /// Documents and metrics show one row for all members. Intended for services with hundreds of checks, such as one
    /// per tenant. Can be called several times.
    ///
    /// A group changes only the presentation. Verdicts, codes, root causes, excludes, subscriptions and the history
    /// still apply to the members. `/health/tags/{tag}` lists the members, and each member has its own
    /// `/health/checks/{name}`.
    ///
    /// [`start`](Self::start) refuses a check with the tags of two groups, and a check with the name of a group. A
    /// group without members is shown in metrics only.
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

    /// Sets the defaults for options that a check does not set. They also apply to checks that are inserted later.
    pub fn defaults(mut self, defaults: Defaults) -> Self {
        self.presets.defaults = defaults;
        self
    }

    /// Sets the operator's settings, which override the options in the code. They also apply to checks that are
    /// inserted later. [`Health::apply`] replaces them while the service runs.
    #[cfg(feature = "serde")]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.presets.settings = settings;
        self
    }

    /// Starts one task per check on the current Tokio runtime. Every check runs at once.
    ///
    /// All checks, including checks that are inserted later, stay on this runtime. They never run on the runtime of a
    /// worker that only serves requests.
    ///
    /// # Errors
    ///
    /// Returns a [`BuildError`] that says what to change if the configuration is invalid or contradicts itself, or if
    /// the call is made outside a Tokio runtime with a timer. In this case nothing has been started.
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

    /// Validates the whole configuration before anything starts. Returns all mistakes together.
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

/// Returns the current runtime, or an error if there is none or it has no timer.
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
