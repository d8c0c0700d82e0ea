//! Bodies of one page, rendered at their first request and shared by all later ones.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use crate::model::status::Visibility;

/// A way to render a page. Each is prepared once per visibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    Json,
    Health,
    /// Kubernetes text that closes with `health check passed`.
    Text,
    /// Kubernetes text that closes with the name of the path.
    Kubernetes,
    /// The badge.
    #[cfg(feature = "html")]
    Badge,
    /// Metrics in the text format of Prometheus.
    Prometheus,
    /// Metrics in the format of OpenMetrics. The last variant: it counts the formats.
    OpenMetrics,
}

const FORMATS: usize = BodyFormat::OpenMetrics as usize + 1;
const VISIBILITIES: usize = Visibility::ALL.len();

/// The largest number of renderers of the owner's whose bodies are kept with a page. Further ones render at each request.
const RENDERERS: usize = 16;

/// A body from a renderer of the owner's, with its content type.
#[derive(Clone, Debug)]
pub(crate) struct OwnBody {
    pub(crate) content_type: Bytes,
    pub(crate) body: Bytes,
}

/// Prepared bodies of one page. A body is rendered first and stored then, so that no reader waits for another.
#[derive(Debug, Default)]
pub(crate) struct PreparedBodies {
    /// Made at the first request, because most pages are never asked for.
    cells: OnceLock<Box<[[Cell<Bytes>; FORMATS]; VISIBILITIES]>>,
    own: OnceLock<Box<OwnBodies>>,
}

impl PreparedBodies {
    /// Returns the body in this format at this visibility, rendering it at the first call for this version. Without a
    /// version the body holds for as long as the page.
    pub(crate) fn body(
        &self,
        format: BodyFormat,
        visibility: Visibility,
        version: Option<u64>,
        render: impl FnOnce() -> Bytes,
    ) -> Bytes {
        made(&self.cells)[visibility as usize][format as usize].value(version, render)
    }

    /// Returns the body by a renderer of the owner's, rendering it at the first call for this version; `None` if rendering
    /// failed.
    pub(crate) fn own_body(
        &self,
        renderer: u64,
        visibility: Visibility,
        version: u64,
        render: impl FnOnce() -> Option<OwnBody>,
    ) -> Option<OwnBody> {
        let mut next = &self.own;
        for _ in 0..RENDERERS {
            let own = made_with(next, || OwnBodies::of(renderer));
            if own.renderer == renderer {
                return own.cells[visibility as usize].value(Some(version), render);
            }
            next = &own.next;
        }
        render()
    }
}

/// The bodies of one renderer of the owner's, and those of the next one.
#[derive(Debug)]
struct OwnBodies {
    renderer: u64,
    cells: [Cell<Option<OwnBody>>; VISIBILITIES],
    next: OnceLock<Box<OwnBodies>>,
}

impl OwnBodies {
    fn of(renderer: u64) -> Self {
        Self { renderer, cells: Default::default(), next: OnceLock::new() }
    }
}

/// One prepared value: one that holds for good, or the one of the latest version.
#[derive(Debug)]
struct Cell<T> {
    lasting: OnceLock<T>,
    latest: ArcSwapOption<(u64, T)>,
}

impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self { lasting: OnceLock::new(), latest: ArcSwapOption::empty() }
    }
}

impl<T: Clone> Cell<T> {
    fn value(&self, version: Option<u64>, render: impl FnOnce() -> T) -> T {
        let Some(version) = version else {
            if let Some(value) = self.lasting.get() {
                return value.clone();
            }
            let value = render();
            // Fails if another reader was faster, whose value is the same.
            let _ = self.lasting.set(value.clone());
            return value;
        };
        if let Some(latest) = &*self.latest.load()
            && latest.0 == version
        {
            return latest.1.clone();
        }
        let value = render();
        self.latest.store(Some(Arc::new((version, value.clone()))));
        value
    }
}

/// Returns the value of a cell, which is made at the first call.
pub(super) fn made<T: Default>(cell: &OnceLock<Box<T>>) -> &T {
    made_with(cell, T::default)
}

fn made_with<T>(cell: &OnceLock<Box<T>>, make: impl Fn() -> T) -> &T {
    loop {
        if let Some(value) = cell.get() {
            return value;
        }
        // Fails if another reader was faster.
        let _ = cell.set(Box::new(make()));
    }
}
