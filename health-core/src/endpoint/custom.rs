//! A renderer of the owner's own, and the cache of what it rendered.

use std::{
    collections::HashMap,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwapOption;

use crate::{
    endpoint::format::Rendered,
    engine::snapshot::{Page, Snapshot, SnapshotVersion},
    model::{
        report::{Report, Subject},
        status::Visibility,
    },
};

type Render = dyn Fn(&Report, Visibility) -> Rendered + Send + Sync;

/// A renderer of the owner's own. Caches what it rendered of the published snapshot, and of the same with expired results
/// marked stale.
#[derive(Clone)]
pub(super) struct CustomRenderer {
    render: Arc<Render>,
    published: Arc<ArcSwapOption<RenderCache>>,
    aged: Arc<ArcSwapOption<RenderCache>>,
}

/// What was rendered of one snapshot: per page, and in it per visibility. `None` inside says that rendering failed.
struct RenderCache {
    version: SnapshotVersion,
    entries: HashMap<PageKey, [OnceLock<Option<Rendered>>; 3]>,
}

/// The subject of a page, and whether the page is local.
type PageKey = (Subject, bool);

fn key(page: Page<'_>) -> PageKey {
    (page.subject().clone(), page.is_local())
}

impl CustomRenderer {
    pub(super) fn new(render: Arc<Render>) -> Self {
        Self { render, published: Arc::default(), aged: Arc::default() }
    }

    /// Returns the rendered page, from the cache if it was rendered before; `None` if the renderer panicked, or its
    /// content type cannot stand in a header.
    pub(super) fn rendered(&self, snapshot: &Snapshot, page: Page<'_>, visibility: Visibility) -> Option<Rendered> {
        let cache = self.cache(snapshot);
        let cell = &cache.entries.get(&key(page))?[visibility as usize];
        if let Some(rendered) = cell.get() {
            return rendered.clone();
        }
        let report = page.report().limited_to(visibility);
        let rendered = panic::catch_unwind(AssertUnwindSafe(|| (self.render)(&report, visibility)));
        let rendered = rendered.ok().filter(Rendered::is_usable);
        // Fails if another reader was faster, who rendered the same.
        let _ = cell.set(rendered.clone());
        rendered
    }

    fn cache(&self, snapshot: &Snapshot) -> Arc<RenderCache> {
        let version = snapshot.version();
        let current = if version.is_published() { &self.published } else { &self.aged };
        if let Some(cache) = current.load_full().filter(|cache| cache.version == version) {
            return cache;
        }
        let entries = snapshot.pages().map(|page| (key(page), Default::default())).collect();
        let cache = Arc::new(RenderCache { version, entries });
        current.store(Some(Arc::clone(&cache)));
        cache
    }
}
