//! Answers: the page of a route, its status code, its body and its headers.

use bytes::Bytes;

#[cfg(feature = "html")]
use crate::{
    endpoint::message::Digits,
    render::html::context::{Context, Verdict},
};
use crate::{
    endpoint::{
        access,
        config::Config,
        custom::CustomRenderer,
        format::{Format, Rendered},
        message::{Constants, HeaderValue, Headers, Request, Response, ResponseExtras},
        negotiate::{self, Presented},
        query::{self, KubernetesQuery},
        route::{Name, Presentation, Route, Target},
    },
    engine::{
        snapshot::{Snapshot, assembly::PartFormat, page::Page, prepared_bodies::BodyFormat},
        store::{Reading, Store},
    },
    model::{
        report::{CheckReport, Subject},
        status::{Probe, Reason, Status, Visibility},
    },
    render::{
        self,
        prometheus::Exposition,
        writer::{Around, Writer},
    },
};

const TEXT: &str = "text/plain; charset=utf-8";
/// The request header that excludes upstream checks, which prevents cycles of services that check each other.
const LOCAL: &str = "health-local";
/// The status code of an answer after which the connection no longer uses HTTP.
const SWITCHING_PROTOCOLS: u16 = 101;
#[cfg(feature = "html")]
const UNKNOWN_FORMAT: &[u8] = b"There is no such format: use json, health, html, text or svg.";
#[cfg(not(feature = "html"))]
const UNKNOWN_FORMAT: &[u8] = b"There is no such format: use json, health or text.";
#[cfg(feature = "html")]
pub(super) const SVG: &str = "image/svg+xml";
const UNKNOWN_NAME: &[u8] = b"There is nothing of that name here.";
const WRONG_METHOD: &[u8] = b"Use GET, HEAD or OPTIONS.";
const NO_REPORT: &[u8] = b"No report could be made.";

/// The context of the answer to one request.
#[derive(Clone, Copy)]
pub(super) struct Answerer<'e, 'r> {
    pub(super) config: &'e Config,
    pub(super) store: &'e Store,
    pub(super) request: &'e Request<'r>,
}

impl Answerer<'_, '_> {
    /// Returns the answer for the request's method. OPTIONS has the status code of GET and an empty body.
    pub(super) fn respond(self, route: Route<'_>) -> Response {
        let reading = self.store.read();
        let (mut response, status) = match self.request.method() {
            "GET" | "HEAD" => self.answer(route, &reading),
            "OPTIONS" => {
                let (Response { status: code, .. }, status) = self.answer(route, &reading);
                let mut headers = Headers { constants: Constants::PROTECTIVE, ..Headers::default() };
                headers.constants.add(Constants::ALLOW);
                (Response { status: code, headers, body: Bytes::new(), content_length: 0, close: false }, status)
            }
            _ => {
                let mut response = plain(405, WRONG_METHOD);
                response.headers.constants.add(Constants::ALLOW);
                (response, None)
            }
        };
        response.close = reading.published.is_leaving();
        if self.config.envoy_headers {
            response.headers.constants.add(envoy_headers(status, response.close));
        }
        response
    }

    /// Returns the answer and its health status; `None` for an answer without a status.
    fn answer(self, route: Route<'_>, reading: &Reading) -> (Response, Option<Status>) {
        let Route::Verdict(target, presentation) = route else {
            return (self.metrics(reading.current()), None);
        };
        let visibility = access::visibility(self.request, &self.config.grants, self.config.visibility);
        let is_local = self.request.header(LOCAL) == Some("1");
        let Some(page) = find(&reading.published, target, visibility, is_local) else {
            return (plain(404, UNKNOWN_NAME), None);
        };
        self.store.wake(page, reading.now);
        let snapshot = reading.current();
        let current = if reading.is_published() { Some(page) } else { find(snapshot, target, visibility, is_local) };
        let Some(page) = current else {
            return (plain(404, UNKNOWN_NAME), None);
        };
        match (presentation, &self.config.custom) {
            (Presentation::Kubernetes(name), _) => self.kubernetes(page, name, visibility),
            (Presentation::Document, Some(custom)) => self.custom(custom, page, visibility),
            (Presentation::Document, None) => self.document(page, visibility, reading),
        }
    }

    /// Returns the metrics page. Its code is always 200, because a scraper drops a page with any other code. Wakes no
    /// check.
    fn metrics(self, snapshot: &Snapshot) -> Response {
        let ordinary = self.config.metrics_visibility.unwrap_or(self.config.visibility);
        let visibility = access::visibility(self.request, &self.config.grants, ordinary);
        let exposition = negotiate::exposition(self.request.header_lines("accept"));
        let format = match exposition {
            Exposition::Text => BodyFormat::Prometheus,
            Exposition::OpenMetrics => BodyFormat::OpenMetrics,
        };
        let render = || render::prometheus::page(&snapshot.metrics_report(), visibility, exposition);
        let body = snapshot.all(false).body(format, visibility, render);
        let mut response = answer(200, HeaderValue::Static(exposition.content_type()), body);
        response.headers.constants.add(Constants::VARY);
        response
    }

