//! The endpoint, which turns a plain request into a plain answer. Every adapter mounts one.
//!
//! Answering is synchronous, takes no lock of the store, never waits and cannot fail. It reads the published snapshot
//! and returns bodies that are prepared at their first request. Only answers to `?exclude=` are rendered for each
//! request.

mod accept;
mod access;
mod answer;
pub(crate) mod config;
mod custom;
pub(crate) mod format;
pub(crate) mod header_cache;
pub(crate) mod message;
mod negotiate;
mod options;
mod query;
mod route;
#[cfg(feature = "utoipa")]
mod utoipa;

use std::{fmt, sync::Arc};

use crate::{
    endpoint::{answer::Answerer, config::Config, route::Route},
    health::Health,
};

pub use self::{
    config::EndpointError,
    format::{Format, Rendered},
    message::{HeaderValue, Headers, Request, Response, ResponseExtras},
};

/// The paths, codes, formats and visibility with which an adapter serves a [`Health`]. One `Health` can have several
/// endpoints, for example one with few details on the public port and one with all details on an internal port.
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
    /// The error of the first option that was refused.
    error: Option<EndpointError>,
}

impl Endpoint {
    /// Creates an endpoint with default options: the base path `/health` and the Kubernetes paths,
    /// [`Visibility::Checks`] for every caller, 503 for Unhealthy, 200 for Degraded, JSON.
    ///
    /// [`Visibility::Checks`]: crate::Visibility::Checks
    pub fn new(health: Health) -> Self {
        Self { health, config: Arc::default(), error: None }
    }
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
            .field("visibility", &self.config.visibility)
            .field("grants", &self.config.grants)
            .finish_non_exhaustive()
    }
}

/// # For adapters
impl Endpoint {
    /// Returns the endpoint for mounting. If the service is Ready for a minute and no endpoint of it has received a
    /// request, a warning is logged, because the application may answer the paths of the endpoint.
    ///
    /// # Panics
    ///
    /// Panics if an option was refused. The panic has the text of the [`EndpointError`] and the location of the caller
    /// that mounts the endpoint. Call [`validated`](Self::validated) before to get an error instead.
    #[track_caller]
    pub fn mounted(self) -> Self {
        match self.error {
            Some(error) => panic!("{error}"),
            None => {
                self.health.store().mounted();
                self
            }
        }
    }

    /// Returns the path patterns of the endpoint in the syntax of common routers: `{name}` matches one segment.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        route::patterns(&self.config.base, self.config.kubernetes)
    }

    /// Returns the path patterns as one regular expression without anchors, for filters that exclude probes from logs
    /// and traces: `format!("^{}$", endpoint.path_regex())`. If the endpoint is nested below a prefix, put the prefix
    /// after `^`.
    #[must_use]
    pub fn path_regex(&self) -> String {
        route::path_regex(&self.patterns())
    }

    /// Returns whether the endpoint answers a path, given as sent. Every other path belongs to the application.
    #[must_use]
    pub fn owns(&self, path: &str) -> bool {
        self.route(path).is_some()
    }

    /// Returns the complete answer without waiting; `None` if the path belongs to the application.
    #[must_use]
    pub fn respond(&self, request: &Request<'_>) -> Option<Response> {
        let route = self.route(request.path())?;
        self.health.store().asked();
        Some(Answerer { config: &self.config, store: self.health.store(), request }.respond(route))
    }

    /// Returns the 404 for a path that the endpoint does not own, for servers without an application.
    #[must_use]
    pub fn not_found(&self) -> Response {
        answer::not_found(self.health.store().published().is_leaving())
    }

    /// Returns the additions of a middleware to an answer of the application with this status code; `None` until the
    /// service drains.
    #[must_use]
    pub fn response_extras(&self, status: u16) -> Option<ResponseExtras> {
        let is_leaving = self.health.store().published().is_leaving();
        is_leaving.then(|| answer::response_extras(&self.config, status))
    }

    fn route<'p>(&self, path: &'p str) -> Option<Route<'p>> {
        route::route(&self.config.base, self.config.kubernetes, path)
    }
}
