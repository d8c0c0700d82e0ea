//! What is mounted: from a request to a complete answer. Everything a caller can observe is decided here and in the
//! pure modules it asks: routing (`route`), formats (`negotiate`), who sees what (`visibility`), bodies (`render`).
//!
//! Answering is synchronous, takes no lock, waits for nothing and cannot fail: it loads the published snapshot and
//! hands out bytes that were prepared at their first request.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use crate::{
    endpoint_options::{Config, EndpointError},
    format::{Format, Rendered},
    health::Health,
    model::{
        report::{Report, Subject},
        status::{Probe, Reason, Status, Visibility},
    },
    negotiate, query,
    render::{self, prometheus::Exposition},
    route::{self, Family, Name, Route, Target},
    snapshot::{Edition, Entry, Prepared, Snapshot, View, Written},
    time::Nanos,
    visibility,
    wire::{Additions, HeaderValue, Headers, Request, Response},
};

const TEXT: &str = "text/plain; charset=utf-8";
/// Sent by a service that asks how we are, so that we leave out those whom we ask.
const LOCAL: &str = "health-local";
const ALLOW: &str = "GET, HEAD, OPTIONS";
/// The connection is no longer one of HTTP after that answer.
const SWITCHING_PROTOCOLS: u16 = 101;
const UNKNOWN_FORMAT: &[u8] = b"There is no such format: use json, health or text.";
const UNKNOWN_NAME: &[u8] = b"There is nothing of that name here.";
const WRONG_METHOD: &[u8] = b"Use GET, HEAD or OPTIONS.";
const NO_REPORT: &[u8] = b"No report could be made.";

/// The paths, codes, formats and visibility over one [`Health`]. Every adapter mounts one; a `Health` can have
/// several, for instance a terse one outside and a full one on an inner port.
///
/// ```
/// use health_core::{Endpoint, Health, Visibility};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let endpoint = Endpoint::new(health)
///     .base_path("/internal/health")
///     .visibility(Visibility::Status)
///     .full_for_bearer("a-token-of-at-least-16-bytes")
///     .validated()?;
/// # let _ = endpoint;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "an endpoint does nothing until an adapter mounts it"]
pub struct Endpoint {
    pub(crate) health: Health,
    pub(crate) config: Arc<Config>,
    pub(crate) error: Option<EndpointError>,
}

pub(crate) type Render = dyn Fn(&Report, Visibility) -> Rendered + Send + Sync;

/// A renderer of the owner's own, and what it made of the current snapshot and of what became of that with time.
#[derive(Clone)]
pub(crate) struct Custom {
    render: Arc<Render>,
    made: Arc<[ArcSwapOption<Made>; 2]>,
}

/// One place per view, check and visibility of one snapshot; `None` in it says that rendering failed.
struct Made {
    edition: Edition,
    places: Vec<[OnceLock<Option<Rendered>>; 3]>,
}

impl From<Health> for Endpoint {
    fn from(health: Health) -> Self {
        Self::new(health)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("base_path", &self.config.base)
            .field("kubernetes_paths", &self.config.kubernetes)
            .field("visibility", &self.config.ordinary)
            .field("grants", &self.config.grants)
            .finish_non_exhaustive()
    }
}

