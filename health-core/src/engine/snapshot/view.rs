//! Views: the tally and the verdict of all checks, of each probe and of each tag.

use std::sync::Arc;

use crate::{
    engine::{
        policy::{self, ServiceState, Verdict},
        snapshot::{
            assembly::{Assemblies, Placed},
            entry::Entry,
            groups::Folded,
            name_index::NameIndex,
            persistent_vec::PersistentVec,
            prepared_bodies::PreparedBodies,
        },
        tally::Tally,
        wake::ViewRequest,
    },
    model::{
        report::{Subject, contribution},
        status::Probe,
    },
};

/// The tally and the verdict of one subject, and its prepared documents. A view changes only if one of its members or
/// the state of the service changes.
#[derive(Debug)]
pub(in crate::engine) struct View {
    pub(super) subject: Subject,
    /// Whether the view leaves out the checks that call other services.
    pub(super) is_local: bool,
    /// The positions of the members, including the ones that a local view leaves out; `None` for all checks.
    pub(super) members: Option<PersistentVec<usize>>,
    /// The members that the view lists, and its groups; `None` if it lists all members.
    pub(super) folded: Option<Folded>,
    pub(super) tally: Tally,
    pub(super) verdict: Verdict,
    /// The request to wake members whose results are too old.
    pub(super) request: Arc<ViewRequest>,
    pub(super) bodies: PreparedBodies,
    /// The last documents of this version of the view or of an earlier one.
    pub(super) assemblies: Arc<Assemblies>,
    /// The number of the change that added the last member.
    pub(super) membership: u64,
}

/// Clones the view without its bodies, because a clone is made to be changed.
impl Clone for View {
    fn clone(&self) -> Self {
        Self {
            subject: self.subject.clone(),
            is_local: self.is_local,
            members: self.members.clone(),
            folded: self.folded.clone(),
            tally: self.tally,
            verdict: self.verdict,
            request: Arc::clone(&self.request),
            bodies: PreparedBodies::default(),
            assemblies: Arc::clone(&self.assemblies),
            membership: self.membership,
        }
    }
}

impl View {
    fn new(subject: Subject, is_local: bool, state: ServiceState, folded: Option<Folded>) -> Self {
        let tally = Tally::default();
        Self {
            verdict: policy::verdict(&tally, &subject, state),
            members: (subject != Subject::All).then(PersistentVec::default),
            folded,
            subject,
            is_local,
            tally,
            request: Arc::default(),
            bodies: PreparedBodies::default(),
            assemblies: Arc::default(),
            membership: 0,
        }
    }

    /// The number of members, including the ones that a local view leaves out.
    pub(super) fn length(&self, places: &PersistentVec<Placed>) -> usize {
        self.members.as_ref().map_or(places.len(), PersistentVec::len)
    }

    /// Whether the view shows a member.
    pub(super) fn shows(&self, entry: &Entry) -> bool {
        entry.is_local || !self.is_local
    }

    /// Adds a member.
    fn join(&mut self, position: usize, entry: &Entry, state: ServiceState, change: u64) {
        self.membership = change;
        if let Some(members) = &mut self.members {
            members.push(position);
        }
        let is_shown = self.shows(entry);
        if let Some(folded) = &mut self.folded {
            folded.join(position, &entry.report, is_shown);
        }
        // A new request, because the new member may be due for a wake before all others.
        self.request = Arc::default();
        self.add(entry, state);
        self.judge(state);
    }

    fn replace(&mut self, before: &Entry, after: &Entry, state: ServiceState) {
        let (was_shown, is_shown) = (self.shows(before), self.shows(after));
        if let Some(folded) = &mut self.folded {
            folded.replace(was_shown.then_some(&*before.report), is_shown.then_some(&*after.report));
        }
        if was_shown {
            self.tally
                .remove(contribution(&before.report, &self.subject, state.startup_passed), before.report.is_unknown());
        }
        self.add(after, state);
        self.judge(state);
    }

    fn add(&mut self, entry: &Entry, state: ServiceState) {
        if self.shows(entry) {
            self.tally.add(contribution(&entry.report, &self.subject, state.startup_passed), entry.report.is_unknown());
        }
    }

    /// Counts all members again, because the state of the service changes how they count.
    fn recount(&mut self, places: &PersistentVec<Placed>, state: ServiceState) {
        self.tally = Tally::default();
        let members = self.members.clone();
        members_of(members.as_ref(), places).for_each(|place| self.add(&place.entry, state));
    }

    fn judge(&mut self, state: ServiceState) {
        self.verdict = policy::verdict(&self.tally, &self.subject, state);
    }
}

