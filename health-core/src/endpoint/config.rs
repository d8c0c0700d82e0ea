//! The configuration of an endpoint, and the error for an unusable option.

use std::fmt;

use crate::{
    endpoint::{access::Grant, custom::CustomRenderer, format::Format},
    model::status::Visibility,
};

/// The values of all options of an endpoint.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) base: String,
    pub(super) kubernetes: bool,
    /// The visibility of callers without a grant.
    pub(super) visibility: Visibility,
    /// The visibility of callers without a grant on the metrics page; `None` if it is the same.
    pub(super) metrics_visibility: Option<Visibility>,
    pub(super) grants: Vec<Grant>,
    pub(super) unhealthy_code: u16,
    pub(super) degraded_code: u16,
    pub(super) draining_code: Option<u16>,
    pub(super) close_connections: bool,
    pub(super) envoy_headers: bool,
    pub(super) format: Format,
    pub(super) custom: Option<CustomRenderer>,
    /// The number that distinguishes the status pages of this endpoint from the pages of other endpoints of the same
    /// service, whose links differ.
    #[cfg(feature = "html")]
    pub(super) html: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base: "/health".to_owned(),
            kubernetes: true,
            visibility: Visibility::Checks,
            metrics_visibility: None,
            grants: Vec::new(),
            unhealthy_code: 503,
            degraded_code: 200,
            draining_code: None,
            close_connections: true,
            envoy_headers: false,
            format: Format::Json,
            custom: None,
            #[cfg(feature = "html")]
            html: 0,
        }
    }
}

/// The error for an unusable option of an [`Endpoint`](crate::Endpoint). Mounting the endpoint panics with its text.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// `base_path` was called with a path that cannot be routed.
    BasePath {
        /// The path as given.
        path: String,
        /// The fault of the path, or the characters to use.
        message: &'static str,
    },
    /// `unhealthy_code` was called with a code outside 400 to 599.
    UnhealthyCode(u16),
    /// `degraded_code` was called with a code other than 200 to 299 or 429, or with 204 or 205, which allow no body.
    DegradedCode(u16),
    /// `draining_code` was called with a code outside 400 to 599.
    DrainingCode(u16),
    /// `full_for_bearer` was called with a token of fewer than 16 bytes, which grants nothing.
    ShortToken,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BasePath { path, message } => write!(f, "base_path({path:?}) is not usable: {message}"),
            Self::UnhealthyCode(code) => write!(f, "unhealthy_code({code}) is not usable: use 400 to 599"),
            Self::DegradedCode(code) => {
                write!(f, "degraded_code({code}) is not usable: use 429, or 200 to 299 except 204 and 205")
            }
            Self::DrainingCode(code) => write!(f, "draining_code({code}) is not usable: use 400 to 599"),
            Self::ShortToken => f.write_str("full_for_bearer: the token is too short: use at least 16 bytes"),
        }
    }
}

/// Writes the same text as [`Display`](fmt::Display), because a `main` that returns the error prints its debug form.
impl fmt::Debug for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for EndpointError {}
