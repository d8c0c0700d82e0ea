//! The prepared bodies of one page, which the first request renders and all later requests share.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use crate::model::status::Visibility;

/// A format of a page. The body of each format is prepared once per visibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    Json,
    Health,
    /// Kubernetes text that ends with `health check passed`.
    Text,
    /// Kubernetes text that ends with the name of the path, for example `readyz check passed`.
    Kubernetes,
    /// The badge.
    #[cfg(feature = "html")]
    Badge,
    /// Metrics in the text format of Prometheus.
    Prometheus,
    /// Metrics in the format of OpenMetrics. Must be the last variant, because it determines the number of formats.
    OpenMetrics,
}

const FORMATS: usize = BodyFormat::OpenMetrics as usize + 1;
const VISIBILITIES: usize = Visibility::ALL.len();

/// The largest number of custom renderers whose bodies are kept with a page. The bodies of further renderers are
/// rendered at each request.
const RENDERERS: usize = 16;

/// A body from a custom renderer, with its content type.
#[derive(Clone, Debug)]
pub(crate) struct OwnBody {
    pub(crate) content_type: Bytes,
    pub(crate) body: Bytes,
}

/// The prepared bodies of one page. A body is stored after it is rendered, so that no reader waits for another reader.
#[derive(Debug, Default)]
pub(crate) struct PreparedBodies {
    /// Allocated at the first request, because most pages are never requested.
    cells: OnceLock<Box<[[Cell<Bytes>; FORMATS]; VISIBILITIES]>>,
    own: OnceLock<Box<OwnBodies>>,
}

impl PreparedBodies {
    /// Returns the body in this format at this visibility. Renders it at the first call for each version. Without a
    /// version the body is rendered once and kept as long as the page.
    pub(crate) fn body(
        &self,
        format: BodyFormat,
        visibility: Visibility,
        version: Option<u64>,
        render: impl FnOnce() -> Bytes,
    ) -> Bytes {
        made(&self.cells)[visibility as usize][format as usize].value(version, render)
    }

    /// Returns the body of a custom renderer; `None` if rendering failed. Renders it at the first call for each
    /// version.
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

/// The bodies of one custom renderer, and a link to the bodies of the next renderer.
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

/// One prepared value: a value without a version, which is kept, or the value of the latest version.
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
            // Fails if another reader was faster. Its value is the same.
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

/// Returns the value of a cell. The first call creates it.
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
