//! Mounts the endpoint of [`health_core`] on actix-web, as a service or as a middleware. The core decides everything
//! that a caller sees. This crate translates requests and responses.
//!
//! # Access logs and traces without probes
//!
//! The last `wrap` is the outermost, so a logger inside [`HealthMiddleware`] does not see the requests that the
//! middleware answers. If the endpoint is mounted as a service, exclude its paths from `Logger` with a regular
//! expression.
//!
//! ```
//! use actix_web::{App, middleware::Logger, web};
//! use health_core::{Endpoint, Health};
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), health_core::BuildError> {
//! let health = Health::builder().start()?;
//! let app = App::new()
//!     .route("/", web::get().to(|| async { "hello" }))
//!     .wrap(Logger::default()) // and tracing-actix-web's TracingLogger, metrics, limits ...
//!     .wrap(health_actix::HealthMiddleware::new(health.clone()));
//!
//! let endpoint = Endpoint::new(health);
//! let app_with_service = App::new()
//!     .wrap(Logger::default().exclude_regex(format!("^{}$", endpoint.path_regex())))
//!     .service(health_actix::routes(endpoint));
//! # let _ = (app, app_with_service);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

use std::{
    fmt,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};
#[cfg(feature = "dedicated_server")]
use std::{io, net::TcpListener};

#[cfg(feature = "dedicated_server")]
use actix_web::{App, HttpServer};
use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{AppService, HttpServiceFactory, Service, ServiceRequest, ServiceResponse, Transform},
    guard,
    http::{
        ConnectionType, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    web,
};
#[cfg(feature = "dedicated_server")]
use health_core::DedicatedServer;
use health_core::{Endpoint, HeaderCache, Headers};
use pin_project_lite::pin_project;

pub use health_core;
/// Returns the future for `HttpServer::shutdown_signal(..)`.
///
/// ```no_run
/// use std::time::Duration;
/// use actix_web::{App, HttpServer};
/// use health_core::Health;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let leave = health_actix::shutdown(&health, Duration::from_secs(10))?;
/// let probes = health.clone();
/// HttpServer::new(move || App::new().service(health_actix::routes(probes.clone())))
///     .shutdown_signal(leave)
///     .bind(("127.0.0.1", 8080))?
///     .run()
///     .await?;
/// health.stop().await;
/// # Ok(())
/// # }
/// ```
#[doc(inline)]
pub use health_core::shutdown;

/// Returns the endpoint's paths as resources, for `App::service` and, nested, for `web::scope(..).service`. They need
/// no `app_data`.
///
/// Call `routes` before `HttpServer::new` and clone the result inside the closure. Otherwise a refused option panics in
/// every worker instead of at the start.
///
/// # Order
///
/// Register the routes before other services. These hide the endpoint, and the application answers in its place:
///
/// - a service or scope that was registered before and matches the path, for instance `web::scope("/health")` or a
///   resource for every path (`App::default_service` does not hide the endpoint);
/// - a guard of a scope around the endpoint that refuses the request;
/// - `NormalizePath` with `TrailingSlash::Always`, because no path of the endpoint ends in a slash.
///
/// The log warns if the endpoint receives no request within one minute.
///
/// ```
/// use actix_web::{App, HttpServer, web};
/// use health_core::{Endpoint, Health};
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let probes = health_actix::routes(Endpoint::new(health).degraded_code(207));
/// let server = HttpServer::new(move || {
///     App::new().service(probes.clone()).service(web::scope("/internal").service(probes.clone()))
/// });
/// # drop(server);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Panics if an option of the endpoint was refused: see [`Endpoint::mounted`].
#[track_caller]
pub fn routes(endpoint: impl Into<Endpoint>) -> HealthRoutes {
    HealthRoutes(endpoint.into().mounted())
}

/// Serves the endpoint on this listener, on a thread and a runtime of its own, so that probes are answered while every
/// worker of the application's runtime is blocked. Dropping the returned value ends the server.
///
/// ```
/// use std::net::TcpListener;
/// use health_core::Health;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let server = health_actix::serve_dedicated(health, TcpListener::bind("127.0.0.1:0")?)?;
/// println!("probes: http://{}/livez", server.address());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Returns an error if the listener cannot be used or the system cannot start a thread. Returns an error of the kind
/// [`InvalidInput`](io::ErrorKind::InvalidInput), with the text of the mistake, if an option of the endpoint was
/// refused.
#[cfg(feature = "dedicated_server")]
pub fn serve_dedicated(endpoint: impl Into<Endpoint>, listener: TcpListener) -> io::Result<DedicatedServer> {
    let endpoint = endpoint.into().validated().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    DedicatedServer::run(listener, move |listener, end| {
        actix_web::rt::System::new().block_on(async {
            HttpServer::new(move || App::new().service(routes(endpoint.clone())))
                .workers(1)
                .shutdown_signal(end)
                .shutdown_timeout(1)
                .listen(listener)?
                .run()
                .await
        })
    })
}

/// The endpoint's resources, from [`routes`], as a service factory.
#[derive(Clone, Debug)]
#[must_use = "routes do nothing until they are given to `.service(..)`"]
pub struct HealthRoutes(Endpoint);

impl HttpServiceFactory for HealthRoutes {
    fn register(self, config: &mut AppService) {
        for pattern in self.0.patterns() {
            let segments = pattern.matches('/').count();
            let (owner, endpoint) = (self.0.clone(), self.0.clone());
            // actix-web matches decoded paths, but the endpoint compares paths as sent.
            let as_sent = guard::fn_guard(move |context| owner.owns(last(context.head().uri.path(), segments)));
            web::resource(pattern)
                .guard(as_sent)
                .to(move |request: HttpRequest| {
                    let answered = answer(&endpoint, &request, last(request.uri().path(), segments));
                    ready(answered.unwrap_or_else(|| HttpResponse::new(StatusCode::NOT_FOUND)))
                })
                .register(config);
        }
    }
}

/// A middleware that answers probes in front of an application or scope, and passes every other request on.
///
/// Wrap it last: the last middleware is the outermost, so that logs, limits and authentication do not see the probes.
/// It answers before every service of the application. The one exception is `NormalizePath` with
/// `TrailingSlash::Always` that is wrapped after it, because no path of the endpoint ends in a slash.
///
/// Create the middleware before `HttpServer::new` and clone it inside the closure. Otherwise a refused option panics in
/// every worker instead of at the start.
///
/// While the service drains, responses of the application close their HTTP/1 connections
/// ([`Endpoint::close_connections`]).
///
/// ```
/// use actix_web::{App, HttpServer, web};
/// use health_actix::HealthMiddleware;
/// use health_core::Health;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let probes = HealthMiddleware::new(health);
/// let server = HttpServer::new(move || {
///     App::new().route("/", web::get().to(|| async { "hello" })).wrap(probes.clone())
/// });
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HealthMiddleware(Endpoint);

impl HealthMiddleware {
    /// Creates a middleware from an endpoint, or from a `Health` with every endpoint option at its default.
    ///
    /// # Panics
    ///
    /// Panics if an option of the endpoint was refused: see [`Endpoint::mounted`].
    #[track_caller]
    pub fn new(endpoint: impl Into<Endpoint>) -> Self {
        Self(endpoint.into().mounted())
    }
}

impl<S, B> Transform<S, ServiceRequest> for HealthMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = HealthService<S>;
    type InitError = ();
    type Future = Ready<Result<HealthService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(HealthService { endpoint: self.0.clone(), inner }))
    }
}