/// # For adapters
impl Endpoint {
    /// Every path pattern of ours, in the spelling that routers share: `{name}` stands for one segment.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        route::patterns(&self.config.base, self.config.kubernetes)
    }

    /// The same as a regular expression without anchors, for those who keep probes out of logs, traces and the like:
    /// `format!("^{}$", endpoint.path_regex())`, and between the two a prefix below which it is nested.
    #[must_use]
    pub fn path_regex(&self) -> String {
        route::path_regex(&self.patterns())
    }

    /// Whether a path, as sent, is ours. Any other belongs to the application.
    #[must_use]
    pub fn owns(&self, path: &str) -> bool {
        self.route(path).is_some()
    }

    /// The complete answer, at once; `None` if the path is not ours.
    #[must_use]
    pub fn respond(&self, request: &Request<'_>) -> Option<Response> {
        let route = self.route(request.path)?;
        let board = &self.health.inner().board;
        let snapshot = board.load();
        let (mut response, status) = match request.method {
            "GET" | "HEAD" => self.answer(&snapshot, route, request),
            "OPTIONS" => {
                let (Response { status: code, .. }, status) = self.answer(&snapshot, route, request);
                let mut response = plain(code, b"");
                response.headers = Headers::default();
                protect(&mut response.headers);
                response.headers.push("allow", HeaderValue::Static(ALLOW));
                (response, status)
            }
            _ => {
                let mut response = plain(405, WRONG_METHOD);
                response.headers.push("allow", HeaderValue::Static(ALLOW));
                (response, None)
            }
        };
        response.close = snapshot.is_leaving();
        if self.config.envoy_headers {
            mark_for_envoy(&mut response.headers, status, response.close);
        }
        Some(response)
    }

    /// For the middleware forms: what the application's own answer with this code needs besides; `None` while the service
    /// does not drain.
    #[must_use]
    pub fn additions(&self, status: u16) -> Option<Additions> {
        if !self.health.inner().board.load().is_leaving() {
            return None;
        }
        let mut headers = Headers::default();
        if self.config.envoy_headers {
            mark_for_envoy(&mut headers, None, true);
        }
        Some(Additions { headers, close: self.config.close_connections && status != SWITCHING_PROTOCOLS })
    }

    fn route<'p>(&self, path: &'p str) -> Option<Route<'p>> {
        route::route(&self.config.base, self.config.kubernetes, path)
    }
}

/// Who is asking, as far as it matters.
#[derive(Clone, Copy)]
struct Caller {
    visibility: Visibility,
    /// A service that we may ask in turn: it sends `Health-Local: 1`.
    is_a_service: bool,
}

