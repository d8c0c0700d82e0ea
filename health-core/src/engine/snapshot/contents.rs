//! The contents of a snapshot: the entries of all checks, the views over them and the state of the service. The store
//! changes its own contents and publishes clones of them. The cost of a clone depends on the changes since the last
//! one, not on the number of checks.

use std::{iter, mem, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    engine::{
        policy::{self, ServiceState, Verdict},
        snapshot::{
            assembly::{Assembled, Members, PartFormat, Placed},
            entry::Entry,
            groups::Folded,
            name_index::NameIndex,
            persistent_vec::PersistentVec,
            view::{View, Views, members_of},
        },
        tally::Tally,
    },
    model::{
        group::GroupReport,
        report::{CheckReport, Report, Subject, contribution},
        status::{Probe, Visibility},
    },
};

/// The description of the service, which the application sets in the builder.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) service: Option<Arc<str>>,
    pub(crate) version: Option<Arc<str>>,
    /// The named services of `grpc.health.v1`, each with the probe whose status it has.
    pub(crate) grpc_services: Vec<(Arc<str>, Probe)>,
    /// The names of the groups. The position of a name is the position of its group.
    pub(crate) groups: Vec<Arc<str>>,
}

/// The contents of a snapshot.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Contents {
    /// The number of the publication. Each publication increases it by one.
    pub(in crate::engine) generation: u64,
    /// The time from the start of the service to the publication.
    pub(in crate::engine) uptime: Duration,
    pub(super) state: ServiceState,
    pub(super) about: Arc<About>,
    /// The number of changes of entries so far.
    change: u64,
    places: PersistentVec<Placed>,
    index: NameIndex,
    views: Views,
    /// The views without the checks that call other services; `None` if there is no such check.
    local_views: Option<Views>,
}

impl Contents {
    pub(in crate::engine) fn new(about: Arc<About>, state: ServiceState) -> Self {
        let views = Views::new(false, state, Folded::new(&about.groups));
        Self {
            generation: 0,
            uptime: Duration::ZERO,
            state,
            about,
            change: 0,
            places: PersistentVec::default(),
            index: NameIndex::default(),
            views,
            local_views: None,
        }
    }

    /// Returns contents with the same service and other entries. Builds all views again.
    pub(in crate::engine) fn with_entries(
        &self,
        state: ServiceState,
        entries: impl IntoIterator<Item = Arc<Entry>>,
    ) -> Self {
        let mut contents = Self::new(Arc::clone(&self.about), state);
        contents.generation = self.generation;
        contents.uptime = self.uptime;
        entries.into_iter().for_each(|entry| contents.push(entry));
        contents
    }

    /// Returns the same contents with some entries replaced. The views get their own documents, because readers use
    /// these contents at the same time as the next contents of the store.
    pub(super) fn with_replaced(&self, state: ServiceState, replaced: Vec<(usize, Arc<Entry>)>) -> Self {
        let mut contents = self.clone();
        contents.set_service(state);
        for (position, entry) in replaced {
            contents.replace(position, entry);
        }
        for views in [Some(&mut contents.views), contents.local_views.as_mut()].into_iter().flatten() {
            views.detach_documents();
        }
        contents
    }

    /// Adds a check after all others.
    pub(in crate::engine) fn push(&mut self, entry: Arc<Entry>) {
        let position = self.places.len();
        self.change += 1;
        if entry.asks_a_service && self.local_views.is_none() {
            let mut views = Views::new(true, self.state, Folded::new(&self.about.groups));
            for (position, place) in self.places.iter().enumerate() {
                views.join(position, &place.entry, self.state, self.change);
            }
            self.local_views = Some(views);
        }
        for views in [Some(&mut self.views), self.local_views.as_mut()].into_iter().flatten() {
            views.join(position, &entry, self.state, self.change);
        }
        let places = &self.places;
        self.index.push(&entry.report.name, |position| name_at(places, position));
        self.places.push(Placed { change: self.change, entry });
    }

    /// Replaces the entry of a check and returns the previous one; `None` if there is no such position.
    pub(in crate::engine) fn replace(&mut self, position: usize, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let place = self.places.get_mut(position)?;
        self.change += 1;
        let before = mem::replace(place, Placed { change: self.change, entry: Arc::clone(&entry) }).entry;
        for views in [Some(&mut self.views), self.local_views.as_mut()].into_iter().flatten() {
            views.replace(&before, &entry, self.state);
        }
        Some(before)
    }

    pub(in crate::engine) fn service(&self) -> ServiceState {
        self.state
    }

