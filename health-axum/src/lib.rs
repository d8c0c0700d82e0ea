//! Mounts the endpoint of [`health_core`] on axum, as routes or as a layer. The core decides everything that a caller
//! sees. This crate translates requests and responses.
//!
//! # Access logs and traces without probes
//!
//! `.layer(..)` wraps only what was added before it. Merge the health routes after the layers of the application, or
//! add [`HealthLayer`] after them, so that probes are answered outside those layers.
//!
//! ```
//! use axum::{Router, routing::get};
//! use health_core::Health;
//! use tower_http::trace::TraceLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), health_core::BuildError> {
//! let health = Health::builder().start()?;
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "hello" }))
//!     .layer(TraceLayer::new_for_http()) // and OpenTelemetry's, metrics, limits ...
//!     .merge(health_axum::routes(health.clone()));
//!
//! let app_with_layer: Router = Router::new()
//!     .route("/", get(|| async { "hello" }))
//!     .layer(TraceLayer::new_for_http())
//!     .layer(health_axum::HealthLayer::new(health));
//! # let _ = (app, app_with_layer);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
#[cfg(feature = "dedicated_server")]
use std::{io, net::TcpListener};

use axum::{
    BoxError, Router,
    body::{Body, HttpBody},
    extract::{ConnectInfo, OriginalUri},
};
#[cfg(feature = "dedicated_server")]
use health_core::DedicatedServer;
use health_core::{Endpoint, HeaderCache, Headers, bytes::Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

pub use health_core;
/// Returns the future for `axum::serve(..).with_graceful_shutdown(..)`.
///
/// ```no_run
/// use std::time::Duration;
/// use axum::Router;
/// use health_core::Health;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let leave = health_axum::shutdown(&health, Duration::from_secs(10))?;
/// let app: Router = Router::new().merge(health_axum::routes(health.clone()));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, app).with_graceful_shutdown(leave).await?;
/// health.stop().await;
/// # Ok(())
/// # }
/// ```
#[doc(inline)]
pub use health_core::shutdown;

/// Returns the endpoint's paths as routes, for [`Router::merge`] and [`Router::nest`] on a router with any state type.
///
/// The routes work in every order in which routers are merged, nested and given a fallback. Merge the routes after the
/// router's own `.layer(..)` calls, so that the layers of the application (authentication, limits, traces) do not wrap
/// the probes. If the application has a route at one of the endpoint's paths, axum panics when the routers are merged.
///
/// If the routes are nested, a path with a doubled slash after the prefix gets an empty 404, because axum does not pass
/// it to a fallback.
///
/// ```
/// use axum::Router;
/// use health_core::Health;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().start()?;
/// let app: Router = Router::new().merge(health_axum::routes(health.clone()));
/// let nested: Router = Router::new().nest("/internal", health_axum::routes(health.clone()).into());
/// let with_state: Router<String> = Router::new().merge(health_axum::routes(health));
/// # let _ = (app, nested, with_state);
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
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let server = health_axum::serve_dedicated(health, TcpListener::bind("127.0.0.1:0")?)?;
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let app = Router::<()>::from(routes(endpoint)).into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, app).with_graceful_shutdown(end).await
        })
    })
}

/// The endpoint's routes, from [`routes`]. They convert into a [`Router`].
#[derive(Clone, Debug)]
#[must_use = "routes do nothing until they are merged into a router"]
pub struct HealthRoutes(Endpoint);

impl<S: Clone + Send + Sync + 'static> From<HealthRoutes> for Router<S> {
    fn from(HealthRoutes(endpoint): HealthRoutes) -> Self {
        let mounted = Mounted(Arc::new(endpoint.clone()));
        let mount = |router: Self, pattern: String| router.route_service(&pattern, mounted.clone());
        endpoint.patterns().into_iter().fold(Self::new(), mount)
    }
}

/// The endpoint as the service of a route, which axum clones for each request.
#[derive(Clone)]
struct Mounted(Arc<Endpoint>);

impl<B> Service<Request<B>> for Mounted {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(answer(&self.0, &request).unwrap_or_else(|| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        })))
    }
}

/// A layer that answers probes in front of a service, and passes every other request on.
///
/// The layer works on any tower service whose body has data of the type `Bytes`, not only on axum's, and around layers
/// that change the body. Every response has axum's [`Body`], which costs nothing if the inner service also has it.
///
/// # Order: outermost and last
///
/// [`Router::layer`] wraps the routes and the fallback that the router has at the time of the call. The paths of the
/// endpoint are not routes of the application, so they reach the layer only through the fallback. In the following
/// orders they do not reach it, and the application answers in place of the endpoint, with 200 if it has a page for
/// every path:
///
/// - `.layer(HealthLayer)` before `.fallback(..)`, which puts the new fallback outside the layer;
/// - `.layer(HealthLayer)` on a router without a fallback that is then nested or merged into another router;
/// - `.route_layer(HealthLayer)`, which never wraps the fallback;
/// - `NormalizePathLayer::append_trailing_slash` around either form, because no path of the endpoint ends in a slash.
///
/// Add the layer to the outermost router, after everything else. [`routes`] can be merged or nested in any order. The
/// log warns if the endpoint receives no request within one minute.
///
/// Probes do not wait until the inner service is ready, so a limit inside it does not delay them. While the service
/// drains, responses of the application close their HTTP/1 connections ([`Endpoint::close_connections`]).
///
/// ```
/// use axum::{Router, routing::get};
/// use health_axum::HealthLayer;
/// use health_core::Health;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().start()?;
/// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(HealthLayer::new(health));
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HealthLayer(Endpoint);

