//! The snapshot: the immutable state of all checks and of the service at one point in time. Every answer is rendered
//! from a snapshot.

pub(crate) mod assembly;
pub(crate) mod contents;
pub(crate) mod entry;
mod groups;
mod name_index;
pub(crate) mod page;
mod persistent_vec;
pub(crate) mod prepared_bodies;
mod view;

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::{
    engine::{
        policy::{self, ServiceState},
        snapshot::{contents::Contents, entry::Entry, page::Page, view::View},
    },
    model::{
        report::{MetricsReport, Report},
        status::{Lifecycle, Probe, Status},
    },
    time::{NEVER, Nanos},
};

/// The state of all checks and of the service at one point in time, from which every answer is made.
#[derive(Debug)]
pub(crate) struct Snapshot {
    contents: Contents,
    /// Whether results have expired since the publication and are marked stale here.
    is_aged: bool,
    /// The time at which the next result expires; `NEVER` in a published snapshot. Set in a snapshot that
    /// `aged` caches.
    expires_at: Nanos,
    /// This snapshot with expired results marked stale. The first reader that needs it creates it.
    aged: ArcSwapOption<Snapshot>,
}

impl Snapshot {
    pub(super) fn new(contents: Contents) -> Self {
        Self { contents, is_aged: false, expires_at: NEVER, aged: ArcSwapOption::empty() }
    }

    pub(crate) fn lifecycle(&self) -> Lifecycle {
        self.contents.state.lifecycle
    }

    /// Whether the service drains or has stopped.
    pub(crate) fn is_leaving(&self) -> bool {
        self.lifecycle() >= Lifecycle::Draining
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Arc<Entry>> {
        self.contents.entry(name)
    }

    /// The shared name of a check; `None` if there is no check of that name.
    pub(crate) fn check_name(&self, name: &str) -> Option<&Arc<str>> {
        self.entry(name).map(|entry| &entry.report.name)
    }

    /// The named services of `grpc.health.v1`, each with the probe whose status it has.
    pub(crate) fn grpc_services(&self) -> &[(Arc<str>, Probe)] {
        &self.contents.about.grpc_services
    }

    // --- Pages -------------------------------------------------------------------------------------------------

    /// The page on all checks. A local page leaves out the checks that call other services, and the checks that fail
    /// only because they wait for such a check.
    pub(crate) fn all(&self, is_local: bool) -> Page<'_> {
        Page::of_view(&self.contents, &self.contents.views(is_local).all)
    }

    /// The page on one probe.
    pub(crate) fn probe(&self, probe: Probe, is_local: bool) -> Page<'_> {
        Page::of_view(&self.contents, self.contents.views(is_local).probe(probe))
    }

    /// The page on one tag; `None` if no check has it.
    pub(crate) fn tag(&self, name: &str, is_local: bool) -> Option<Page<'_>> {
        self.contents.views(is_local).tag(name).map(|view| Page::of_view(&self.contents, view))
    }

    /// The page of one check; `None` if there is no check of that name.
    pub(crate) fn check(&self, name: &str) -> Option<Page<'_>> {
        self.entry(name).map(|entry| Page::of_check(&self.contents, entry))
    }

    /// Requests runs of the members of the large views that requests have marked.
    pub(super) fn wake_requested_views(&self, now: Nanos) {
        self.contents.all_views().for_each(|view| Page::of_view(&self.contents, view).wake_if_requested(now));
    }

    /// The report and the verdicts for metrics. The verdicts ignore the lifecycle. Each call creates the report of all
    /// checks.
    pub(crate) fn metrics_report(&self) -> MetricsReport {
        let probes = [Probe::Liveness, Probe::Readiness, Probe::Startup];
        let views = self.contents.views(false);
        let (status, severity) = self.severity_of(&views.all);
        MetricsReport {
            report: self.all(false).report(),
            status,
            severity,
            probes: probes.map(|probe| (probe, self.severity_of(views.probe(probe)).0)),
            groups: self.contents.groups(&views.all),
        }
    }

    /// The report of a probe, or of all checks. Each call creates it.
    pub(crate) fn report(&self, probe: Option<Probe>) -> Report {
        probe.map_or_else(|| self.all(false), |probe| self.probe(probe, false)).report()
    }

    /// The severity of all checks, which ignores the lifecycle.
    pub(crate) fn severity(&self) -> u8 {
        self.severity_of(&self.contents.views(false).all).1
    }

    fn severity_of(&self, view: &View) -> (Status, u8) {
        policy::severity(&view.tally, self.contents.state)
    }

    // --- Age ---------------------------------------------------------------------------------------------------

    /// Returns this snapshot with expired results marked stale, or all results if the scheduler is stale; `None` if no
    /// recorded result has expired.
    pub(super) fn aged(&self, now: Nanos, scheduler_stale: bool) -> Option<Arc<Self>> {
        // A stale result stays stale, so an aged snapshot is valid until the next result expires.
        let holds = |aged: &Arc<Self>| aged.contents.state.scheduler_stale == scheduler_stale && now < aged.expires_at;
        if let Some(aged) = self.aged.load_full().filter(holds) {
            return aged.is_aged.then_some(aged);
        }
        let aged = Arc::new(self.with_stale_entries(now, scheduler_stale));
        // If another reader was faster, this replaces an equivalent snapshot.
        self.aged.store(Some(Arc::clone(&aged)));
        aged.is_aged.then_some(aged)
    }

    fn with_stale_entries(&self, now: Nanos, scheduler_stale: bool) -> Self {
        let mut expires_at = NEVER;
        let mut expired = Vec::new();
        for (position, entry) in self.contents.entries().enumerate() {
            if scheduler_stale || entry.is_stale(now) {
                expired.push((position, Arc::new(entry.stale(scheduler_stale))));
            } else {
                expires_at = expires_at.min(entry.expires_at());
            }
        }
        let is_aged = scheduler_stale || !expired.is_empty();
        let state = ServiceState { scheduler_stale, ..self.contents.state };
        let contents = if is_aged { self.contents.with_replaced(state, expired) } else { self.contents.clone() };
        Self { is_aged, expires_at, ..Self::new(contents) }
    }
}

#[cfg(test)]
mod tests;