/// What a route leads to in a snapshot.
enum Found<'s> {
    /// A view, and whether it is one of those for services that ask.
    View(&'s View, bool),
    Check(usize, &'s Arc<Entry>),
}

/// # Answers
impl Endpoint {
    /// The answer, and the verdict in it if there is one.
    fn answer(&self, snapshot: &Snapshot, route: Route<'_>, request: &Request<'_>) -> (Response, Option<Status>) {
        let Route::Verdict(target, family) = route else {
            return (self.metrics(snapshot, request), None);
        };
        let visibility = visibility::of(request, &self.config.grants, self.config.ordinary);
        let is_a_service = (request.header)(LOCAL) == Some("1");
        let caller = Caller { visibility, is_a_service };
        let Some(found) = find(snapshot, target, caller) else {
            return (plain(404, UNKNOWN_NAME), None);
        };
        let board = &self.health.inner().board;
        let now = board.clock().now();
        let stale_at = self.wake(snapshot, &found, now);
        let scheduler_stale = board.scheduler_stale(snapshot, now);
        if now < stale_at && !scheduler_stale {
            return self.write(snapshot, &found, family, request, visibility);
        }
        let aged = snapshot.aged(now, scheduler_stale);
        match find(&aged, target, caller) {
            Some(found) => self.write(&aged, &found, family, request, visibility),
            None => (plain(404, UNKNOWN_NAME), None),
        }
    }

    /// The metrics page: always 200, or a scraper would lose what it says of the failure; and nothing wakes for it.
    fn metrics(&self, snapshot: &Snapshot, request: &Request<'_>) -> Response {
        let ordinary = self.config.metrics.unwrap_or(self.config.ordinary);
        let visibility = visibility::of(request, &self.config.grants, ordinary);
        let exposition = negotiate::exposition((request.header)("accept"));
        let written = match exposition {
            Exposition::Text => Written::Prometheus,
            Exposition::OpenMetrics => Written::OpenMetrics,
        };
        let page = |snapshot: &Snapshot| {
            let write = || render::prometheus::page(&snapshot.verdicts(), visibility, exposition);
            snapshot.views.all.prepared.body(written, visibility, write)
        };
        let board = &self.health.inner().board;
        let now = board.clock().now();
        let scheduler_stale = board.scheduler_stale(snapshot, now);
        let body = if now < snapshot.views.all.stale_at && !scheduler_stale {
            page(snapshot)
        } else {
            page(&snapshot.aged(now, scheduler_stale))
        };
        let mut response = answer(200, HeaderValue::Static(exposition.content_type()), body);
        response.headers.push("vary", HeaderValue::Static("Accept"));
        response
    }

    /// Wakes what is too old, and says from when on what was found is stale.
    fn wake(&self, snapshot: &Snapshot, found: &Found<'_>, now: Nanos) -> Nanos {
        let board = &self.health.inner().board;
        match found {
            Found::View(view, _) => {
                board.wake_members(snapshot, view, now);
                view.stale_at
            }
            Found::Check(_, entry) => {
                board.wake_entry(entry, now);
                entry.stale_at
            }
        }
    }

    fn write(
        &self,
        snapshot: &Snapshot,
        found: &Found<'_>,
        family: Family,
        request: &Request<'_>,
        visibility: Visibility,
    ) -> (Response, Option<Status>) {
        let response = match (family, &self.config.custom) {
            (Family::Kubernetes(name), _) => return self.kubernetes(found, name, request.query, visibility),
            (Family::Document, Some(custom)) => self.custom(custom, snapshot, found, visibility),
            (Family::Document, None) => self.document(snapshot, found, request, visibility),
        };
        (response, Some(verdict(found)))
    }

    fn document(
        &self,
        snapshot: &Snapshot,
        found: &Found<'_>,
        request: &Request<'_>,
        visibility: Visibility,
    ) -> Response {
        let Ok(choice) = negotiate::choose(request.query, (request.header)("accept"), self.config.format) else {
            return plain(400, UNKNOWN_FORMAT);
        };
        let (written, write): (_, fn(&Report, Visibility) -> Bytes) = match choice.format {
            Format::Json => (Written::Json, render::json::document),
            Format::Health => (Written::Health, render::health_json::document),
            Format::Text => (Written::Text, render::text::document),
        };
        let body = prepared(found).body(written, visibility, || match found {
            Found::View(view, _) => write(&view.report, visibility),
            Found::Check(_, entry) => write(&snapshot.one_check(entry), visibility),
        });
        let mut response = answer(self.code(found), HeaderValue::Static(choice.format.content_type()), body);
        if choice.negotiated {
            response.headers.push("vary", HeaderValue::Static("Accept"));
        }
        response
    }

    fn kubernetes(
        &self,
        found: &Found<'_>,
        name: &str,
        query: Option<&str>,
        visibility: Visibility,
    ) -> (Response, Option<Status>) {
        let text = |status: Status, body| {
            let code = if status == Status::Unhealthy { self.unhealthy_code_of(found) } else { 200 };
            (answer(code, HeaderValue::Static(TEXT), body), Some(status))
        };
        let view = match found {
            Found::View(view, _) => view,
            Found::Check(_, entry) => {
                let body =
                    entry.prepared.body(Written::Kubernetes, visibility, || render::text::one_check(&entry.report));
                return text(entry.report.status, body);
            }
        };
        let mut wishes = query::wishes(query);
        if visibility == Visibility::Status {
            wishes = query::Wishes::default();
        }
        if wishes.exclude {
            let excluded: Vec<String> = query::excluded(query).collect();
            let (status, body) = render::text::excluding(&view.report, name, &excluded, wishes.verbose);
            return text(status, body);
        }
        if view.report.status != Status::Unhealthy && !wishes.verbose {
            return text(view.report.status, Bytes::from_static(render::text::OK));
        }
        let body =
            view.prepared.body(Written::Kubernetes, visibility, || render::text::list(&view.report, name, visibility));
        text(view.report.status, body)
    }

    fn custom(&self, custom: &Custom, snapshot: &Snapshot, found: &Found<'_>, visibility: Visibility) -> Response {
        let rendered = custom.rendered(snapshot, found, visibility);
        match rendered {
            Some(Rendered { content_type, body }) => answer(self.code(found), content_type, body),
            None => plain(500, NO_REPORT),
        }
    }

    fn code(&self, found: &Found<'_>) -> u16 {
        let subject = match found {
            Found::View(view, _) => Some(&view.report.subject),
            Found::Check(..) => None,
        };
        match (verdict(found), subject) {
            (Status::Unhealthy, _) => self.unhealthy_code_of(found),
            (Status::Degraded, Some(Subject::Probe(Probe::Liveness | Probe::Startup))) => 200,
            (Status::Degraded, _) => self.config.degraded_code,
            (Status::Healthy, _) => 200,
        }
    }

    fn unhealthy_code_of(&self, found: &Found<'_>) -> u16 {
        let drains = matches!(found, Found::View(view, _) if view.report.reason == Some(Reason::Draining));
        self.config.draining_code.filter(|_| drains).unwrap_or(self.config.unhealthy_code)
    }
}

impl Custom {
    pub(crate) fn new(render: Arc<Render>) -> Self {
        Self { render, made: Arc::default() }
    }

    /// What the owner's renderer makes of it, from its place if it has been made before.
    fn rendered(&self, snapshot: &Snapshot, found: &Found<'_>, visibility: Visibility) -> Option<Rendered> {
        let render = || {
            let report = match found {
                Found::View(view, _) => view.report.limited_to(visibility),
                Found::Check(_, entry) => snapshot.one_check(entry).limited_to(visibility),
            };
            panic::catch_unwind(AssertUnwindSafe(|| (self.render)(&report, visibility)))
                .ok()
                .filter(Rendered::is_usable)
        };
        let place = place(snapshot, found);
        let edition = snapshot.edition();
        let current = &self.made[usize::from(!edition.is_published())];
        let made = match current.load_full().filter(|made| made.edition == edition) {
            Some(made) => made,
            None => {
                let made = Arc::new(Made::new(snapshot));
                current.store(Some(Arc::clone(&made)));
                made
            }
        };
        let cell = &made.places.get(place)?[visibility as usize];
        if let Some(rendered) = cell.get() {
            return rendered.clone();
        }
        let rendered = render();
        // Another reader may have been faster; it made the same.
        let _ = cell.set(rendered.clone());
        rendered
    }
}

impl Made {
    fn new(snapshot: &Snapshot) -> Self {
        let count = 2 * snapshot.views.count() + snapshot.entries.len();
        Self { edition: snapshot.edition(), places: (0..count).map(|_| Default::default()).collect() }
    }
}

/// The number of the place that belongs to what was found.
fn place(snapshot: &Snapshot, found: &Found<'_>) -> usize {
    match found {
        Found::Check(position, _) => 2 * snapshot.views.count() + position,
        Found::View(view, for_a_service) => {
            let before = if *for_a_service { snapshot.views.count() } else { 0 };
            before + snapshot.views.position(&view.report.subject)
        }
    }
}

/// What a target leads to for this caller; at [`Visibility::Status`] nothing that has a name.
fn find<'s>(snapshot: &'s Snapshot, target: Target<'_>, caller: Caller) -> Option<Found<'s>> {
    let named = || Some(()).filter(|()| caller.visibility > Visibility::Status);
    let views = snapshot.views(caller.is_a_service);
    let found = |view| Found::View(view, caller.is_a_service);
    match target {
        Target::All => Some(found(&views.all)),
        Target::Probe(probe) => Some(found(views.probe(probe))),
        Target::Tag(tag) => named().and_then(|()| views.tag(tag)).map(found),
        Target::Check(sent, probe) => {
            named()?;
            let name = Name::decode(sent)?;
            let (position, entry) = snapshot.entry(name.as_str())?;
            let counts = probe.is_none_or(|probe| entry.counts_for(probe));
            let counts = counts && !(caller.is_a_service && entry.asks_a_service);
            counts.then_some(Found::Check(position, entry))
        }
    }
}

/// The prepared bodies of what was found.
fn prepared<'s>(found: &Found<'s>) -> &'s Prepared {
    match found {
        Found::View(view, _) => &view.prepared,
        Found::Check(_, entry) => &entry.prepared,
    }
}

/// The verdict of what was found.
fn verdict(found: &Found<'_>) -> Status {
    match found {
        Found::View(view, _) => view.report.status,
        Found::Check(_, entry) => entry.report.status,
    }
}

fn answer(status: u16, content_type: HeaderValue, body: Bytes) -> Response {
    let mut headers = Headers::default();
    headers.push("content-type", content_type);
    protect(&mut headers);
    Response { status, headers, content_length: body.len(), body, close: false }
}

/// What every answer of ours says of itself.
fn protect(headers: &mut Headers) {
    headers.push("cache-control", HeaderValue::Static("no-store"));
    headers.push("x-content-type-options", HeaderValue::Static("nosniff"));
}

/// What Envoy reads: <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/health_checking>.
fn mark_for_envoy(headers: &mut Headers, status: Option<Status>, leaving: bool) {
    if status == Some(Status::Degraded) {
        headers.push("x-envoy-degraded", HeaderValue::Static("true"));
    }
    if leaving {
        headers.push("x-envoy-immediate-health-check-fail", HeaderValue::Static("true"));
    }
}

fn plain(status: u16, sentence: &'static [u8]) -> Response {
    answer(status, HeaderValue::Static(TEXT), Bytes::from_static(sentence))
}