    #[cfg_attr(not(feature = "html"), expect(unused_variables, reason = "only the status page shows the time"))]
    fn document(self, page: Page<'_>, visibility: Visibility, reading: &Reading) -> (Response, Option<Status>) {
        let accept = self.request.header_lines("accept");
        let Ok(choice) = negotiate::choose(self.request.query(), accept, self.config.format) else {
            return (plain(400, UNKNOWN_FORMAT), None);
        };
        let prepared = |kept, format: Format| {
            let body = page.body(kept, visibility, || document(format, page, visibility));
            answer(self.code(page), HeaderValue::Static(format.content_type()), body)
        };
        let mut response = match choice.presented {
            Presented::Document(format @ Format::Json) => prepared(BodyFormat::Json, format),
            Presented::Document(format @ Format::Health) => prepared(BodyFormat::Health, format),
            Presented::Document(format @ Format::Text) => prepared(BodyFormat::Text, format),
            #[cfg(feature = "html")]
            Presented::Document(Format::Html) => self.html(page, visibility, reading),
            #[cfg(feature = "html")]
            Presented::Badge => {
                let badge = || render::svg::badge(page.subject(), page.status(), page.is_unknown(), visibility);
                answer(self.code(page), HeaderValue::Static(SVG), page.body(BodyFormat::Badge, visibility, badge))
            }
        };
        if choice.negotiated {
            response.headers.constants.add(Constants::VARY);
        }
        (response, Some(page.status()))
    }

    /// Returns the status page. A prepared page is served for at most one second, because it prints the time.
    #[cfg(feature = "html")]
    fn html(self, page: Page<'_>, visibility: Visibility, reading: &Reading) -> Response {
        const SECOND: u64 = 1_000_000_000;
        let format = Format::Html;
        let own = page.timed_body(self.config.html, visibility, reading.now / SECOND, || {
            let snapshot = reading.current();
            let probes = [Probe::Liveness, Probe::Readiness, Probe::Startup].map(|probe| {
                let page = snapshot.probe(probe, false);
                let verdict = Verdict { status: page.status(), reason: page.reason(), is_unknown: page.is_unknown() };
                (probe, verdict)
            });
            // The page of a view also shows the verdicts of the probes, so the results of all checks count. If no
            // result expires, the page expires when the scheduler's last sign of life becomes stale.
            let shown = match page.subject() {
                Subject::Check(_) => page.expires_at(),
                _ => [page.expires_at(), snapshot.all(false).expires_at()].into_iter().flatten().min(),
            };
            let expires_at = shown.unwrap_or_else(|| self.store.beat_stale_at());
            let report = page.report();
            let context = Context {
                now: self.store.clock().wall(),
                // One second less, because this page is served for one second.
                expires_in: (expires_at.saturating_sub(reading.now) / SECOND).saturating_sub(1),
                probes,
                is_unknown: page.is_unknown(),
                base: self.config.base.rsplit('/').next().unwrap_or_default(),
                visibility,
                uptime: report.uptime,
            };
            render::html::page(&report, context)
        });
        let mut response = answer(self.code(page), HeaderValue::Static(format.content_type()), own);
        response.headers.constants.add(Constants::POLICY);
        response.headers.refresh = query::refresh(self.request.query()).map(|it| HeaderValue::Number(Digits::of(it)));
        response
    }

    /// Returns an answer in the format of the Kubernetes API server: `ok`, or one line per check if the page fails or
    /// the query has `verbose`.
    fn kubernetes(self, page: Page<'_>, name: &str, visibility: Visibility) -> (Response, Option<Status>) {
        let text = |status: Status, body| {
            let code = if status == Status::Unhealthy { self.unhealthy_code(page) } else { 200 };
            (answer(code, HeaderValue::Static(TEXT), body), Some(status))
        };
        let is_check = matches!(page.subject(), Subject::Check(_));
        let query = match visibility {
            Visibility::Status => KubernetesQuery::default(),
            _ if is_check => KubernetesQuery::default(),
            _ => query::kubernetes(self.request.query()),
        };
        if query.exclude {
            let excluded: Vec<String> = query::excluded(self.request.query()).collect();
            let (status, body) = render::text::excluding(&page.report(), name, &excluded, query.verbose);
            return text(status, body);
        }
        if page.status() != Status::Unhealthy && !query.verbose {
            return text(page.status(), Bytes::from_static(render::text::OK));
        }
        let render = || render::text::kubernetes(&page.report(), name, visibility);
        text(page.status(), page.body(BodyFormat::Kubernetes, visibility, render))
    }

