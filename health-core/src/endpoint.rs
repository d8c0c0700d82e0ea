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
    Format, Health, Probe, Rendered, Report, Request, Response, Status, Subject, Visibility,
    clock::Nanos,
    negotiate, query, render,
    route::{self, Family, Name, Route, Target},
    snapshot::{Entry, Prepared, Snapshot, View, Written},
    visibility::{self, Grant},
    wire::{HeaderValue, Headers},
};

const TEXT: &str = "text/plain; charset=utf-8";
/// Sent by a service that asks how we are, so that we leave out those whom we ask.
const LOCAL: &str = "health-local";
const ALLOW: &str = "GET, HEAD, OPTIONS";
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
    health: Health,
    config: Arc<Config>,
    error: Option<EndpointError>,
}

#[derive(Clone)]
struct Config {
    base: String,
    kubernetes: bool,
    ordinary: Visibility,
    grants: Vec<Grant>,
    unhealthy_code: u16,
    degraded_code: u16,
    format: Format,
    custom: Option<Custom>,
}

type Render = dyn Fn(&Report, Visibility) -> Rendered + Send + Sync;

/// A renderer of the owner's own, and what it made of the current snapshot.
#[derive(Clone)]
struct Custom {
    render: Arc<Render>,
    made: Arc<ArcSwapOption<Made>>,
}

/// One place per view, check and visibility of one snapshot; `None` in it says that rendering failed.
struct Made {
    generation: u64,
    places: Vec<[OnceLock<Option<Rendered>>; 3]>,
}

/// An option of an [`Endpoint`] that cannot be used; the option keeps the value it had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// `base_path` with a path that cannot be told from the rest.
    BasePath {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        message: &'static str,
    },
    /// `unhealthy_code` outside 400 to 599.
    UnhealthyCode(u16),
    /// `degraded_code` outside 200 to 299 that is not 429 either, or 204 or 205, which allow no body.
    DegradedCode(u16),
    /// `full_for_bearer` with fewer than 16 bytes, which grants nobody.
    ShortToken,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BasePath { path, message } => write!(f, "base_path({path:?}) is not usable: {message}"),
            Self::UnhealthyCode(code) => write!(f, "unhealthy_code({code}) is not usable: use 400 to 599"),
            Self::DegradedCode(code) => {
                write!(f, "degraded_code({code}) is not usable: use 200 to 299 but 204 and 205, or 429")
            }
            Self::ShortToken => f.write_str("full_for_bearer grants nobody: use a token of at least 16 bytes"),
        }
    }
}

impl std::error::Error for EndpointError {}

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

/// # Options
impl Endpoint {
    /// An endpoint with every default: `/health` and the Kubernetes paths, [`Visibility::Checks`] for everyone, 503
    /// for Unhealthy, 200 for Degraded, JSON.
    pub fn new(health: Health) -> Self {
        let config = Config {
            base: "/health".to_owned(),
            kubernetes: true,
            ordinary: Visibility::Checks,
            grants: Vec::new(),
            unhealthy_code: 503,
            degraded_code: 200,
            format: Format::Json,
            custom: None,
        };
        Self { health, config: Arc::new(config), error: None }
    }

    /// Where the documents begin; default `/health`. One or more segments of letters, digits, `_`, `-`, `.` and `~`.
    /// A path that cannot be used is refused: see [`validated`](Self::validated).
    pub fn base_path(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        match route::check_base(&path) {
            Ok(()) => self.config_mut().base = path,
            Err(message) => self.refuse(EndpointError::BasePath { path, message }),
        }
        self
    }

    /// Whether `/livez`, `/readyz`, `/startupz` and `/healthz` are answered; default yes.
    pub fn kubernetes_paths(mut self, answered: bool) -> Self {
        self.config_mut().kubernetes = answered;
        self
    }

