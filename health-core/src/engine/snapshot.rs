//! The snapshot: everything that readers see, immutable, as of one moment.

use std::{borrow::Cow, collections::HashMap, slice, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;

use crate::{
    engine::{
        entry::Entry,
        policy::{self, ServiceState},
        prepared_bodies::PreparedBodies,
        signals::Throttle,
        view::{View, Views},
    },
    model::{
        report::{CheckReport, MetricsReport, Report, Subject},
        status::{Lifecycle, Probe, Reason, Status},
    },
    time::{NEVER, Nanos},
};

/// What the owner says of the service itself.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) service: Option<Arc<str>>,
    pub(crate) version: Option<Arc<str>>,
    /// The services of `grpc.health.v1` with names of their own, each with the probe whose status it has.
    pub(crate) grpc_services: Vec<(Arc<str>, Probe)>,
}

/// What the writer puts into a snapshot. The snapshot computes the rest.
#[derive(Debug)]
pub(super) struct Parts {
    /// The number of the publication.
    pub(super) generation: u64,
    pub(super) state: ServiceState,
    pub(super) about: Arc<About>,
    pub(super) uptime: Duration,
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) positions: Arc<HashMap<Arc<str>, usize>>,
}

/// Everything that readers see, as of one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    parts: Parts,
    /// The number of results that have expired since the publication.
    expired: usize,
    /// The moment at which the next result expires.
    expires_at: Nanos,
    /// This snapshot with expired results marked stale. The first reader who needs it makes it.
    aged: ArcSwapOption<Snapshot>,
    views: Views,
    /// The views without the checks that ask other services; `None` if there are no such checks.
    local_views: Option<Views>,
}

/// The version of a snapshot. Two snapshots of one version render to the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotVersion {
    generation: u64,
    expired: usize,
    scheduler_stale: bool,
}

impl SnapshotVersion {
    /// Whether the snapshot is as published, with no result marked stale since.
    pub(crate) fn is_published(self) -> bool {
        self.expired == 0 && !self.scheduler_stale
    }
}

impl Snapshot {
    pub(super) fn new(parts: Parts) -> Self {
        let view = |subject, members| parts.view(subject, members);
        let asks_a_service = parts.entries.iter().any(|entry| entry.asks_a_service);
        Self {
            views: Views::new(&parts.entries, |_| true, view),
            local_views: asks_a_service.then(|| Views::new(&parts.entries, |entry| parts.is_local(entry), view)),
            expired: 0,
            expires_at: parts.entries.iter().map(|entry| entry.stale_at).min().unwrap_or(NEVER),
            aged: ArcSwapOption::empty(),
            parts,
        }
    }

    pub(crate) fn version(&self) -> SnapshotVersion {
        SnapshotVersion {
            generation: self.parts.generation,
            expired: self.expired,
            scheduler_stale: self.parts.state.scheduler_stale,
        }
    }

    pub(crate) fn lifecycle(&self) -> Lifecycle {
        self.parts.state.lifecycle
    }

    /// Whether the service drains or has stopped.
    pub(crate) fn is_leaving(&self) -> bool {
        self.lifecycle() >= Lifecycle::Draining
    }

    pub(super) fn entries(&self) -> &[Arc<Entry>] {
        &self.parts.entries
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Arc<Entry>> {
        self.parts.entries.get(*self.parts.positions.get(name)?)
    }

    /// The moment at which the next result expires.
    pub(super) fn expires_at(&self) -> Nanos {
        self.expires_at
    }

    /// The services of `grpc.health.v1` with names of their own.
    pub(crate) fn grpc_services(&self) -> &[(Arc<str>, Probe)] {
        &self.parts.about.grpc_services
    }

    // --- Pages -------------------------------------------------------------------------------------------------

    /// The page on all checks. A local page leaves out the checks that ask other services.
    pub(crate) fn all(&self, is_local: bool) -> Page<'_> {
        self.view_page(&self.views(is_local).all, is_local)
    }

