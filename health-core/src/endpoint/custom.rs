//! The custom renderer of an endpoint. Its results are kept with the page.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use crate::{
    endpoint::{format::Rendered, message::HeaderValue},
    engine::snapshot::{page::Page, prepared_bodies::OwnBody},
    model::{report::Report, status::Visibility},
};

type Render = dyn Fn(&Report, Visibility) -> Rendered + Send + Sync;

/// A custom renderer, which the application passes to `render_with`.
#[derive(Clone)]
pub(super) struct CustomRenderer {
    render: Arc<Render>,
    /// The number that distinguishes the bodies of this renderer from the bodies of others.
    number: u64,
}

impl CustomRenderer {
    pub(super) fn new(render: Arc<Render>) -> Self {
        Self { render, number: renderer_number() }
    }

    /// Returns the rendered page, from an earlier call if there was no publication since; `None` if the renderer
    /// panicked or its content type cannot be sent in a header.
    pub(super) fn rendered(&self, page: Page<'_>, visibility: Visibility) -> Option<Rendered> {
        let own = page.own_body(self.number, visibility, || {
            let report = page.report().limited_to(visibility);
            let rendered = panic::catch_unwind(AssertUnwindSafe(|| (self.render)(&report, visibility))).ok()?;
            rendered.is_usable().then(|| rendered.into())
        })?;
        Some(own.into())
    }
}

/// Returns a unique number for a renderer. The number 0 belongs to the status page below the default base path.
pub(super) fn renderer_number() -> u64 {
    static RENDERERS: AtomicU64 = AtomicU64::new(1);
    RENDERERS.fetch_add(1, Ordering::Relaxed)
}

impl From<Rendered> for OwnBody {
    fn from(rendered: Rendered) -> Self {
        let content_type = match rendered.content_type {
            HeaderValue::Static(text) => text.as_bytes().into(),
            HeaderValue::Shared(bytes) => bytes,
            other @ HeaderValue::Number(_) => Bytes::copy_from_slice(other.as_bytes()),
        };
        // The first clone of an owned buffer allocates. Later clones, made for requests, do not.
        let _ = (content_type.clone(), rendered.body.clone());
        Self { content_type, body: rendered.body }
    }
}

impl From<OwnBody> for Rendered {
    fn from(own: OwnBody) -> Self {
        Self { content_type: HeaderValue::Shared(own.content_type), body: own.body }
    }
}
