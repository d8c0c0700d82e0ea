//! Views: the reports on all checks, on each probe and on each tag.

use std::sync::Arc;

use crate::{
    engine::{entry::Entry, prepared_bodies::PreparedBodies, signals::Throttle},
    model::{
        report::{Report, Subject},
        status::Probe,
    },
};

/// The report on one subject, with what its readers share.
#[derive(Debug)]
pub(super) struct View {
    pub(super) report: Report,
    pub(super) members: Vec<Arc<Entry>>,
    /// Admits a request to wake members whose results are too old, once per smallest `max_age` of the members.
    pub(super) wake_throttle: Throttle,
    pub(super) bodies: PreparedBodies,
}

/// The views over one set of checks.
#[derive(Debug)]
pub(super) struct Views {
    pub(super) all: View,
    liveness: View,
    readiness: View,
    startup: View,
    tags: Vec<(Arc<str>, View)>,
}

impl Views {
    /// Creates the views over the admitted entries, on every tag of any entry. `view` creates one from its subject and
    /// its members.
    pub(super) fn new(
        entries: &[Arc<Entry>],
        admits: impl Fn(&Entry) -> bool,
        view: impl Fn(Subject, Vec<Arc<Entry>>) -> View,
    ) -> Self {
        let of = |subject: Subject, is_member: &dyn Fn(&Entry) -> bool| {
            let members = entries.iter().filter(|entry| admits(entry) && is_member(entry));
            view(subject, members.map(Arc::clone).collect())
        };
        let of_probe = |probe| of(Subject::Probe(probe), &|entry| entry.counts_for(probe));
        let mut tags: Vec<(Arc<str>, View)> = Vec::new();
        for tag in entries.iter().flat_map(|entry| entry.report.tags.iter()) {
            if !tags.iter().any(|(known, _)| known == tag) {
                let tagged = of(Subject::Tag(Arc::clone(tag)), &|entry| entry.report.tags.contains(tag));
                tags.push((Arc::clone(tag), tagged));
            }
        }
        Self {
            all: of(Subject::All, &|_| true),
            liveness: of_probe(Probe::Liveness),
            readiness: of_probe(Probe::Readiness),
            startup: of_probe(Probe::Startup),
            tags,
        }
    }

    pub(super) fn probe(&self, probe: Probe) -> &View {
        match probe {
            Probe::Liveness => &self.liveness,
            Probe::Readiness => &self.readiness,
            Probe::Startup => &self.startup,
        }
    }

    pub(super) fn tag(&self, name: &str) -> Option<&View> {
        self.tags.iter().find(|(tag, _)| &**tag == name).map(|(_, view)| view)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &View> {
        let probes = [&self.all, &self.liveness, &self.readiness, &self.startup];
        probes.into_iter().chain(self.tags.iter().map(|(_, view)| view))
    }
}