/// Returns the places at these positions, or all places for `None`.
pub(super) fn members_of<'s>(
    positions: Option<&'s PersistentVec<usize>>,
    places: &'s PersistentVec<Placed>,
) -> impl Iterator<Item = &'s Placed> {
    let all = if positions.is_none() { Some(places.iter()) } else { None };
    let some = positions.map(|positions| positions.iter().filter_map(|position| places.get(*position)));
    all.into_iter().flatten().chain(some.into_iter().flatten())
}

/// The views for one kind of reader: all readers, or the services that send `Health-Local: 1`.
#[derive(Clone, Debug)]
pub(super) struct Views {
    pub(super) all: Arc<View>,
    liveness: Arc<View>,
    readiness: Arc<View>,
    startup: Arc<View>,
    tags: PersistentVec<Arc<View>>,
    tag_index: NameIndex,
    /// The groups without members, with which a new view begins.
    folded: Option<Folded>,
    is_local: bool,
}

impl Views {
    pub(super) fn new(is_local: bool, state: ServiceState, folded: Option<Folded>) -> Self {
        let view = |subject| Arc::new(View::new(subject, is_local, state, folded.clone()));
        Self {
            all: view(Subject::All),
            liveness: view(Subject::Probe(Probe::Liveness)),
            readiness: view(Subject::Probe(Probe::Readiness)),
            startup: view(Subject::Probe(Probe::Startup)),
            tags: PersistentVec::default(),
            tag_index: NameIndex::default(),
            folded,
            is_local,
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
        self.tags.get(self.tag_position(name)?).map(|view| &**view)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &View> {
        let probes = [&self.all, &self.liveness, &self.readiness, &self.startup];
        probes.into_iter().chain(self.tags.iter()).map(|view| &**view)
    }

    /// Adds a check to its views.
    pub(super) fn join(&mut self, position: usize, entry: &Entry, state: ServiceState, change: u64) {
        for tag in entry.report.traits.tags.iter() {
            if self.tag_position(tag).is_none() {
                let tags = &self.tags;
                self.tag_index.push(tag, |position| tag_at(tags, position));
                // The view of a group lists its members.
                let is_group = entry.report.group.as_ref().is_some_and(|group| group.name == *tag);
                let folded = if is_group { None } else { self.folded.clone() };
                self.tags.push(Arc::new(View::new(Subject::Tag(Arc::clone(tag)), self.is_local, state, folded)));
            }
        }
        self.each_of(entry, |view| view.join(position, entry, state, change));
    }

    /// Gives every view its own documents, so that a clone changes independently of its original.
    pub(super) fn detach_documents(&mut self) {
        for view in [&mut self.all, &mut self.liveness, &mut self.readiness, &mut self.startup] {
            Arc::make_mut(view).assemblies = Arc::default();
        }
        for position in 0..self.tags.len() {
            if let Some(view) = self.tags.get_mut(position) {
                Arc::make_mut(view).assemblies = Arc::default();
            }
        }
    }

    /// Replaces a check in its views.
    pub(super) fn replace(&mut self, before: &Entry, after: &Entry, state: ServiceState) {
        self.each_of(after, |view| view.replace(before, after, state));
    }

    /// Updates the verdict of every view for a new state of the service.
    pub(super) fn judge(&mut self, places: &PersistentVec<Placed>, before: ServiceState, state: ServiceState) {
        if before.startup_passed != state.startup_passed {
            Arc::make_mut(&mut self.startup).recount(places, state);
        }
        for view in [&mut self.all, &mut self.liveness, &mut self.readiness, &mut self.startup] {
            Arc::make_mut(view).judge(state);
        }
        for position in 0..self.tags.len() {
            if let Some(view) = self.tags.get_mut(position) {
                Arc::make_mut(view).judge(state);
            }
        }
    }

    fn each_of(&mut self, entry: &Entry, mut change: impl FnMut(&mut View)) {
        change(Arc::make_mut(&mut self.all));
        for (is_member, view) in [
            (entry.liveness, &mut self.liveness),
            (entry.readiness, &mut self.readiness),
            (entry.startup, &mut self.startup),
        ] {
            if is_member {
                change(Arc::make_mut(view));
            }
        }
        for tag in entry.report.traits.tags.iter() {
            if let Some(view) = self.tag_position(tag).and_then(|position| self.tags.get_mut(position)) {
                change(Arc::make_mut(view));
            }
        }
    }

    fn tag_position(&self, name: &str) -> Option<usize> {
        self.tag_index.find(name, |position| tag_at(&self.tags, position))
    }
}

fn tag_at(tags: &PersistentVec<Arc<View>>, position: usize) -> Option<&str> {
    match &tags.get(position)?.subject {
        Subject::Tag(tag) => Some(tag),
        _ => None,
    }
}