impl HealthLayer {
    /// Creates a layer from an endpoint, or from a `Health` with every endpoint option at its default.
    ///
    /// # Panics
    ///
    /// Panics if an option of the endpoint was refused: see [`Endpoint::mounted`].
    #[track_caller]
    pub fn new(endpoint: impl Into<Endpoint>) -> Self {
        Self(endpoint.into().mounted())
    }
}

impl<S> Layer<S> for HealthLayer {
    type Service = HealthService<S>;

    fn layer(&self, inner: S) -> HealthService<S> {
        HealthService { endpoint: self.0.clone(), inner, inner_is_ready: false }
    }
}

/// The service that [`HealthLayer`] puts around an inner service.
#[derive(Debug)]
pub struct HealthService<S> {
    endpoint: Endpoint,
    inner: S,
    inner_is_ready: bool,
}

impl<S: Clone> Clone for HealthService<S> {
    fn clone(&self) -> Self {
        // The clone of a ready service is not necessarily ready.
        Self { endpoint: self.endpoint.clone(), inner: self.inner.clone(), inner_is_ready: false }
    }
}

impl<S, B, R> Service<Request<B>> for HealthService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S, Request<B>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if !self.inner_is_ready {
            self.inner_is_ready = match self.inner.poll_ready(context) {
                Poll::Ready(result) => result.map(|()| true)?,
                Poll::Pending => false,
            };
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(response) = answer(&self.endpoint, &request) {
            return ResponseFuture { state: State::Health { response: Some(response) } };
        }
        let (endpoint, version) = (self.endpoint.clone(), request.version());
        if std::mem::take(&mut self.inner_is_ready) {
            let state = State::Application { future: self.inner.call(request), endpoint, version };
            return ResponseFuture { state };
        }
        let request = Some((request, endpoint, version));
        ResponseFuture { state: State::Waiting { service: self.inner.clone(), request } }
    }
}

pin_project! {
    /// The response future of [`HealthService`].
    pub struct ResponseFuture<S, Q, F> {
        #[pin]
        state: State<S, Q, F>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, Q, F> {
        Health { response: Option<Response<Body>> },
        Waiting { service: S, request: Option<(Q, Endpoint, Version)> },
        Application { #[pin] future: F, endpoint: Endpoint, version: Version },
    }
}

impl<S, Q, F> fmt::Debug for ResponseFuture<S, Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<S, Q, R> Future for ResponseFuture<S, Q, S::Future>
where
    S: Service<Q, Response = Response<R>>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                Projected::Application { future, endpoint, version } => {
                    let mut response = std::task::ready!(future.poll(context))?;
                    if let Some(extras) = endpoint.response_extras(response.status().as_u16()) {
                        response.headers_mut().extend(converted(&extras.headers));
                        if extras.close {
                            close(&mut response, *version);
                        }
                    }
                    return Poll::Ready(Ok(response.map(Body::new)));
                }
                Projected::Health { response } => match response.take() {
                    Some(response) => return Poll::Ready(Ok(response)),
                    None => return Poll::Pending,
                },
                Projected::Waiting { service, request } => {
                    std::task::ready!(service.poll_ready(context))?;
                    match request.take() {
                        Some((request, endpoint, version)) => {
                            State::Application { future: service.call(request), endpoint, version }
                        }
                        None => return Poll::Pending,
                    }
                }
            };
            state.set(next);
        }
    }
}

/// The core's headers converted to types of the `http` crate, with a placeholder for `Content-Length`.
static HEADERS: HeaderCache<HeaderMap> = HeaderCache::new(|headers| {
    let mut converted = converted(headers);
    converted.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    converted
});

/// Converts the core's headers. Their values are visible ASCII, so the conversion never fails.
fn converted(headers: &Headers) -> HeaderMap {
    let value = |value: &health_core::HeaderValue| match value {
        health_core::HeaderValue::Static(text) => Some(HeaderValue::from_static(text)),
        other => HeaderValue::from_bytes(other.as_bytes()).ok(),
    };
    headers.iter().filter_map(|(name, sent)| Some((HeaderName::from_static(name), value(sent)?))).collect()
}

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
    found.into_iter().filter_map(|value| std::str::from_utf8(value.as_bytes()).ok()).nth(number)
}

/// Returns the endpoint's response to a request; `None` if the path belongs to the application.
fn answer<B>(endpoint: &Endpoint, request: &Request<B>) -> Option<Response<Body>> {
    let (headers, path) = (request.headers(), request.uri().path());
    // `Router::nest` strips one slash too many from a path with a doubled slash. The endpoint does not own such a path.
    let original = request.extensions().get::<OriginalUri>().and_then(|original| original.path().strip_suffix(path));
    if original.is_some_and(|before| before.ends_with('/')) {
        return None;
    }
    let answer = endpoint.respond(&health_core::Request::new(
        request.method().as_str(),
        path,
        request.uri().query(),
        request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0),
        &|name, number| line(headers, name, number),
    ))?;
    let is_head = request.method() == http::Method::HEAD;
    let body = if is_head { Bytes::new() } else { answer.body };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = HEADERS.with(&answer.headers, HeaderMap::clone);
    // A response to HEAD has the length of the body that it omits.
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(answer.content_length));
    *response.headers_mut() = headers;
    if answer.close {
        close(&mut response, request.version());
    }
    Some(response)
}

/// Closes the connection after a response, over HTTP/1 only.
fn close<B>(response: &mut Response<B>, version: Version) {
    if version <= Version::HTTP_11 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
