//! What an endpoint is told by its owner: paths, codes, formats, and who sees what.

use std::{fmt, sync::Arc};

use crate::{
    endpoint::{Custom, Endpoint},
    format::{Format, Rendered},
    health::Health,
    model::{report::Report, status::Visibility},
    route,
    visibility::Grant,
    wire::Request,
};

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) base: String,
    pub(crate) kubernetes: bool,
    pub(crate) ordinary: Visibility,
    pub(crate) metrics: Option<Visibility>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) unhealthy_code: u16,
    pub(crate) degraded_code: u16,
    pub(crate) draining_code: Option<u16>,
    pub(crate) close_connections: bool,
    pub(crate) envoy_headers: bool,
    pub(crate) format: Format,
    pub(crate) custom: Option<Custom>,
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
    /// `draining_code` outside 400 to 599.
    DrainingCode(u16),
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
            Self::DrainingCode(code) => write!(f, "draining_code({code}) is not usable: use 400 to 599"),
            Self::ShortToken => f.write_str("full_for_bearer grants nobody: use a token of at least 16 bytes"),
        }
    }
}

impl std::error::Error for EndpointError {}

/// # Options
impl Endpoint {
    /// An endpoint with every default: `/health` and the Kubernetes paths, [`Visibility::Checks`] for everyone, 503
    /// for Unhealthy, 200 for Degraded, JSON.
    pub fn new(health: Health) -> Self {
        let config = Config {
            base: "/health".to_owned(),
            kubernetes: true,
            ordinary: Visibility::Checks,
            metrics: None,
            grants: Vec::new(),
            unhealthy_code: 503,
            degraded_code: 200,
            draining_code: None,
            close_connections: true,
            envoy_headers: false,
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

    /// What everyone may see on the metrics page; default what they may see elsewhere. Who is granted full visibility has
    /// it here, too.
    pub fn metrics_visibility(mut self, visibility: Visibility) -> Self {
        self.config_mut().metrics = Some(visibility);
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

    /// The code in place of that for Unhealthy while the service drains: 400 to 599. 404 is for HAProxy with
    /// `http-check disable-on-404`, which then sends no new clients and keeps those it has; everything else takes 404
    /// as down. Default: the code for Unhealthy. Anything else is refused: see [`validated`](Self::validated).
    pub fn draining_code(mut self, code: u16) -> Self {
        if (400..=599).contains(&code) {
            self.config_mut().draining_code = Some(code);
        } else {
            self.refuse(EndpointError::DrainingCode(code));
        }
        self
    }

    /// Whether the middleware forms ask clients of HTTP/1 to close their connections with every answer of the application
    /// while the service drains, so that none is cut off when the server shuts down; default yes. Answers of HTTP/2 and
    /// those that switch protocols are never touched. Health answers close their connections in either case.
    pub fn close_connections(mut self, close: bool) -> Self {
        self.config_mut().close_connections = close;
        self
    }

    /// Whether answers carry what Envoy's active health checks understand: `x-envoy-degraded: true` on an answer that is
    /// Degraded, `x-envoy-immediate-health-check-fail: true` on every answer while the service drains, in the middleware
    /// forms on those of the application, too. Default no.
    pub fn envoy_headers(mut self, sent: bool) -> Self {
        self.config_mut().envoy_headers = sent;
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
        self.config_mut().custom = Some(Custom::new(Arc::new(render)));
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