    fn custom(self, custom: &CustomRenderer, page: Page<'_>, visibility: Visibility) -> (Response, Option<Status>) {
        match custom.rendered(page, visibility) {
            Some(Rendered { content_type, body }) => (answer(self.code(page), content_type, body), Some(page.status())),
            None => (plain(500, NO_REPORT), None),
        }
    }

    /// Returns the status code of a document. A Degraded liveness or startup has 200, independent of `degraded_code`.
    fn code(self, page: Page<'_>) -> u16 {
        match (page.status(), page.subject()) {
            (Status::Unhealthy, _) => self.unhealthy_code(page),
            (Status::Degraded, Subject::Probe(Probe::Liveness | Probe::Startup)) => 200,
            (Status::Degraded, _) => self.config.degraded_code,
            (Status::Healthy, _) => 200,
        }
    }

    fn unhealthy_code(self, page: Page<'_>) -> u16 {
        let drains = page.reason() == Some(Reason::Draining);
        self.config.draining_code.filter(|_| drains).unwrap_or(self.config.unhealthy_code)
    }
}

/// Returns the 404 for a path that neither the endpoint nor an application owns.
pub(super) fn not_found(is_leaving: bool) -> Response {
    Response { close: is_leaving, ..plain(404, UNKNOWN_NAME) }
}

/// Returns the additions of a middleware to an answer of the application with this status code while the service
/// drains.
pub(super) fn response_extras(config: &Config, status: u16) -> ResponseExtras {
    let mut headers = Headers::default();
    if config.envoy_headers {
        headers.constants.add(envoy_headers(None, true));
    }
    ResponseExtras { headers, close: config.close_connections && status != SWITCHING_PROTOCOLS }
}

/// Returns the page of a target for this caller; `None` if there is none. At [`Visibility::Status`] checks and tags
/// have no page.
fn find<'s>(snapshot: &'s Snapshot, target: Target<'_>, visibility: Visibility, is_local: bool) -> Option<Page<'s>> {
    let sees_names = visibility > Visibility::Status;
    match target {
        Target::All => Some(snapshot.all(is_local)),
        Target::Probe(probe) => Some(snapshot.probe(probe, is_local)),
        Target::Tag(tag) if sees_names => snapshot.tag(tag, is_local),
        Target::Check(sent, probe) if sees_names => {
            let page = snapshot.check(Name::decode(sent)?.as_str())?;
            let is_shown = |page: &Page<'_>| {
                page.members().all(|entry| {
                    probe.is_none_or(|probe| entry.counts_for(probe)) && !(is_local && entry.asks_a_service)
                })
            };
            Some(page).filter(is_shown)
        }
        Target::Tag(_) | Target::Check(..) => None,
    }
}

/// Renders a document. JSON documents of views are assembled from one part per check, and only changed parts are
/// rendered.
fn document(format: Format, page: Page<'_>, visibility: Visibility) -> Bytes {
    type Part = fn(&mut Writer, &CheckReport, Visibility);
    let assembled = |format, Around { before, after }: Around, part: Part| {
        let appended = |text: &mut Vec<u8>, check: &CheckReport| Writer::append(text, |w| part(w, check, visibility));
        page.assembled(format, visibility, (&before, &after), appended)
    };
    let is_whole = !matches!(page.subject(), Subject::Check(_)) && visibility > Visibility::Status;
    let whole = match format {
        Format::Json if is_whole => {
            assembled(PartFormat::Json, render::json::around(&page.heading(), visibility), render::json::part)
        }
        Format::Health if is_whole => {
            let around = render::health_json::around(&page.heading(), visibility);
            assembled(PartFormat::Health, around, render::health_json::part)
        }
        _ => None,
    };
    whole.unwrap_or_else(|| {
        let render = match format {
            Format::Json => render::json::document,
            Format::Health => render::health_json::document,
            _ => render::text::document,
        };
        render(&page.report(), visibility)
    })
}

fn answer(status: u16, content_type: HeaderValue, body: Bytes) -> Response {
    let headers = Headers { content_type: Some(content_type), constants: Constants::PROTECTIVE, ..Headers::default() };
    Response { status, headers, content_length: body.len(), body, close: false }
}

fn plain(status: u16, sentence: &'static [u8]) -> Response {
    answer(status, HeaderValue::Static(TEXT), Bytes::from_static(sentence))
}

/// Returns the headers for Envoy's active health checks.
fn envoy_headers(status: Option<Status>, is_leaving: bool) -> Constants {
    let mut headers = Constants::default();
    if status == Some(Status::Degraded) {
        headers.add(Constants::ENVOY_DEGRADED);
    }
    if is_leaving {
        headers.add(Constants::ENVOY_FAIL);
    }
    headers
}
