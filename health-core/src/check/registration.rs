//! A check together with the options it is registered with.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    check::Check,
    model::status::{Impact, Kind, Membership, Probe},
};

/// A check with its options, ready for [`Builder::check`](crate::Builder::check) or
/// [`Health::insert`](crate::Health::insert).
///
/// Every [`Check`] converts into one; [`CheckExt`] gives every check the same methods, so that a chain can begin at
/// the check itself.
#[derive(Clone)]
#[must_use = "a registration does nothing until it is given to Builder::check or Health::insert"]
pub struct Registration {
    pub(crate) check: Arc<dyn Check>,
    pub(crate) options: Options,
}

/// What was said about a check; `None` where nothing was.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) every: Option<Duration>,
    pub(crate) recheck: Option<Duration>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) stale_after: Option<Duration>,
    pub(crate) slow_above: Option<Duration>,
    pub(crate) failures: Option<u32>,
    pub(crate) successes: Option<u32>,
    pub(crate) once: bool,
    pub(crate) kind: Kind,
    pub(crate) impact: Option<Impact>,
    /// The check's own, where nothing is said.
    own_impact: Impact,
    pub(crate) asks_a_service: bool,
    pub(crate) readiness: bool,
    pub(crate) liveness: Option<Joining>,
    pub(crate) startup: Option<Joining>,
    pub(crate) depends_on: Vec<String>,
    pub(crate) tags: Vec<String>,
}

impl Options {
    pub(crate) fn impact(&self) -> Impact {
        self.impact.unwrap_or(self.own_impact)
    }

    pub(crate) fn report_only(&mut self) {
        self.readiness = false;
        self.liveness = None;
        self.startup = None;
    }

    pub(crate) fn joins(&self, probe: Probe) -> Option<Joining> {
        match probe {
            Probe::Liveness => self.liveness,
            Probe::Startup => self.startup,
            Probe::Readiness => self.readiness.then_some(Joining::DespiteDependency),
        }
    }
}

/// How a check was asked into liveness or startup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    /// Refused if anything shared with other instances can fail it.
    LocalOnly,
    /// The owner knows what a shared outage will do.
    DespiteDependency,
}

impl<C: Check> From<C> for Registration {
    fn from(check: C) -> Self {
        let options = Options {
            every: check.interval(),
            recheck: None,
            max_age: None,
            timeout: None,
            stale_after: None,
            slow_above: None,
            failures: None,
            successes: None,
            once: false,
            kind: check.kind(),
            impact: None,
            own_impact: check.impact(),
            asks_a_service: check.asks_a_service(),
            readiness: check.membership() == Membership::Readiness,
            liveness: None,
            startup: None,
            depends_on: Vec::new(),
            tags: Vec::new(),
        };
        Self { check: Arc::new(check), options }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Writes each option once and gives it to [`Registration`] and, for a chain that begins at a check, to [`CheckExt`].
macro_rules! options {
    ($($(#[doc = $doc:literal])+ fn $name:ident($this:ident $(, $arg:ident: $ty:ty)?) $body:block)+) => {
        impl Registration {
            $($(#[doc = $doc])+
            pub fn $name(mut self $(, $arg: $ty)?) -> Self {
                let $this = &mut self.options;
                $body
                self
            })+
        }

        /// The options of a registration, on every [`Check`]: each turns the check into a [`Registration`].
        pub trait CheckExt: Check + Sized {
            $($(#[doc = $doc])+
            fn $name(self $(, $arg: $ty)?) -> Registration {
                Registration::from(self).$name($($arg)?)
            })+
        }
    };
}

impl<C: Check> CheckExt for C {}

options! {
    /// The time from the start of one run to the start of the next while the check is healthy, ±10 %. Default 5 s.
    ///
    /// Where it is given, a request no longer wakes the check before its interval is over (see
    /// [`max_age`](Self::max_age)).
    fn every(options, interval: Duration) { options.every = Some(interval); }

    /// The spacing of runs while the check is not healthy, ±10 %. Default a fifth of the interval, within 1 s to 60 s
    /// and never above the interval. After ten failed runs in a row it doubles, up to the interval.
    fn recheck(options, spacing: Duration) { options.recheck = Some(spacing); }

    /// A request whose answer contains an older result wakes the check, at most once in this time. Default 1 s with
    /// the default interval, and the interval itself where [`every`](Self::every) was called.
    fn max_age(options, age: Duration) { options.max_age = Some(age); }

    /// The deadline of one run: when it passes, the outcome `timeout` is published and the run is cancelled.
    /// Default 2 s.
    fn timeout(options, deadline: Duration) { options.timeout = Some(deadline); }

    /// From this age on, a result counts as Unhealthy with the reason `stale`. Default three intervals and a timeout.
    fn stale_after(options, age: Duration) { options.stale_after = Some(age); }

    /// How many runs in a row must fail before a good check turns Unhealthy; until then it is Degraded with the real
    /// reason. Default 1. Does not apply before the first success: a failure is then Unhealthy at once.
    fn failures(options, in_a_row: u32) { options.failures = Some(in_a_row); }

    /// How many runs in a row must succeed before an Unhealthy check turns good again. Default 1. Does not apply
    /// before the first success: one is then enough.
    fn successes(options, in_a_row: u32) { options.successes = Some(in_a_row); }

    /// Runs until its first success and keeps that result: for migrations and the like.
    fn once(options) { options.once = true; }

    /// Its failure makes the report at most Degraded.
    fn optional(options) { options.impact = Some(Impact::Optional); }

    /// Its failure makes the report Unhealthy.
    fn critical(options) { options.impact = Some(Impact::Critical); }

    /// Only this process or host can cause its failure, so it may be asked into liveness and startup.
    fn local(options) { options.kind = Kind::Local; }

    /// Counts for liveness, too: its failure gets this process restarted. Refused for anything shared with other
    /// instances, because their outage would restart the whole fleet.
    fn liveness(options) { options.liveness = Some(Joining::LocalOnly); }

    /// Counts for liveness although others share what it looks at: an outage of that will restart every instance.
    fn liveness_despite_dependency(options) { options.liveness = Some(Joining::DespiteDependency); }

    /// Counts for readiness, which measures do not by themselves.
    fn readiness(options) { options.readiness = true; }

    /// Counts for startup, too: until it has succeeded once, startup is 503. Refused for anything shared with other
    /// instances, because their outage would loop every rollout.
    fn startup(options) { options.startup = Some(Joining::LocalOnly); }

    /// Counts for startup although others share what it looks at: an outage of that will stop every rollout.
    fn startup_despite_dependency(options) { options.startup = Some(Joining::DespiteDependency); }

    /// Counts for no probe, only for the full report, its tags and its own page.
    fn report_only(options) { options.report_only(); }

    /// Is not run while the last run of the named check failed, and shows the reason `dependency` while that check is
    /// Unhealthy; runs at once when it recovers. Can be given several times.
    fn depends_on(options, name: impl Into<String>) { options.depends_on.push(name.into()); }

    /// A healthy answer that took longer is Degraded with the reason `slow`. Off by default.
    fn slow_above(options, duration: Duration) { options.slow_above = Some(duration); }

    /// Adds the check to a group of your own, answered at `/health/tags/{tag}`. Can be given several times.
    fn tag(options, tag: impl Into<String>) { options.tags.push(tag.into()); }
}
