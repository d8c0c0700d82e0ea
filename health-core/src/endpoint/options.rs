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
    /// Sets the path below which the documents are answered. Default `/health`. It has one or more segments of letters,
    /// digits, `_`, `-`, `.` and `~`. Any other path is refused: see [`validated`](Self::validated).
    pub fn base_path(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        match route::check_base(&path) {
            Ok(()) => {
                let config = self.config_mut();
                config.base = path;
                // The links of the page differ now.
                #[cfg(feature = "html")]
                {
                    config.html = crate::endpoint::custom::renderer_number();
                }
            }
            Err(message) => self.refuse(EndpointError::BasePath { path, message }),
        }
        self
    }

    /// Sets whether `/livez`, `/readyz`, `/startupz` and `/healthz` are answered. Default yes.
    pub fn kubernetes_paths(mut self, answered: bool) -> Self {
        self.config_mut().kubernetes = answered;
        self
    }

    /// Sets what callers without a grant see. Default [`Visibility::Checks`].
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.config_mut().visibility = visibility;
        self
    }

    /// Sets what callers without a grant see on the metrics page. Default: what they see elsewhere. A grant of full
    /// visibility holds here, too.
    pub fn metrics_visibility(mut self, visibility: Visibility) -> Self {
        self.config_mut().metrics_visibility = Some(visibility);
        self
    }

    /// Grants full visibility to the requests that the closure accepts. The closure runs in the request, so it must be
    /// quick. A panic counts as a refusal. Can be given several times; one acceptance is enough.
    pub fn full_for(mut self, accepts: impl Fn(&Request<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.config_mut().grants.push(Grant::Closure(Arc::new(accepts)));
        self
    }

    /// Grants full visibility to requests with `Authorization: Bearer <token>`, compared in constant time. A request with a
    /// wrong token or without one is answered at the ordinary visibility. A token of fewer than 16 bytes grants nobody:
    /// see [`validated`](Self::validated). Can be given several times, for rotation.
    pub fn full_for_bearer(mut self, token: impl AsRef<str>) -> Self {
        match Grant::bearer(token.as_ref()) {
            Some(grant) => self.config_mut().grants.push(grant),
            None => self.refuse(EndpointError::ShortToken),
        }
        self
    }

    /// Sets the code for Unhealthy: 400 to 599. Default 503. Any other code is refused: see
    /// [`validated`](Self::validated).
    pub fn unhealthy_code(mut self, code: u16) -> Self {
        if (400..=599).contains(&code) {
            self.config_mut().unhealthy_code = code;
        } else {
            self.refuse(EndpointError::UnhealthyCode(code));
        }
        self
    }

    /// Sets the code for Degraded: 200 to 299, or 429 for Consul and `check_http`. Default 200. Liveness, startup and the
    /// Kubernetes paths do not use it. Any other code is refused, and so are 204 and 205, which allow no body: see
    /// [`validated`](Self::validated).
    pub fn degraded_code(mut self, code: u16) -> Self {
        if (200..=299).contains(&code) && !matches!(code, 204 | 205) || code == 429 {
            self.config_mut().degraded_code = code;
        } else {
            self.refuse(EndpointError::DegradedCode(code));
        }
        self
    }

    /// Sets the code for Unhealthy while the service drains: 400 to 599. Default: the code for Unhealthy. 404 is for
    /// HAProxy with `http-check disable-on-404`, which then sends no new clients and keeps the present ones; every other
    /// prober takes 404 as down. Any other code is refused: see [`validated`](Self::validated).
    pub fn draining_code(mut self, code: u16) -> Self {
        if (400..=599).contains(&code) {
            self.config_mut().draining_code = Some(code);
        } else {
            self.refuse(EndpointError::DrainingCode(code));
        }
        self
    }

    /// Sets whether the middleware forms close HTTP/1 connections with every answer of the application while the service
    /// drains, so that no connection is cut off when the server shuts down. Default yes. Answers over HTTP/2 and answers
    /// that switch protocols are never touched. Health answers close their connections in either case.
    pub fn close_connections(mut self, close: bool) -> Self {
        self.config_mut().close_connections = close;
        self
    }

    /// Sets whether answers carry the headers of Envoy's active health checks: `x-envoy-degraded: true` on a Degraded
    /// answer, and `x-envoy-immediate-health-check-fail: true` on every answer while the service drains, which in the
    /// middleware forms includes the answers of the application. Default no.
    pub fn envoy_headers(mut self, sent: bool) -> Self {
        self.config_mut().envoy_headers = sent;
        self
    }

    /// Sets the format for callers without a preference. Default [`Format::Json`].
    pub fn format(mut self, format: Format) -> Self {
        self.config_mut().format = format;
        self
    }

    /// Renders every document below the base path by a function of your own, in place of negotiation. The report has been
    /// reduced to what the visibility shows. The result is cached per snapshot, page and visibility. A panic makes the
    /// answer 500.
    pub fn render_with(mut self, render: impl Fn(&Report, Visibility) -> Rendered + Send + Sync + 'static) -> Self {
        self.config_mut().custom = Some(CustomRenderer::new(Arc::new(render)));
        self
    }

    /// Returns the endpoint if no option was refused, as an alternative to the panic with which mounting an endpoint with a
    /// refused option ends.
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
        tracing::error!(target: "health", %error, "health endpoint option refused");
        self.error.get_or_insert(error);
    }
}