/// The service that [`HealthMiddleware`] puts around an inner service.
#[derive(Debug)]
pub struct HealthService<S> {
    endpoint: Endpoint,
    inner: S,
}

impl<S, B> Service<ServiceRequest> for HealthService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        // The endpoint's path excludes the segments that a scope around this middleware has matched.
        let segments = request.match_info().unprocessed().matches('/').count();
        let answered = answer(&self.endpoint, request.request(), last(request.uri().path(), segments));
        let state = match answered {
            Some(response) => State::Health { response: Some(request.into_response(response)) },
            None => State::Application { future: self.inner.call(request), endpoint: self.endpoint.clone() },
        };
        ResponseFuture { state }
    }
}

pin_project! {
    /// The response future of [`HealthService`].
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F> {
        Health { response: Option<ServiceResponse> },
        Application { #[pin] future: F, endpoint: Endpoint },
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, B> Future for ResponseFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Application { future, endpoint } => {
                let mut response = std::task::ready!(future.poll(context))?;
                if let Some(extras) = endpoint.response_extras(response.status().as_u16()) {
                    set(response.response_mut(), &extras.headers, extras.close);
                }
                Poll::Ready(Ok(response.map_into_left_body()))
            }
            Projected::Health { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response.map_into_right_body())),
                None => Poll::Pending,
            },
        }
    }
}

/// Returns the last `segments` segments of a path as sent; an empty text if the path has fewer segments.
fn last(path: &str, segments: usize) -> &str {
    let start = segments.checked_sub(1).and_then(|before| path.rmatch_indices('/').nth(before));
    start.map_or("", |(start, _)| &path[start..])
}

/// The core's headers converted to actix-web's types.
static HEADERS: HeaderCache<Vec<(HeaderName, HeaderValue)>> = HeaderCache::new(|headers| {
    // The core's values are visible ASCII, so the conversion never fails.
    let value = |value: &health_core::HeaderValue| match value {
        health_core::HeaderValue::Static(text) => Some(HeaderValue::from_static(text)),
        other => HeaderValue::from_bytes(other.as_bytes()).ok(),
    };
    headers.iter().filter_map(|(name, sent)| Some((HeaderName::from_static(name), value(sent)?))).collect()
});

/// Request header that excludes upstream checks.
const HEALTH_LOCAL: HeaderName = HeaderName::from_static("health-local");

/// Returns a line of a request header by its number, counted from 0. Lines that are not UTF-8 are skipped.
fn line<'r>(headers: &'r HeaderMap, name: &str, number: usize) -> Option<&'r str> {
    // The names that the core reads are constants, so that no name is parsed on each request.
    let found = match name {
        "accept" => headers.get_all(header::ACCEPT),
        "authorization" => headers.get_all(header::AUTHORIZATION),
        "health-local" => headers.get_all(HEALTH_LOCAL),
        other => headers.get_all(other),
    };
    found.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok()).nth(number)
}

/// Returns the endpoint's response to a request; `None` if the path belongs to the application.
fn answer(endpoint: &Endpoint, request: &HttpRequest, path: &str) -> Option<HttpResponse> {
    let headers = request.headers();
    let answer = endpoint.respond(&health_core::Request::new(
        request.method().as_str(),
        path,
        request.uri().query(),
        request.peer_addr(),
        &|name, number| line(headers, name, number),
    ))?;
    // actix-web omits the body of a response to HEAD and keeps its length.
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::with_body(status, BoxBody::new(answer.body));
    set(&mut response, &answer.headers, answer.close);
    Some(response)
}

/// Sets the core's headers on a response, and closes the connection after the response if `close` is true. actix-web
/// omits `Connection` from responses over HTTP/2.
fn set<B>(response: &mut HttpResponse<B>, ours: &Headers, close: bool) {
    let headers = response.headers_mut();
    HEADERS.with(ours, |ours| {
        for (name, value) in ours {
            headers.insert(name.clone(), value.clone());
        }
    });
    if close {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
}
