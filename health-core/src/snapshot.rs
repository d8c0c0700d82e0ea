//! What readers see: one immutable picture of every verdict, with a place for each prepared body.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use crate::{
    model::{
        report::{CheckReport, Report, Subject},
        status::{Probe, Reason, Status, Visibility},
    },
    policy::{self, Circumstances},
    time::{NEVER, Nanos},
};

/// A suspicion makes a check run at most once in this time.
const SUSPICION_PAUSE: Nanos = 1_000_000_000;

/// The ways in which a view is written out; each is prepared once per visibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Json,
    Health,
    /// Kubernetes text closing with `health check passed`.
    Text,
    /// Kubernetes text closing with the path's own name.
    Kubernetes,
    /// Metrics in Prometheus' text format.
    Prometheus,
    OpenMetrics,
}

/// Bodies of one view, written at their first request. Written first, then set: no reader waits for another.
#[derive(Debug, Default)]
pub(crate) struct Prepared([[OnceLock<Bytes>; 6]; 3]);

impl Prepared {
    pub(crate) fn body(&self, written: Written, visibility: Visibility, write: impl FnOnce() -> Bytes) -> Bytes {
        let cell = &self.0[visibility as usize][written as usize];
        if let Some(body) = cell.get() {
            return body.clone();
        }
        let body = write();
        // Another reader may have been faster; its bytes are the same.
        let _ = cell.set(body.clone());
        body
    }
}

/// What metrics show: verdicts that know no lifecycle, so that a deploy pages nobody.
#[derive(Debug)]
pub(crate) struct Verdicts<'s> {
    /// Every check.
    pub(crate) report: &'s Report,
    /// Of the full report.
    pub(crate) status: Status,
    pub(crate) severity: u8,
    pub(crate) probes: [(Probe, Status); 3],
}

/// What request threads tell the scheduler about one check.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) wanted: AtomicBool,
    /// Lets through one suspicion in a while: calls that fail come by the thousand.
    pub(crate) suspicion: Alarm,
}

impl Default for Wish {
    fn default() -> Self {
        Self { wanted: AtomicBool::new(false), suspicion: Alarm::new(0, SUSPICION_PAUSE) }
    }
}

/// One check's latest verdict. Shared by all snapshots until that check changes.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) report: Arc<CheckReport>,
    pub(crate) liveness: bool,
    pub(crate) readiness: bool,
    pub(crate) startup: bool,
    /// Left out where another service asks.
    pub(crate) asks_a_service: bool,
    /// From this moment on the result counts as stale.
    pub(crate) stale_at: Nanos,
    /// From this moment on a request wakes the check.
    pub(crate) wake_at: Nanos,
    pub(crate) max_age: Nanos,
    pub(crate) wish: Arc<Wish>,
    pub(crate) asked: Alarm,
    pub(crate) prepared: Prepared,
}

impl Entry {
    pub(crate) fn counts_for(&self, probe: Probe) -> bool {
        match probe {
            Probe::Liveness => self.liveness,
            Probe::Readiness => self.readiness,
            Probe::Startup => self.startup,
        }
    }

    /// The same verdict, turned stale. A mute covers a result that is not renewed, but not a scheduler that is dead.
    fn stale(&self, scheduler_stale: bool) -> Self {
        let covered = self.report.muted.is_some() && !scheduler_stale;
        Self {
            report: Arc::new(CheckReport {
                status: if covered { Status::Degraded } else { Status::Unhealthy },
                reason: Some(Reason::Stale),
                message: Some(Arc::from("the last result is too old to be believed")),
                caused_by: Vec::new(),
                ..(*self.report).clone()
            }),
            liveness: self.liveness,
            readiness: self.readiness,
            startup: self.startup,
            asks_a_service: self.asks_a_service,
            stale_at: NEVER,
            wake_at: self.wake_at,
            max_age: self.max_age,
            wish: Arc::clone(&self.wish),
            asked: Alarm::new(NEVER, NEVER),
            prepared: Prepared::default(),
        }
    }
}

/// Goes off at most once per `pause`, for exactly one of any number of askers.
#[derive(Debug)]
pub(crate) struct Alarm {
    due: AtomicU64,
    pause: Nanos,
}

impl Alarm {
    pub(crate) fn new(due: Nanos, pause: Nanos) -> Self {
        Self { due: AtomicU64::new(due), pause }
    }

