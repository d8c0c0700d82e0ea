//! The page: a view or a single check, with everything that an answer needs.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    engine::snapshot::{
        assembly::PartFormat,
        contents::Contents,
        entry::Entry,
        prepared_bodies::{BodyFormat, OwnBody, PreparedBodies},
        view::View,
    },
    model::{
        report::{CheckReport, Report, Subject},
        status::{Reason, Status, Visibility},
    },
    time::Nanos,
};

/// The largest number of members of a view that a request itself walks over to wake checks. In larger views the
/// scheduler walks over them.
const SMALL: usize = 32;
/// The shortest time between two walks over a large view, in nanoseconds per member.
const PAUSE_PER_MEMBER: Nanos = 10_000;

/// The target that a request has woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Woken {
    Nothing,
    /// One or more checks.
    Checks,
    /// A large view, in which the scheduler must look for checks to wake.
    View,
}

/// A view or a single check, with everything that an answer needs.
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

    /// The reason of the whole page; on the page of a check, the reason of the check.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self.content {
            Content::View(view) => view.verdict.reason,
            Content::Check(entry) => entry.report.reason,
        }
    }

    /// The entries of the page in the order of registration; on the page of a check, only its own entry.
    pub(crate) fn members(self) -> impl Iterator<Item = &'s Arc<Entry>> {
        let (view, check) = match self.content {
            Content::View(view) => (Some(view), None),
            Content::Check(entry) => (None, Some(entry)),
        };
        let contents = self.contents;
        view.into_iter().flat_map(|view| contents.members(view)).chain(check)
    }

    /// The report of the page. Each call creates it.
    pub(crate) fn report(&self) -> Report {
        let checks = self.members().map(|entry| Arc::clone(&entry.report)).collect();
        Report { checks, ..self.heading() }
    }

    /// The report of the page without its checks. Each call creates it.
    pub(crate) fn heading(&self) -> Report {
        match self.content {
            Content::View(view) => self.contents.heading(view),
            Content::Check(entry) => self.contents.report_of_check(entry),
        }
    }

    /// Returns the body in this format at this visibility. It is rendered at the first call and then reused.
    pub(crate) fn body(&self, format: BodyFormat, visibility: Visibility, render: impl FnOnce() -> Bytes) -> Bytes {
        // The full JSON document shows an uptime, which changes even if no member does.
        let is_timed = format == BodyFormat::Json && visibility == Visibility::Full;
        let version = is_timed.then_some(self.contents.uptime.as_secs());
        self.bodies().body(format, visibility, version, render)
    }

    /// Returns the document of a view; `None` on the page of a check. `around` is the text before and after the parts
    /// of the checks. `part` appends a comma and the part of one check.
    pub(crate) fn assembled(
        &self,
        format: PartFormat,
        visibility: Visibility,
        around: (&[u8], &[u8]),
        part: impl Fn(&mut Vec<u8>, &CheckReport),
    ) -> Option<Bytes> {
        match self.content {
            Content::View(view) => Some(self.contents.assembled(view, format, visibility, around, part)),
            Content::Check(_) => None,
        }
    }

    /// Returns the body of a custom renderer; `None` if rendering failed. It is rendered at the first call after each
    /// publication, because a custom renderer can show anything that a publication changes.
    pub(crate) fn own_body(
        &self,
        renderer: u64,
        visibility: Visibility,
        render: impl FnOnce() -> Option<OwnBody>,
    ) -> Option<OwnBody> {
        self.bodies().own_body(renderer, visibility, self.contents.generation, render)
    }

    /// Returns the body of one endpoint that shows the time. It is rendered at the first call in each second and after
    /// each publication.
    #[cfg(feature = "html")]
    pub(crate) fn timed_body(
        &self,
        renderer: u64,
        visibility: Visibility,
        second: u64,
        render: impl FnOnce() -> Bytes,
    ) -> Bytes {
        // Neither number reaches 2^32 in practice.
        let version = (self.contents.generation << 32) | (second & u64::from(u32::MAX));
        let own = || Some(OwnBody { content_type: Bytes::new(), body: render() });
        self.bodies().own_body(renderer, visibility, version, own).map(|own| own.body).unwrap_or_default()
    }

    /// The time at which the first result of a critical check on the page expires. If no such result expires, the
    /// time at which the first result of any check does; `None` if no result expires.
    #[cfg(feature = "html")]
    pub(crate) fn expires_at(&self) -> Option<Nanos> {
        let first = |is_wanted: fn(&Entry) -> bool| {
            let moments = self.members().filter(|entry| is_wanted(entry)).map(|entry| entry.expires_at());
            moments.filter(|moment| *moment != Nanos::MAX).min()
        };
        first(|entry| entry.report.impact == crate::model::status::Impact::Critical).or_else(|| first(|_| true))
    }

    /// Whether the page is not Healthy, and every check that counts with its status is unknown: pending or stale.
    #[cfg(feature = "html")]
    pub(crate) fn is_unknown(&self) -> bool {
        match self.content {
            Content::View(view) => match view.verdict.reason {
                Some(reason) => reason == Reason::Stale,
                None => view.tally.worst_is_unknown() && view.verdict.status > Status::Healthy,
            },
            Content::Check(entry) => entry.report.is_unknown(),
        }
    }

    /// Requests runs of the members whose last recorded results are older than their `max_age`. In a large view the
    /// scheduler looks for these members, so that no request walks over many checks.
    pub(in crate::engine) fn wake(&self, now: Nanos) -> Woken {
        let mut woken = Woken::Nothing;
        match self.content {
            Content::Check(entry) => entry.signals.page_throttle().acquire(now, || {
                let (is_woken, next) = entry.wake(now);
                woken = if is_woken { Woken::Checks } else { Woken::Nothing };
                next
            }),
            Content::View(view) if self.contents.length(view) <= SMALL => view.request.throttle.acquire(now, || {
                let (is_woken, next) = self.wake_members(now);
                woken = if is_woken { Woken::Checks } else { Woken::Nothing };
                next
            }),
            Content::View(view) => woken = if view.request.request(now) { Woken::View } else { Woken::Nothing },
        }
        woken
    }

    /// Looks for members to wake if a request has marked the view.
    pub(super) fn wake_if_requested(&self, now: Nanos) {
        if let Content::View(view) = self.content
            && view.request.take()
        {
            let (_, next) = self.wake_members(now);
            // In a large view a member is nearly always due. The pause limits the share of time that the walks take.
            let pause = PAUSE_PER_MEMBER * u64::try_from(self.contents.length(view)).unwrap_or(u64::MAX);
            view.request.throttle.set(next.max(now.saturating_add(pause)));
        }
    }

    /// Requests runs of the members whose results are older than `max_age`. Returns whether a run was requested, and
    /// the earliest time at which the next request can be due.
    fn wake_members(&self, now: Nanos) -> (bool, Nanos) {
        let woken = self.members().map(|entry| entry.wake(now));
        woken.fold((false, Nanos::MAX), |(any, first), (is_woken, next)| (any | is_woken, first.min(next)))
    }

    fn bodies(&self) -> &'s PreparedBodies {
        match self.content {
            Content::View(view) => &view.bodies,
            Content::Check(entry) => &entry.bodies,
        }
    }
}
