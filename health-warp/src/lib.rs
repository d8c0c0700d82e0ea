//! Mounts the endpoint of [`health_core`] on warp, as a filter or in front of another filter. The core decides
//! everything that a caller sees. This crate translates requests and responses.
//!
//! # Access logs and traces without probes
//!
//! `.with(..)` wraps only the filter that it is called on. Call it on the application's filters before they are
//! combined with the health filter, so that probes are answered outside those wrappers.
//!
//! ```
//! use health_core::Health;
//! use health_warp::WithHealth;
//! use warp::Filter;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), health_core::BuildError> {
//! let health = Health::builder().start()?;
//! let hello = warp::path::end().map(|| "hello");
//! let app = health_warp::routes(health.clone()).or(hello.with(warp::log("access")).with(warp::trace::request()));
//!
//! let app_inside = hello.with(warp::log("access")).with_health(health);
//! # let _ = (app, app_inside);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

use std::{convert::Infallible, net::SocketAddr, str::FromStr};
#[cfg(feature = "dedicated_server")]
use std::{io, net::TcpListener};

#[cfg(feature = "dedicated_server")]
use health_core::DedicatedServer;
use health_core::{Endpoint, HeaderCache, Headers, bytes::Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use warp::{
    Filter, Rejection, Reply,
    path::{FullPath, Peek},
};

pub use health_core;
/// Returns the future for `warp::serve(..).bind(..).await.graceful(..)`.
///
/// ```no_run
/// use std::time::Duration;
/// use health_core::Health;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let leave = health_warp::shutdown(&health, Duration::from_secs(10))?;
/// let app = health_warp::routes(health.clone());
/// warp::serve(app).bind(([127, 0, 0, 1], 8080)).await.graceful(leave).run().await;
/// health.stop().await;
/// # Ok(())
/// # }
/// ```
#[doc(inline)]
pub use health_core::shutdown;

/// Returns the endpoint's paths as one filter, which rejects every other path with "not found". The filter can be
/// nested below `warp::path(..)`, without a `warp::path::end()` in between.
///
/// Put the health filter first: `routes(health).or(app)`. A filter that answers every path, or every segment, hides the
/// filters that follow it in `.or(..)`. After a filter that never rejects, such as one with `.recover(..)`, the health
/// filter does not compile:
///
/// ```compile_fail
/// # use std::convert::Infallible;
/// # use warp::{Filter, Rejection};
/// # async fn handle(_: Rejection) -> Result<&'static str, Infallible> { Ok("page") }
/// # fn mount(health: health_core::Health) {
/// let app = warp::path("x").map(|| "hello").recover(handle);
/// let wrong = app.or(health_warp::routes(health));
/// # }
/// ```
///
/// The log warns if the endpoint receives no request within one minute.
///
/// ```
/// use health_core::Health;
/// use warp::Filter;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().start()?;
/// let app = warp::path::end().map(|| "hello");
/// let both = health_warp::routes(health.clone()).or(app);
/// let nested = warp::path("internal").and(health_warp::routes(health)).or(app);
/// # let _ = (both, nested);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Panics if an option of the endpoint was refused: see [`Endpoint::mounted`].
#[track_caller]
pub fn routes(
    endpoint: impl Into<Endpoint>,
) -> impl Filter<Extract = (warp::reply::Response,), Error = Rejection> + Clone + Send + Sync + 'static {
    let endpoint = endpoint.into().mounted();
    let owner = endpoint.clone();
    // The path is checked first, so that nothing is copied for requests of the application. A request without a path
    // (`CONNECT host:443`) has no segment, and is rejected before `warp::path::full`, which would panic.
    warp::path::param()
        .and(warp::path::full())
        .and(warp::path::peek())
        .and_then(move |first: SegmentLength, full: FullPath, rest: Peek| {
            let own = OwnPath::new(first, full, &rest);
            let owned = owner.owns(own.as_str());
            async move { if owned { Ok(own) } else { Err(warp::reject::not_found()) } }
        })
        .and(warp::method())
        .and(warp::query::raw().map(Some).or(warp::any().map(|| None)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::addr::remote())
        .and_then(move |path: OwnPath, method, query: Option<String>, headers, peer| {
            let response = answer(&endpoint, path.as_str(), &method, query.as_deref(), &headers, peer);
            async move { response.ok_or_else(warp::reject::not_found) }
        })
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
/// let server = health_warp::serve_dedicated(health, TcpListener::bind("127.0.0.1:0")?)?;
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
            warp::serve(routes(endpoint)).incoming(listener).graceful(end).run().await;
            Ok(())
        })
    })
}

