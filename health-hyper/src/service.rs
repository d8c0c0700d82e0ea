//! The endpoint as a tower service.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use health_core::{Endpoint, HeaderCache, Headers, bytes::Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::{Body, Frame, SizeHint};
use tower_service::Service;

/// The endpoint as a [`tower_service::Service`] for requests with any body. A path that the endpoint does not own gets
/// a 404 in plain text.
///
/// A [`SocketAddr`] in the extensions of a request is the address of its client for [`Endpoint::full_for`].
///
/// ```
/// use health_core::Health;
/// use health_hyper::HealthService;
/// use http::{Request, StatusCode};
/// use tower_service::Service as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().start()?;
/// let mut service = HealthService::new(health);
/// let response = service.call(Request::get("/livez").body(())?).await?;
/// assert_eq!(response.status(), StatusCode::OK);
/// let response = service.call(Request::get("/elsewhere").body(())?).await?;
/// assert_eq!(response.status(), StatusCode::NOT_FOUND);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HealthService(Endpoint);

impl HealthService {
    /// Creates a service from an endpoint, or from a `Health` with every endpoint option at its default.
    ///
    /// # Panics
    ///
    /// Panics if an option of the endpoint was refused: see [`Endpoint::mounted`].
    #[track_caller]
    pub fn new(endpoint: impl Into<Endpoint>) -> Self {
        Self(endpoint.into().mounted())
    }

    /// Returns the response to a request from this peer.
    pub(crate) fn answer<B>(&self, request: &Request<B>, peer: Option<SocketAddr>) -> Response<HealthBody> {
        let headers = request.headers();
        let answer = self.0.respond(&health_core::Request::new(
            request.method().as_str(),
            request.uri().path(),
            request.uri().query(),
            peer,
            &|name, number| line(headers, name, number),
        ));
        let answer = answer.unwrap_or_else(|| self.0.not_found());
        let body = if request.method() == Method::HEAD { Bytes::new() } else { answer.body };
        let mut response = Response::new(HealthBody(body));
        *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HEADERS.with(&answer.headers, HeaderMap::clone);
        // A response to HEAD has the length of the body that it omits.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(answer.content_length));
        if answer.close && request.version() <= Version::HTTP_11 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        *response.headers_mut() = headers;
        response
    }
}

impl<B> Service<Request<B>> for HealthService {
    type Response = Response<HealthBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<HealthBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let peer = request.extensions().get::<SocketAddr>().copied();
        ready(Ok(self.answer(&request, peer)))
    }
}

/// The body of a response of [`HealthService`], in one frame.
#[derive(Clone, Debug, Default)]
pub struct HealthBody(Bytes);

impl Body for HealthBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let rest = std::mem::take(&mut self.0);
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
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

#[cfg(test)]
mod tests {
    use health_core::Health;

    use super::*;

    /// Returns the body of the response to a request from this client.
    fn body(service: &mut HealthService, peer: Option<SocketAddr>) -> String {
        let mut request = Request::get("/health").body(()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let response = service.call(request).into_inner().unwrap();
        assert_eq!(response.headers()[header::CONTENT_LENGTH], response.body().0.len().to_string());
        assert_eq!(response.body().size_hint().exact(), u64::try_from(response.body().0.len()).ok());
        String::from_utf8(response.body().0.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_client_address_is_read_from_a_request_extension() {
        let health = Health::builder().version("1.4.2").start().unwrap();
        let endpoint =
            Endpoint::new(health).full_for(|request| request.peer().is_some_and(|peer| peer.ip().is_loopback()));
        let mut service = HealthService::new(endpoint);
        assert!(!body(&mut service, None).contains("1.4.2"));
        assert!(!body(&mut service, Some(([192, 0, 2, 1], 1).into())).contains("1.4.2"));
        assert!(body(&mut service, Some(([127, 0, 0, 1], 1).into())).contains("1.4.2"));
    }

    #[test]
    fn a_body_yields_one_frame_and_then_ends() {
        let mut body = HealthBody(Bytes::from_static(b"ok"));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut next = || Pin::new(&mut body).poll_frame(&mut context);
        let Poll::Ready(Some(Ok(frame))) = next() else { panic!("no frame") };
        assert_eq!(frame.into_data().unwrap(), "ok");
        assert!(matches!(next(), Poll::Ready(None)));
        assert!(body.is_end_stream() && HealthBody::default().is_end_stream());
    }
}