    /// What everyone may see; default [`Visibility::Checks`].
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.config_mut().ordinary = visibility;
        self
    }

    /// Full visibility for the requests that the closure accepts. It must be quick: it runs in the request. A panic
    /// in it means no. Can be given several times; one yes is enough.
    pub fn full_for(mut self, accepts: impl Fn(&Request<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.config_mut().grants.push(Grant::Asked(Arc::new(accepts)));
        self
    }

    /// Full visibility for `Authorization: Bearer <token>`, compared in constant time. A wrong or missing token is no
    /// error: the caller sees what everyone sees. A token of fewer than 16 bytes grants nobody: see
    /// [`validated`](Self::validated). Can be given several times, for rotation.
    pub fn full_for_bearer(mut self, token: impl AsRef<str>) -> Self {
        match Grant::bearer(token.as_ref()) {
            Some(grant) => self.config_mut().grants.push(grant),
            None => self.refuse(EndpointError::ShortToken),
        }
        self
    }

    /// The code for Unhealthy: 400 to 599, default 503. Anything else is refused: see [`validated`](Self::validated).
    pub fn unhealthy_code(mut self, code: u16) -> Self {
        if (400..=599).contains(&code) {
            self.config_mut().unhealthy_code = code;
        } else {
            self.refuse(EndpointError::UnhealthyCode(code));
        }
        self
    }

    /// The code for Degraded: 200 to 299 but 204 and 205, which allow no body, or 429 for Consul and `check_http`; default 200. Never used for liveness,
    /// startup and the Kubernetes paths. Anything else is refused: see [`validated`](Self::validated).
    pub fn degraded_code(mut self, code: u16) -> Self {
        if (200..=299).contains(&code) && !matches!(code, 204 | 205) || code == 429 {
            self.config_mut().degraded_code = code;
        } else {
            self.refuse(EndpointError::DegradedCode(code));
        }
        self
    }

    /// The format for callers without a preference; default [`Format::Json`].
    pub fn format(mut self, format: Format) -> Self {
        self.config_mut().format = format;
        self
    }

    /// A format of your own for every document below the base path, in place of negotiation. The report has been
    /// reduced to what the visibility shows. What it returns is kept per snapshot, view and visibility, but for stale
    /// answers; a panic in it makes the answer 500.
    pub fn render_with(mut self, render: impl Fn(&Report, Visibility) -> Rendered + Send + Sync + 'static) -> Self {
        self.config_mut().custom = Some(Custom { render: Arc::new(render), made: Arc::default() });
        self
    }

    /// The endpoint, if every option could be used. An option that could not is logged and keeps its value; this
    /// turns it into an error at start-up.
    ///
    /// # Errors
    ///
    /// The first option that was refused.
    pub fn validated(self) -> Result<Self, EndpointError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    fn config_mut(&mut self) -> &mut Config {
        Arc::make_mut(&mut self.config)
    }

    fn refuse(&mut self, error: EndpointError) {
        tracing::error!(target: "health", %error, "an option of the health endpoint was ignored");
        self.error.get_or_insert(error);
    }
}