/// Answers probes in front of an application, and passes every other request on. Implemented for filters that can
/// reject and for filters that cannot, such as filters with `.recover()`.
///
/// While the service drains, responses of the application close their HTTP/1 connections
/// ([`Endpoint::close_connections`]), except the responses that warp itself generates for rejections.
///
/// ```
/// use health_core::Health;
/// use health_warp::WithHealth;
/// use warp::Filter;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let health = Health::builder().start()?;
/// let app = warp::path::end().map(|| "hello").with_health(health);
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
pub trait WithHealth<E>: Sized {
    /// Returns a filter that answers probes, and passes every other request on to this filter.
    ///
    /// # Panics
    ///
    /// Panics if an option of the endpoint was refused: see [`Endpoint::mounted`].
    fn with_health(
        self,
        endpoint: impl Into<Endpoint>,
    ) -> impl Filter<Extract = (warp::reply::Response,), Error = E> + Clone + Send + Sync + 'static;
}

/// Implements [`WithHealth`] for each error type that warp can combine with a rejection. warp's own trait for these
/// types cannot be named outside warp.
macro_rules! with_health {
    ($($error:ty),+) => {
        $(impl<F, R> WithHealth<$error> for F
        where
            F: Filter<Extract = (R,), Error = $error> + Clone + Send + Sync + 'static,
            R: Reply + 'static,
        {
            #[track_caller]
            fn with_health(
                self,
                endpoint: impl Into<Endpoint>,
            ) -> impl Filter<Extract = (warp::reply::Response,), Error = $error> + Clone + Send + Sync + 'static {
                let endpoint = endpoint.into().mounted();
                let ours = endpoint.clone();
                let application = self.map(move |reply: R| with_extras(&ours, reply.into_response()));
                routes(endpoint).or(application).unify()
            }
        })+
    };
}

with_health!(Rejection, Infallible);

/// The length of a path segment.
struct SegmentLength(usize);

impl FromStr for SegmentLength {
    type Err = Infallible;

    fn from_str(segment: &str) -> Result<Self, Infallible> {
        Ok(Self(segment.len()))
    }
}

/// The part of the path that outer filters have not matched, with its leading slash.
struct OwnPath {
    full: FullPath,
    start: usize,
}

impl OwnPath {
    /// Creates the part from the length of its first segment and the rest of the path.
    fn new(SegmentLength(first): SegmentLength, full: FullPath, rest: &Peek) -> Self {
        let rest = rest.as_str().len();
        // Both parts are preceded by a slash.
        let own = 1 + first + if rest > 0 { 1 + rest } else { 0 };
        Self { start: full.as_str().len().saturating_sub(own), full }
    }

    fn as_str(&self) -> &str {
        self.full.as_str().get(self.start..).unwrap_or_default()
    }
}

/// The core's headers converted to types of the `http` crate.
static HEADERS: HeaderCache<HeaderMap> = HeaderCache::new(converted);

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
fn answer(
    endpoint: &Endpoint,
    path: &str,
    method: &Method,
    query: Option<&str>,
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
) -> Option<warp::reply::Response> {
    let answer =
        endpoint.respond(&health_core::Request::new(method.as_str(), path, query, peer, &|name, number| {
            line(headers, name, number)
        }))?;
    let is_head = method == Method::HEAD;
    let body = if is_head { Bytes::new() } else { answer.body };
    let mut response = warp::reply::Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = HEADERS.with(&answer.headers, HeaderMap::clone);
    if is_head {
        // Without this header the server would send the length of the empty body.
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(answer.content_length));
    }
    if answer.close {
        close(&mut response);
    }
    Some(response)
}

/// Closes the connection after a response. hyper removes this header from responses over HTTP/2.
fn close(response: &mut warp::reply::Response) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// Adds the headers that the core requests while the service drains to a response of the application.
fn with_extras(endpoint: &Endpoint, mut response: warp::reply::Response) -> warp::reply::Response {
    if let Some(extras) = endpoint.response_extras(response.status().as_u16()) {
        response.headers_mut().extend(converted(&extras.headers));
        if extras.close {
            close(&mut response);
        }
    }
    response
}
