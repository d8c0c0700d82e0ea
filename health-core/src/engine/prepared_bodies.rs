//! Bodies of one page, rendered at their first request and shared by all later ones.

use std::sync::OnceLock;

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
    /// Metrics in the text format of Prometheus.
    Prometheus,
    /// Metrics in the format of OpenMetrics. The last variant: it counts the formats.
    OpenMetrics,
}

const FORMATS: usize = BodyFormat::OpenMetrics as usize + 1;
const VISIBILITIES: usize = Visibility::ALL.len();

/// Prepared bodies of one page. A body is rendered first and stored then, so that no reader waits for another.
#[derive(Debug, Default)]
pub(crate) struct PreparedBodies([[OnceLock<Bytes>; FORMATS]; VISIBILITIES]);

impl PreparedBodies {
    /// Returns the body in this format at this visibility, rendering it at the first call.
    pub(crate) fn body(&self, format: BodyFormat, visibility: Visibility, render: impl FnOnce() -> Bytes) -> Bytes {
        let cell = &self.0[visibility as usize][format as usize];
        if let Some(body) = cell.get() {
            return body.clone();
        }
        let body = render();
        // Fails if another reader was faster, whose bytes are the same.
        let _ = cell.set(body.clone());
        body
    }
}