    pub(crate) fn goes_off(&self, now: Nanos) -> bool {
        let due = self.due.load(Ordering::Relaxed);
        now >= due
            && self
                .due
                .compare_exchange(due, now.saturating_add(self.pause), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// The report on one subject, with everything a request needs.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) report: Report,
    /// The entries it is made of, by position in the snapshot.
    pub(crate) members: Vec<usize>,
    pub(crate) stale_at: Nanos,
    pub(crate) alarm: Alarm,
    pub(crate) prepared: Prepared,
}

/// Everything at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Counts publications, so that an endpoint knows when what it prepared is out of date.
    generation: u64,
    /// How many results have grown too old since its publication.
    stale: usize,
    /// The same once results have grown too old, worked out by the first reader who needed it.
    later: ArcSwapOption<Snapshot>,
    pub(crate) circumstances: Circumstances,
    pub(crate) about: Arc<About>,
    pub(crate) uptime: Duration,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) positions: Arc<HashMap<Arc<str>, usize>>,
    pub(crate) views: Views,
    /// The same without the checks that ask other services; none if there are no such checks.
    local: Option<Views>,
}

/// See [`Snapshot::edition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edition {
    generation: u64,
    stale: usize,
    scheduler_stale: bool,
}

impl Edition {
    /// Whether it is what was published, and not what became of it with time.
    pub(crate) fn is_published(self) -> bool {
        self.stale == 0 && !self.scheduler_stale
    }
}

/// What was said about the service.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) service: Option<Arc<str>>,
    pub(crate) version: Option<Arc<str>>,
}

/// The parts of a snapshot that are not computed.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) generation: u64,
    pub(crate) circumstances: Circumstances,
    pub(crate) about: Arc<About>,
    pub(crate) uptime: Duration,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) positions: Arc<HashMap<Arc<str>, usize>>,
}

/// The views over one set of checks.
#[derive(Debug)]
pub(crate) struct Views {
    pub(crate) all: View,
    pub(crate) liveness: View,
    pub(crate) readiness: View,
    pub(crate) startup: View,
    pub(crate) tags: Vec<(Arc<str>, View)>,
}

impl Views {
    /// The views over the entries that `admits` lets in.
    fn new(parts: &Parts, admits: &dyn Fn(&Entry) -> bool) -> Self {
        let view = |subject: Subject| {
            let members = parts
                .entries
                .iter()
                .enumerate()
                .filter(|(_, entry)| {
                    admits(entry)
                        && match &subject {
                            Subject::All => true,
                            Subject::Probe(probe) => entry.counts_for(*probe),
                            Subject::Tag(tag) => entry.report.tags.contains(tag),
                            Subject::Check(name) => entry.report.name == *name,
                        }
                })
                .map(|(position, _)| position)
                .collect();
            parts.view(subject, members)
        };
        let mut tags: Vec<(Arc<str>, View)> = Vec::new();
        for tag in parts.entries.iter().flat_map(|entry| entry.report.tags.iter()) {
            if !tags.iter().any(|(known, _)| known == tag) {
                tags.push((Arc::clone(tag), view(Subject::Tag(Arc::clone(tag)))));
            }
        }
        Self {
            all: view(Subject::All),
            liveness: view(Subject::Probe(Probe::Liveness)),
            readiness: view(Subject::Probe(Probe::Readiness)),
            startup: view(Subject::Probe(Probe::Startup)),
            tags,
        }
    }

    pub(crate) fn probe(&self, probe: Probe) -> &View {
        match probe {
            Probe::Liveness => &self.liveness,
            Probe::Readiness => &self.readiness,
            Probe::Startup => &self.startup,
        }
    }

    pub(crate) fn tag(&self, name: &str) -> Option<&View> {
        self.tags.iter().find(|(tag, _)| &**tag == name).map(|(_, view)| view)
    }

    /// How many views these are.
    pub(crate) fn count(&self) -> usize {
        4 + self.tags.len()
    }

    /// Where a view on this subject stands among them.
    pub(crate) fn position(&self, subject: &Subject) -> usize {
        match subject {
            Subject::All | Subject::Check(_) => 0,
            Subject::Probe(Probe::Liveness) => 1,
            Subject::Probe(Probe::Readiness) => 2,
            Subject::Probe(Probe::Startup) => 3,
            Subject::Tag(tag) => 4 + self.tags.iter().position(|(known, _)| known == tag).unwrap_or(0),
        }
    }
}

impl Snapshot {
    /// Which snapshot this is: of two with the same edition, what is written is the same.
    pub(crate) fn edition(&self) -> Edition {
        Edition { generation: self.generation, stale: self.stale, scheduler_stale: self.circumstances.scheduler_stale }
    }

    /// Whether the service drains or has stopped.
    pub(crate) fn is_leaving(&self) -> bool {
        self.circumstances.lifecycle >= crate::model::status::Lifecycle::Draining
    }