    /// The page on one probe.
    pub(crate) fn probe(&self, probe: Probe, is_local: bool) -> Page<'_> {
        self.view_page(self.views(is_local).probe(probe), is_local)
    }

    /// The page on one tag; `None` if no check has it.
    pub(crate) fn tag(&self, name: &str, is_local: bool) -> Option<Page<'_>> {
        self.views(is_local).tag(name).map(|view| self.view_page(view, is_local))
    }

    /// The page of one check; `None` if there is none of that name.
    pub(crate) fn check(&self, name: &str) -> Option<Page<'_>> {
        self.entry(name).map(|entry| self.check_page(entry))
    }

    /// Every page of the snapshot: the views, the local views and the checks.
    pub(crate) fn pages(&self) -> impl Iterator<Item = Page<'_>> {
        let views = self.views.iter().map(|view| self.view_page(view, false));
        let local = self.local_views.iter().flat_map(Views::iter).map(|view| self.view_page(view, true));
        views.chain(local).chain(self.parts.entries.iter().map(|entry| self.check_page(entry)))
    }

    fn views(&self, is_local: bool) -> &Views {
        self.local_views.as_ref().filter(|_| is_local).unwrap_or(&self.views)
    }

    fn view_page<'s>(&'s self, view: &'s View, is_local: bool) -> Page<'s> {
        let is_local = is_local && self.local_views.is_some();
        Page { content: Content::View { view, is_local }, parts: &self.parts }
    }

    fn check_page<'s>(&'s self, entry: &'s Arc<Entry>) -> Page<'s> {
        Page { content: Content::Check(entry), parts: &self.parts }
    }

    /// The verdicts of the metrics, which leave the lifecycle out.
    pub(crate) fn metrics_report(&self) -> MetricsReport<'_> {
        let severity = |view: &View| policy::severity(&view.report.checks, &view.report.subject, self.parts.state);
        let (status, severity_of_all) = severity(&self.views.all);
        let probes = [Probe::Liveness, Probe::Readiness, Probe::Startup];
        MetricsReport {
            report: &self.views.all.report,
            status,
            severity: severity_of_all,
            probes: probes.map(|probe| (probe, severity(self.views.probe(probe)).0)),
        }
    }

    // --- Age ---------------------------------------------------------------------------------------------------

    /// Returns this snapshot with expired results marked stale, or all results if the scheduler is stale.
    pub(super) fn aged(&self, now: Nanos, scheduler_stale: bool) -> Arc<Self> {
        // A stale result stays stale, so an aged snapshot holds until the next result expires.
        let holds = |aged: &Arc<Self>| aged.parts.state.scheduler_stale == scheduler_stale && now < aged.expires_at;
        if let Some(aged) = self.aged.load_full().filter(holds) {
            return aged;
        }
        let aged = Arc::new(self.with_stale_entries(now, scheduler_stale));
        // Another reader may have been faster and made the same.
        self.aged.store(Some(Arc::clone(&aged)));
        aged
    }

    fn with_stale_entries(&self, now: Nanos, scheduler_stale: bool) -> Self {
        let is_stale = |entry: &Entry| scheduler_stale || now >= entry.stale_at;
        let mark = |entry: &Arc<Entry>| {
            if is_stale(entry) { Arc::new(entry.stale(scheduler_stale)) } else { Arc::clone(entry) }
        };
        let parts = Parts {
            generation: self.parts.generation,
            state: ServiceState { scheduler_stale, ..self.parts.state },
            about: Arc::clone(&self.parts.about),
            uptime: self.parts.uptime,
            entries: self.parts.entries.iter().map(mark).collect(),
            positions: Arc::clone(&self.parts.positions),
        };
        Self { expired: self.parts.entries.iter().filter(|entry| is_stale(entry)).count(), ..Self::new(parts) }
    }
}

