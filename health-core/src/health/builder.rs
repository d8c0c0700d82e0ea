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
        plan::{self, Node},
    },
    engine::{scheduler::Job, snapshot::About, store::Store, tracked_check::NewCheck},
    health::{Health, Inner, prepare},
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
    defaults: Defaults,
    #[cfg(feature = "serde")]
    settings: Settings,
}

impl Health {
    /// Returns a builder without any check.
    pub fn builder() -> Builder {
        Builder::default()
    }
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
    pub fn settings(mut self, settings: Settings) -> Self {
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
        let (new, jobs): (Vec<NewCheck>, Vec<Job>) = checks.into_iter().unzip();
        let store = Store::new(Clock::running(), about, secrets, new);
        let inner = Inner::new(store, defaults, Some(runtime));
        inner.spawn_coordinator();
        for job in jobs {
            inner.spawn(job);
        }
        Ok(Health { inner: Arc::new(inner) })
    }

    /// Creates a service whose checks never run.
    #[cfg(feature = "testing")]
    pub(crate) fn freeze(self, clock: Clock) -> Result<Health, BuildError> {
        let Prepared { about, secrets, checks, defaults } = self.prepare()?;
        let new = checks.into_iter().map(|(new, _)| new).collect();
        let inner = Inner::new(Store::new(clock, about, secrets, new), defaults, None);
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
        let mut checks = Vec::new();
        for (name, registration) in &configured.checks {
            checks.push(prepare(name, registration)?);
        }
        plan::check_graph(&nodes)?;
        let Self { about, secrets, defaults, .. } = configured;
        Ok(Prepared { about, secrets, checks, defaults })
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
    checks: Vec<(NewCheck, Job)>,
}