    /// Sets the state of the service, and updates the verdict of every view.
    pub(in crate::engine) fn set_service(&mut self, state: ServiceState) {
        let before = mem::replace(&mut self.state, state);
        for views in [Some(&mut self.views), self.local_views.as_mut()].into_iter().flatten() {
            views.judge(&self.places, before, state);
        }
    }

    pub(in crate::engine) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.places.iter().map(|place| &place.entry)
    }

    pub(in crate::engine) fn position(&self, name: &str) -> Option<usize> {
        self.index.find(name, |position| name_at(&self.places, position))
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Arc<Entry>> {
        Some(&self.places.get(self.position(name)?)?.entry)
    }

    /// The views for a kind of reader. If no check calls another service, all readers get the same views.
    pub(super) fn views(&self, is_local: bool) -> &Views {
        self.local_views.as_ref().filter(|_| is_local).unwrap_or(&self.views)
    }

    /// Every view of every kind of reader.
    pub(super) fn all_views(&self) -> impl Iterator<Item = &View> {
        self.views.iter().chain(self.local_views.iter().flat_map(Views::iter))
    }

    /// The number of members of a view, including the ones that a local view leaves out.
    pub(super) fn length(&self, view: &View) -> usize {
        view.length(&self.places)
    }

    /// The entries that a view shows, in the order of registration.
    pub(super) fn members<'s>(&'s self, view: &'s View) -> impl Iterator<Item = &'s Arc<Entry>> {
        self.places_of(view).map(|place| &place.entry).filter(|entry| view.shows(entry))
    }

    fn places_of<'s>(&'s self, view: &'s View) -> impl Iterator<Item = &'s Placed> {
        members_of(view.members.as_ref(), &self.places)
    }

    /// The places of the checks that a view lists one by one, including the ones that a local view leaves out.
    fn listed_by<'s>(&'s self, view: &'s View) -> impl Iterator<Item = &'s Placed> {
        let listed = view.folded.as_ref().map(|folded| &folded.listed);
        members_of(listed.or(view.members.as_ref()), &self.places)
    }

    /// The groups of the service as a view shows them, including groups without a member in it.
    pub(super) fn groups(&self, view: &View) -> Vec<Arc<GroupReport>> {
        let member = |position: usize| {
            let entry = &self.places.get(position)?.entry;
            view.shows(entry).then(|| &*entry.report)
        };
        view.folded.iter().flat_map(|folded| folded.reports(&member)).collect()
    }

    /// Returns a document of a view, assembled from the parts of the checks that it lists.
    pub(super) fn assembled(
        &self,
        view: &View,
        format: PartFormat,
        visibility: Visibility,
        around: (&[u8], &[u8]),
        part: impl Fn(&mut Vec<u8>, &CheckReport),
    ) -> Bytes {
        let cell = view.assemblies.cell(format, visibility);
        let members = Members { places: self.listed_by(view), change: self.change, membership: view.membership };
        let previous = cell.load();
        let assembled =
            Assembled::new(previous.as_deref(), members, |entry| view.shows(entry), around.0, part, around.1);
        let body = assembled.body().clone();
        cell.store(Some(Arc::new(assembled)));
        body
    }

    /// The report of a view, without its checks.
    pub(super) fn heading(&self, view: &View) -> Report {
        let members = self.members(view).map(|entry| &*entry.report);
        let mut groups = self.groups(view);
        groups.retain(|group| group.checks() > 0);
        Report { groups, ..self.report(view.subject.clone(), view.verdict, &view.tally, members) }
    }

    /// The report of one check.
    pub(super) fn report_of_check(&self, entry: &Entry) -> Report {
        let mut tally = Tally::default();
        tally.add(contribution(&entry.report, &entry.subject, self.state.startup_passed), entry.report.is_unknown());
        let verdict = policy::verdict(&tally, &entry.subject, self.state);
        let report = self.report(entry.subject.clone(), verdict, &tally, iter::once(&*entry.report));
        Report { checks: vec![Arc::clone(&entry.report)], ..report }
    }

    fn report<'c>(
        &self,
        subject: Subject,
        verdict: Verdict,
        tally: &Tally,
        members: impl Iterator<Item = &'c CheckReport>,
    ) -> Report {
        Report {
            status: verdict.status,
            reason: verdict.reason,
            root_causes: policy::root_causes(tally, members, &subject, self.state.startup_passed),
            subject,
            checks: Vec::new(),
            groups: Vec::new(),
            service: self.about.service.clone(),
            version: self.about.version.clone(),
            lifecycle: self.state.lifecycle,
            uptime: self.uptime,
            startup_passed: self.state.startup_passed,
        }
    }
}

fn name_at(places: &PersistentVec<Placed>, position: usize) -> Option<&str> {
    places.get(position).map(|place| &*place.entry.report.name)
}
