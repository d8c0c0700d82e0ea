//! The configuration of an endpoint, and the error of an option that cannot be used.

use std::fmt;

use crate::{
    endpoint::{access::Grant, custom::CustomRenderer, format::Format},
    model::status::Visibility,
};

/// What the options of an endpoint set.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) base: String,
    pub(super) kubernetes: bool,
    /// What callers without a grant see.
    pub(super) visibility: Visibility,
    /// What callers without a grant see on the metrics page, if that differs.
    pub(super) metrics_visibility: Option<Visibility>,
    pub(super) grants: Vec<Grant>,
    pub(super) unhealthy_code: u16,
    pub(super) degraded_code: u16,
    pub(super) draining_code: Option<u16>,
    pub(super) close_connections: bool,
    pub(super) envoy_headers: bool,
    pub(super) format: Format,
    pub(super) custom: Option<CustomRenderer>,
    /// Tells the status pages of this endpoint from those of others over the same service, whose links differ.
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

/// An option of an [`Endpoint`](crate::Endpoint) that cannot be used. Mounting the endpoint panics with this sentence.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointError {
    /// `base_path` with a path that cannot be routed.
    BasePath {
        /// The path as given.
        path: String,
        /// The fault, and what to change.
        message: &'static str,
    },
    /// `unhealthy_code` outside 400 to 599.
    UnhealthyCode(u16),
    /// `degraded_code` other than 200 to 299 or 429; also 204 and 205, which allow no body.
    DegradedCode(u16),
    /// `draining_code` outside 400 to 599.
    DrainingCode(u16),
    /// `full_for_bearer` with a token of fewer than 16 bytes, which grants nobody.
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

/// Reads like [`Display`](fmt::Display), because a `main` that returns the error prints it in this form.
impl fmt::Debug for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for EndpointError {}