impl Parts {
    /// Whether readers that are services themselves see the check: neither one that asks another service, nor one that
    /// fails only because it waits for such a check.
    fn is_local(&self, entry: &Entry) -> bool {
        let asks_a_service = |name: &Arc<str>| {
            self.positions.get(name).and_then(|at| self.entries.get(*at)).is_some_and(|entry| entry.asks_a_service)
        };
        let waits_for_a_service =
            entry.report.reason == Some(Reason::Dependency) && entry.report.caused_by.iter().all(asks_a_service);
        !entry.asks_a_service && !waits_for_a_service
    }

    fn report(&self, subject: Subject, checks: Vec<Arc<CheckReport>>) -> Report {
        let verdict = policy::verdict(&checks, &subject, self.state);
        Report {
            subject,
            status: verdict.status,
            reason: verdict.reason,
            root_causes: verdict.root_causes,
            checks,
            service: self.about.service.clone(),
            version: self.about.version.clone(),
            lifecycle: self.state.lifecycle,
            uptime: self.uptime,
            startup_passed: self.state.startup_passed,
        }
    }

    fn view(&self, subject: Subject, members: Vec<Arc<Entry>>) -> View {
        let earliest = |moment: fn(&Entry) -> Nanos| members.iter().map(|entry| moment(entry)).min().unwrap_or(NEVER);
        View {
            report: self.report(subject, members.iter().map(|entry| Arc::clone(&entry.report)).collect()),
            wake_throttle: Throttle::new(earliest(|entry| entry.wake_at), earliest(|entry| entry.max_age)),
            members,
            bodies: PreparedBodies::default(),
        }
    }
}

/// A view or a single check, as its readers see it.
#[derive(Clone, Copy)]
pub(crate) struct Page<'s> {
    content: Content<'s>,
    parts: &'s Parts,
}

#[derive(Clone, Copy)]
enum Content<'s> {
    View { view: &'s View, is_local: bool },
    Check(&'s Arc<Entry>),
}

impl<'s> Page<'s> {
    pub(crate) fn subject(&self) -> &'s Subject {
        match self.content {
            Content::View { view, .. } => &view.report.subject,
            Content::Check(entry) => &entry.subject,
        }
    }

    pub(crate) fn status(&self) -> Status {
        match self.content {
            Content::View { view, .. } => view.report.status,
            Content::Check(entry) => entry.report.status,
        }
    }

    /// The reason of the whole page; on the page of a check, that of the check.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self.content {
            Content::View { view, .. } => view.report.reason,
            Content::Check(entry) => entry.report.reason,
        }
    }

    /// Whether the page leaves out the checks that ask other services.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.content, Content::View { is_local: true, .. })
    }

    /// The entries of the page; on the page of a check, its own alone.
    pub(crate) fn members(&self) -> &'s [Arc<Entry>] {
        match self.content {
            Content::View { view, .. } => &view.members,
            Content::Check(entry) => slice::from_ref(entry),
        }
    }

    pub(crate) fn bodies(&self) -> &'s PreparedBodies {
        match self.content {
            Content::View { view, .. } => &view.bodies,
            Content::Check(entry) => &entry.bodies,
        }
    }

    /// The throttle of requests that wake the members of the page.
    pub(super) fn wake_throttle(&self) -> &'s Throttle {
        match self.content {
            Content::View { view, .. } => &view.wake_throttle,
            Content::Check(entry) => &entry.wake_throttle,
        }
    }

    /// The report of the page. A view has it prepared; that of a check is made by each call.
    pub(crate) fn report(&self) -> Cow<'s, Report> {
        match self.content {
            Content::View { view, .. } => Cow::Borrowed(&view.report),
            Content::Check(entry) => {
                Cow::Owned(self.parts.report(entry.subject.clone(), vec![Arc::clone(&entry.report)]))
            }
        }
    }
}
