//! The options of an endpoint.

use std::sync::Arc;

use crate::{
    endpoint::{
        Endpoint,
        access::Grant,
        config::{Config, EndpointError},
        custom::CustomRenderer,
        format::{Format, Rendered},
        message::Request,
        route,
    },
    model::{report::Report, status::Visibility},
};

/// # Options
impl Endpoint {
    /// Sets the base path of the documents. Default `/health`. It must begin with `/` and have one or more segments of
    /// letters, digits, `_`, `-`, `.` and `~`, and must not be a Kubernetes path. Any other path is refused: see
    /// [`validated`](Self::validated).
    pub fn base_path(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        match route::check_base(&path) {
            Ok(()) => {
                let config = self.config_mut();
                config.base = path;
                // The status page has other links now, so that its bodies must not be shared with other endpoints.
                #[cfg(feature = "html")]
                {
                    config.html = crate::endpoint::custom::renderer_number();
                }
            }
            Err(message) => self.refuse(EndpointError::BasePath { path, message }),
        }
        self
    }

    /// Sets whether the endpoint answers `/livez`, `/readyz`, `/startupz` and `/healthz`. Default `true`.
    pub fn kubernetes_paths(mut self, answered: bool) -> Self {
        self.config_mut().kubernetes = answered;
        self
    }

    /// Sets the visibility of callers without a grant of full visibility. Default [`Visibility::Checks`].
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.config_mut().visibility = visibility;
        self
    }

    /// Sets the visibility of callers without a grant on the metrics page. Default: the value of
    /// [`visibility`](Self::visibility). A caller with a grant of full visibility has it on the metrics page, too.
    pub fn metrics_visibility(mut self, visibility: Visibility) -> Self {
        self.config_mut().metrics_visibility = Some(visibility);
        self
    }

    /// Grants full visibility to requests for which the closure returns `true`. The closure runs during the request, so
    /// it must be quick. A panic counts as `false`. Can be called several times. One grant is enough.
    pub fn full_for(mut self, accepts: impl Fn(&Request<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.config_mut().grants.push(Grant::Closure(Arc::new(accepts)));
        self
    }

    /// Grants full visibility to requests with `Authorization: Bearer <token>`. The token is compared in constant time.
    /// A request with a wrong token or without a token is not an error: it is answered at the visibility of callers
    /// without a grant. A token of fewer than 16 bytes is refused: see [`validated`](Self::validated). Can be called
    /// several times, for rotation.
    pub fn full_for_bearer(mut self, token: impl AsRef<str>) -> Self {
        match Grant::bearer(token.as_ref()) {
            Some(grant) => self.config_mut().grants.push(grant),
            None => self.refuse(EndpointError::ShortToken),
        }
        self
    }

    /// Sets the HTTP status code for Unhealthy: 400 to 599. Default 503. Any other code is refused: see
    /// [`validated`](Self::validated).
    pub fn unhealthy_code(mut self, code: u16) -> Self {
        if (400..=599).contains(&code) {
            self.config_mut().unhealthy_code = code;
        } else {
            self.refuse(EndpointError::UnhealthyCode(code));
        }
        self
    }

    /// Sets the HTTP status code for Degraded: 200 to 299, or 429 for Consul and `check_http`. Default 200. Liveness,
    /// startup and the Kubernetes paths always use 200. Any other code is refused, and so are 204 and 205, which allow
    /// no body: see [`validated`](Self::validated).
    pub fn degraded_code(mut self, code: u16) -> Self {
        if (200..=299).contains(&code) && !matches!(code, 204 | 205) || code == 429 {
            self.config_mut().degraded_code = code;
        } else {
            self.refuse(EndpointError::DegradedCode(code));
        }
        self
    }

    /// Sets the HTTP status code for Unhealthy while the service drains: 400 to 599. Default: the value of
    /// [`unhealthy_code`](Self::unhealthy_code). The code 404 is for HAProxy with `http-check disable-on-404`, which
    /// then sends no new clients and keeps the existing ones. Every other prober takes 404 as down. A code outside 400
    /// to 599 is refused: see [`validated`](Self::validated).
    pub fn draining_code(mut self, code: u16) -> Self {
        if (400..=599).contains(&code) {
            self.config_mut().draining_code = Some(code);
        } else {
            self.refuse(EndpointError::DrainingCode(code));
        }
        self
    }

    /// Sets whether the middleware forms close HTTP/1 connections with every answer of the application while the
    /// service drains, so that no connection is cut off when the server shuts down. Default `true`. Connections with
    /// HTTP/2 and answers that switch protocols are not changed. Health answers close their connections with either
    /// value.
    pub fn close_connections(mut self, close: bool) -> Self {
        self.config_mut().close_connections = close;
        self
    }

    /// Sets whether answers have the headers for Envoy's active health checks: `x-envoy-degraded: true` on a Degraded
    /// answer, and `x-envoy-immediate-health-check-fail: true` on every answer while the service drains. The middleware
    /// forms also add the second header to the answers of the application. Default `false`.
    pub fn envoy_headers(mut self, sent: bool) -> Self {
        self.config_mut().envoy_headers = sent;
        self
    }

    /// Sets the format for callers whose request prefers no format. Default [`Format::Json`].
    pub fn format(mut self, format: Format) -> Self {
        self.config_mut().format = format;
        self
    }

    /// Renders every document below the base path with a custom function, instead of a negotiated format. The function
    /// receives the report, reduced to the visibility of the caller. The result is cached per snapshot, page and
    /// visibility. If the function panics, the answer is 500.
    pub fn render_with(mut self, render: impl Fn(&Report, Visibility) -> Rendered + Send + Sync + 'static) -> Self {
        self.config_mut().custom = Some(CustomRenderer::new(Arc::new(render)));
        self
    }

    /// Returns the endpoint if no option was refused. Without this call, mounting an endpoint with a refused option
    /// panics.
    ///
    /// # Errors
    ///
    /// Returns the error of the first option that was refused.
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
        tracing::error!(target: "health", %error, "health endpoint option refused");
        self.error.get_or_insert(error);
    }
}