    pub(crate) fn new(parts: Parts) -> Self {
        let views = Views::new(&parts, &|_| true);
        let asks = parts.entries.iter().any(|entry| entry.asks_a_service);
        let of_a_service = |name: &Arc<str>| {
            parts.positions.get(name).and_then(|at| parts.entries.get(*at)).is_some_and(|entry| entry.asks_a_service)
        };
        // Nor what fails only because it waits for such a check.
        let waits_for_a_service = |entry: &Entry| {
            entry.report.reason == Some(Reason::Dependency) && entry.report.caused_by.iter().all(of_a_service)
        };
        let local = asks.then(|| Views::new(&parts, &|entry| !entry.asks_a_service && !waits_for_a_service(entry)));
        Self {
            views,
            local,
            generation: parts.generation,
            stale: 0,
            later: ArcSwapOption::empty(),
            circumstances: parts.circumstances,
            about: parts.about,
            uptime: parts.uptime,
            entries: parts.entries,
            positions: parts.positions,
        }
    }

    /// The views for everyone, or for a service that asks us how we are and whom we may ask in turn.
    pub(crate) fn views(&self, for_a_service: bool) -> &Views {
        self.local.as_ref().filter(|_| for_a_service).unwrap_or(&self.views)
    }

    pub(crate) fn entry(&self, name: &str) -> Option<(usize, &Arc<Entry>)> {
        let position = *self.positions.get(name)?;
        self.entries.get(position).map(|entry| (position, entry))
    }

    /// The report on one check, which no snapshot prepares: few ask for it.
    pub(crate) fn one_check(&self, entry: &Entry) -> Report {
        let parts = self.parts(vec![]);
        parts.report(Subject::Check(Arc::clone(&entry.report.name)), vec![Arc::clone(&entry.report)])
    }

    /// What metrics show of it.
    pub(crate) fn verdicts(&self) -> Verdicts<'_> {
        let report = &self.views.all.report;
        let judged = |view: &View| policy::severity(&view.report.checks, &view.report.subject, self.circumstances);
        let (status, severity) = judged(&self.views.all);
        let probes = [Probe::Liveness, Probe::Readiness, Probe::Startup];
        Verdicts { report, status, severity, probes: probes.map(|probe| (probe, judged(self.views.probe(probe)).0)) }
    }

    /// The same moment seen later: results past their time are stale, and all are when the scheduler is.
    pub(crate) fn aged(&self, now: Nanos, scheduler_stale: bool) -> Arc<Self> {
        // What is stale stays so, until the next result is.
        let holds = |later: &Arc<Self>| {
            later.circumstances.scheduler_stale == scheduler_stale && now < later.views.all.stale_at
        };
        if let Some(later) = self.later.load_full().filter(holds) {
            return later;
        }
        let later = Arc::new(self.grown_old(now, scheduler_stale));
        // Another reader may have been faster; it worked out the same.
        self.later.store(Some(Arc::clone(&later)));
        later
    }

    fn grown_old(&self, now: Nanos, scheduler_stale: bool) -> Self {
        let is_stale = |entry: &Entry| scheduler_stale || now >= entry.stale_at;
        let entries = self
            .entries
            .iter()
            .map(|entry| if is_stale(entry) { Arc::new(entry.stale(scheduler_stale)) } else { Arc::clone(entry) })
            .collect();
        let mut parts = self.parts(entries);
        parts.circumstances.scheduler_stale = scheduler_stale;
        Self { stale: self.entries.iter().filter(|entry| is_stale(entry)).count(), ..Self::new(parts) }
    }

    fn parts(&self, entries: Vec<Arc<Entry>>) -> Parts {
        Parts {
            generation: self.generation,
            circumstances: self.circumstances,
            about: Arc::clone(&self.about),
            uptime: self.uptime,
            entries,
            positions: Arc::clone(&self.positions),
        }
    }
}

impl Parts {
    fn report(&self, subject: Subject, checks: Vec<Arc<CheckReport>>) -> Report {
        let verdict = policy::verdict(&checks, &subject, self.circumstances);
        Report {
            subject,
            status: verdict.status,
            reason: verdict.reason,
            root_causes: verdict.root_causes,
            checks,
            service: self.about.service.clone(),
            version: self.about.version.clone(),
            lifecycle: self.circumstances.lifecycle,
            uptime: self.uptime,
            startup_passed: self.circumstances.startup_passed,
        }
    }

    fn view(&self, subject: Subject, members: Vec<usize>) -> View {
        let entries = || members.iter().map(|position| &self.entries[*position]);
        let earliest = |moment: fn(&Entry) -> Nanos| entries().map(|entry| moment(entry)).min().unwrap_or(NEVER);
        View {
            stale_at: earliest(|entry| entry.stale_at),
            alarm: Alarm::new(earliest(|entry| entry.wake_at), earliest(|entry| entry.max_age)),
            report: self.report(subject, entries().map(|entry| Arc::clone(&entry.report)).collect()),
            members,
            prepared: Prepared::default(),
        }
    }
}
