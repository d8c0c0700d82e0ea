//! A page: a view or a single check, as its readers see it.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    engine::{
        snapshot::{
            contents::Contents,
            entry::Entry,
            prepared_bodies::{BodyFormat, OwnBody, PreparedBodies},
            view::View,
        },
        wake::Throttle,
    },
    model::{
        report::{Report, Subject},
        status::{Reason, Status, Visibility},
    },
    time::Nanos,
};

/// A view or a single check, as its readers see it.
#[derive(Clone, Copy)]
pub(crate) struct Page<'s> {
    content: Content<'s>,
    contents: &'s Contents,
}

#[derive(Clone, Copy)]
enum Content<'s> {
    View(&'s View),
    Check(&'s Arc<Entry>),
}

impl<'s> Page<'s> {
    pub(super) fn of_view(contents: &'s Contents, view: &'s View) -> Self {
        Self { content: Content::View(view), contents }
    }

    pub(super) fn of_check(contents: &'s Contents, entry: &'s Arc<Entry>) -> Self {
        Self { content: Content::Check(entry), contents }
    }

    pub(crate) fn subject(&self) -> &'s Subject {
        match self.content {
            Content::View(view) => &view.subject,
            Content::Check(entry) => &entry.subject,
        }
    }

    pub(crate) fn status(&self) -> Status {
        match self.content {
            Content::View(view) => view.verdict.status,
            Content::Check(entry) => entry.report.status,
        }
    }

    /// The reason of the whole page; on the page of a check, that of the check.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self.content {
            Content::View(view) => view.verdict.reason,
            Content::Check(entry) => entry.report.reason,
        }
    }

    /// The entries of the page in the order of registration; on the page of a check, its own alone.
    pub(crate) fn members(self) -> impl Iterator<Item = &'s Arc<Entry>> {
        let (view, check) = match self.content {
            Content::View(view) => (Some(view), None),
            Content::Check(entry) => (None, Some(entry)),
        };
        let contents = self.contents;
        view.into_iter().flat_map(|view| contents.members(view)).chain(check)
    }

    /// The report of the page, made by each call.
    pub(crate) fn report(&self) -> Report {
        let checks = self.members().map(|entry| Arc::clone(&entry.report)).collect();
        Report { checks, ..self.heading() }
    }

    /// The report of the page without its checks, made by each call.
    pub(crate) fn heading(&self) -> Report {
        match self.content {
            Content::View(view) => self.contents.heading(view),
            Content::Check(entry) => self.contents.report_of_check(entry),
        }
    }

    /// Returns the body in this format at this visibility, from the last call or rendered now.
    pub(crate) fn body(&self, format: BodyFormat, visibility: Visibility, render: impl FnOnce() -> Bytes) -> Bytes {
        // The only bytes that change without a member: this document says how long the service has been up.
        let is_timed = matches!((self.content, format), (Content::View(_), BodyFormat::Json));
        let version = (is_timed && visibility == Visibility::Full).then_some(self.contents.uptime.as_secs());
        self.bodies().body(format, visibility, version, render)
    }

    /// Returns the body of a renderer of the owner's, from the last call or rendered now; `None` if rendering failed.
    pub(crate) fn own_body(
        &self,
        renderer: u64,
        visibility: Visibility,
        render: impl FnOnce() -> Option<OwnBody>,
    ) -> Option<OwnBody> {
        // At full visibility it sees the time since the start.
        let version = (visibility == Visibility::Full).then_some(self.contents.generation);
        self.bodies().own_body(renderer, visibility, version, render)
    }

    /// Requests runs of the members whose last recorded results are older than their `max_age`. Returns whether there were
    /// any. Does nothing if the page has no such member, as far as an earlier call knows.
    pub(in crate::engine) fn wake(&self, now: Nanos) -> bool {
        let mut has_woken = false;
        let throttle: &Throttle = match self.content {
            Content::View(view) => &view.wake_throttle,
            Content::Check(entry) => entry.signals.page_throttle(),
        };
        throttle.acquire(now, || {
            let woken = self.members().map(|entry| entry.wake(now));
            woken.fold(Nanos::MAX, |next, (is_woken, again)| {
                has_woken |= is_woken;
                next.min(again)
            })
        });
        has_woken
    }

    fn bodies(&self) -> &'s PreparedBodies {
        match self.content {
            Content::View(view) => &view.bodies,
            Content::Check(entry) => &entry.bodies,
        }
    }
}
