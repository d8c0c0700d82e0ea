//! Documents that are assembled from one part per check. The parts of unchanged checks are copied from the last
//! document of the view in long pieces, which is faster than rendering each of them.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use crate::{
    engine::snapshot::{entry::Entry, prepared_bodies::made},
    model::{report::CheckReport, status::Visibility},
};

/// A format whose documents are assembled from one part per check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartFormat {
    Json,
    /// `application/health+json`. Must be the last variant, because it determines the number of formats.
    Health,
}

const FORMATS: usize = PartFormat::Health as usize + 1;
const VISIBILITIES: usize = Visibility::ALL.len();

/// The place of a check in a snapshot: its entry, and the number of the change that set the entry.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) change: u64,
    pub(super) entry: Arc<Entry>,
}

/// The last documents of a view. Later versions of the view start from them.
#[derive(Debug, Default)]
pub(super) struct Assemblies(OnceLock<Box<[[ArcSwapOption<Assembled>; FORMATS]; VISIBILITIES]>>);

impl Assemblies {
    pub(super) fn cell(&self, format: PartFormat, visibility: Visibility) -> &ArcSwapOption<Assembled> {
        &made(&self.0)[visibility as usize][format as usize]
    }
}

/// A document and the positions of its parts.
#[derive(Debug)]
pub(super) struct Assembled {
    body: Bytes,
    /// The position of the first part in the body.
    start: usize,
    /// The end of the part of each member, counted from `start`. Every part begins with a comma. The ends count the
    /// first comma, which the body leaves out. A check that is not shown has an empty part.
    ends: Vec<usize>,
    /// The number of the last change that the document shows, and of the last change that added a member.
    change: u64,
    membership: u64,
}

/// The members of a view from which a document is assembled.
pub(super) struct Members<I> {
    pub(super) places: I,
    /// The number of the last change, and of the last change that added a member.
    pub(super) change: u64,
    pub(super) membership: u64,
}

impl Assembled {
    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Assembles a document. `before` is the text before the parts, and `after` is the text after them. `part` appends
    /// a comma and the part of a check.
    pub(super) fn new<'s>(
        previous: Option<&Self>,
        members: Members<impl Iterator<Item = &'s Placed>>,
        shows: impl Fn(&Entry) -> bool,
        before: &[u8],
        part: impl Fn(&mut Vec<u8>, &CheckReport),
        after: &[u8],
    ) -> Self {
        // A document of a later change cannot be used, because it shows newer entries.
        let is_fit = |it: &&Self| it.membership == members.membership && it.change <= members.change;
        let previous = previous.filter(is_fit);
        let length = previous.map_or(0, |previous| previous.body.len());
        let mut parts = Parts { text: Vec::with_capacity(length + length / 32 + before.len()), start: before.len() };
        parts.text.extend_from_slice(before);
        let mut ends = Vec::with_capacity(previous.map_or(0, |previous| previous.ends.len()));
        // The piece of the previous document to copy next.
        let mut piece = 0..0;
        let mut end = 0;
        let mut scratch = Vec::new();
        for (position, place) in members.places.enumerate() {
            let range = previous.map(|it| position.checked_sub(1).map_or(0, |at| it.ends[at])..it.ends[position]);
            let unchanged = range.filter(|_| previous.is_some_and(|previous| place.change <= previous.change));
            if let Some(range) = unchanged {
                end += range.len();
                if piece.end == range.start {
                    piece.end = range.end;
                } else {
                    parts.copy(previous, &piece);
                    piece = range;
                }
            } else {
                parts.copy(previous, &piece);
                piece = 0..0;
                if shows(&place.entry) {
                    scratch.clear();
                    part(&mut scratch, &place.entry.report);
                    parts.append(&scratch);
                    end += scratch.len();
                }
            }
            ends.push(end);
        }
        parts.copy(previous, &piece);
        // If `after` continues the same object, it begins with a comma, which an object without parts does not have.
        let is_empty = parts.text.len() == parts.start;
        parts.text.extend_from_slice(after.strip_prefix(b",").filter(|_| is_empty).unwrap_or(after));
        let body = Bytes::from(parts.text);
        // The first clone of an owned buffer allocates. Later clones, made for requests, do not.
        let _ = body.clone();
        Self { body, start: before.len(), ends, change: members.change, membership: members.membership }
    }
}

/// The text of a document to which parts are appended.
struct Parts {
    text: Vec<u8>,
    start: usize,
}

impl Parts {
    /// Appends one or more parts. Omits the comma of the first part in the document.
    fn append(&mut self, part: &[u8]) {
        let comma = usize::from(self.text.len() == self.start).min(part.len());
        self.text.extend_from_slice(&part[comma..]);
    }

    /// Appends a piece of another document.
    fn copy(&mut self, previous: Option<&Assembled>, piece: &std::ops::Range<usize>) {
        let Some(previous) = previous.filter(|_| !piece.is_empty()) else { return };
        let at = |position: usize| previous.start + position - 1;
        if piece.start > 0 {
            self.append(&previous.body[at(piece.start)..at(piece.end)]);
        } else {
            // The first part in the previous document has no comma.
            if self.text.len() > self.start {
                self.text.push(b',');
            }
            self.text.extend_from_slice(&previous.body[previous.start..at(piece.end)]);
        }
    }
}