/// # For adapters
impl Endpoint {
    /// Every path pattern of ours, in the spelling that routers share: `{name}` stands for one segment.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        route::patterns(&self.config.base, self.config.kubernetes)
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
        let mut response = match request.method {
            "GET" | "HEAD" => self.answer(&snapshot, route, request),
            "OPTIONS" => {
                let mut response = plain(self.answer(&snapshot, route, request).status, b"");
                response.headers = Headers::default();
                protect(&mut response.headers);
                response.headers.push("allow", HeaderValue::Static(ALLOW));
                response
            }
            _ => {
                let mut response = plain(405, WRONG_METHOD);
                response.headers.push("allow", HeaderValue::Static(ALLOW));
                response
            }
        };
        response.close = snapshot.circumstances.lifecycle >= crate::Lifecycle::Draining;
        Some(response)
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
    fn answer(&self, snapshot: &Snapshot, route: Route<'_>, request: &Request<'_>) -> Response {
        let visibility = visibility::of(request, &self.config.grants, self.config.ordinary);
        let is_a_service = (request.header)(LOCAL) == Some("1");
        let caller = Caller { visibility, is_a_service };
        let Some(found) = find(snapshot, route.target, caller) else {
            return plain(404, UNKNOWN_NAME);
        };
        let board = &self.health.inner().board;
        let now = board.clock().now();
        let stale_at = self.wake(snapshot, &found, now);
        let scheduler_stale = board.scheduler_stale(snapshot, now);
        if now < stale_at && !scheduler_stale {
            return self.write(snapshot, &found, route, request, visibility);
        }
        // Rare enough to be worked out for each request.
        let aged = snapshot.aged(now, scheduler_stale);
        match find(&aged, route.target, caller) {
            Some(found) => self.write(&aged, &found, route, request, visibility),
            None => plain(404, UNKNOWN_NAME),
        }
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
        route: Route<'_>,
        request: &Request<'_>,
        visibility: Visibility,
    ) -> Response {
        match (route.family, &self.config.custom) {
            (Family::Kubernetes(name), _) => self.kubernetes(found, name, request.query, visibility),
            (Family::Document, Some(custom)) => self.custom(custom, snapshot, found, visibility),
            (Family::Document, None) => self.document(snapshot, found, request, visibility),
        }
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
        let (prepared, subject, status) = parts(found);
        let body = prepared.body(written, visibility, || match found {
            Found::View(view, _) => write(&view.report, visibility),
            Found::Check(_, entry) => write(&snapshot.one_check(entry), visibility),
        });
        let mut response = answer(self.code(status, subject), HeaderValue::Static(choice.format.content_type()), body);
        if choice.negotiated {
            response.headers.push("vary", HeaderValue::Static("Accept"));
        }
        response
    }

    fn kubernetes(&self, found: &Found<'_>, name: &str, query: Option<&str>, visibility: Visibility) -> Response {
        let text = |status: Status, body| {
            let code = if status == Status::Unhealthy { self.config.unhealthy_code } else { 200 };
            answer(code, HeaderValue::Static(TEXT), body)
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
        let (_, subject, status) = parts(found);
        let rendered = custom.rendered(snapshot, found, visibility);
        match rendered {
            Some(Rendered { content_type, body }) => answer(self.code(status, subject), content_type, body),
            None => plain(500, NO_REPORT),
        }
    }

    fn code(&self, status: Status, subject: Option<&Subject>) -> u16 {
        match (status, subject) {
            (Status::Unhealthy, _) => self.config.unhealthy_code,
            (Status::Degraded, Some(Subject::Probe(Probe::Liveness | Probe::Startup))) => 200,
            (Status::Degraded, _) => self.config.degraded_code,
            (Status::Healthy, _) => 200,
        }
    }
}

impl Custom {
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
        if snapshot.derived {
            return render();
        }
        let place = place(snapshot, found);
        let fresh = |made: &Arc<Made>| made.generation == snapshot.generation;
        let made = match self.made.load_full().filter(fresh) {
            Some(made) => made,
            None => {
                let made = Arc::new(Made::new(snapshot));
                self.made.store(Some(Arc::clone(&made)));
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
        Self { generation: snapshot.generation, places: (0..count).map(|_| Default::default()).collect() }
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

/// The prepared bodies, the subject (none of a check) and the verdict of what was found.
fn parts<'s>(found: &Found<'s>) -> (&'s Prepared, Option<&'s Subject>, Status) {
    match found {
        Found::View(view, _) => (&view.prepared, Some(&view.report.subject), view.report.status),
        Found::Check(_, entry) => (&entry.prepared, None, entry.report.status),
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

fn plain(status: u16, sentence: &'static [u8]) -> Response {
    answer(status, HeaderValue::Static(TEXT), Bytes::from_static(sentence))
}
