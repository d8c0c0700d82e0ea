//! Another service's gRPC health. Green proves that the service answers `grpc.health.v1.Health/Check` with SERVING; it does
//! not prove more than the service's own checks do, nor that the methods which this application calls work.

use std::{error::Error, fmt, iter::successors};

use async_trait::async_trait;
use tonic::{
    Code, Status, TimeoutExpired,
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    check::{
        Check, CheckResult,
        error::{CheckError, classify},
        outcome::Outcome,
    },
    model::status::{Impact, Reason},
};

/// Asks a service as [grpc.health.v1](https://github.com/grpc/grpc/blob/master/doc/health-checking.md) says, over the
/// application's own channel, whatever TLS, credentials and interceptors that has. Needs the feature `grpc`.
///
/// - Optional unless `.critical()` is said: it is another service.
/// - Least privilege: calling the method `Check`.
/// - A name the service does not know is Unhealthy with `rejected`, and so is a service without the protocol.
///
/// ```no_run
/// use health_core::{Grpc, Health};
///
/// # fn example<T>(channel: T) -> Result<(), health_core::BuildError>
/// # where
/// #     T: tonic::client::GrpcService<tonic::body::Body> + Clone + Send + Sync + 'static,
/// #     T::Future: Send,
/// #     T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
/// #     T::ResponseBody: tonic::codegen::Body<Data = tonic::codegen::Bytes> + Send + 'static,
/// #     <T::ResponseBody as tonic::codegen::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
/// # {
/// // `channel` is a tonic::transport::Channel, or one with an interceptor around it.
/// let health = Health::builder().check("inventory", Grpc::new(channel).service("inventory.v1.Inventory")).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Grpc<T> {
    channel: T,
    service: String,
}

impl<T> Grpc<T> {
    /// Asks for the health of the server as a whole.
    pub fn new(channel: T) -> Self {
        Self { channel, service: String::new() }
    }

    /// Asks for one service of it.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = name.into();
        self
    }
}

#[async_trait]
impl<T> Check for Grpc<T>
where
    T: GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Future: Send,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    async fn check(&self) -> CheckResult {
        let mut client = HealthClient::new(self.channel.clone());
        let request = HealthCheckRequest { service: self.service.clone() };
        let answer = client.check(request).await.map_err(explain)?.into_inner();
        Ok(match answer.status() {
            ServingStatus::Serving => Outcome::healthy(),
            ServingStatus::NotServing => Outcome::unhealthy("the service says NOT_SERVING"),
            ServingStatus::Unknown => Outcome::unhealthy("the service says UNKNOWN"),
            ServingStatus::ServiceUnknown => {
                Outcome::unhealthy("the service says SERVICE_UNKNOWN").reason(Reason::Rejected)
            }
        })
    }

    fn impact(&self) -> Impact {
        Impact::Optional
    }
}

/// What a status means.
fn explain(status: Status) -> CheckError {
    // What came over the wire has no source; what happened on this side has.
    let source = || status.source();
    let mut chain = successors(source(), |error: &&(dyn Error + 'static)| (*error).source());
    let timed_out = chain.any(<dyn Error + 'static>::is::<TimeoutExpired>);
    let reason = match status.code() {
        _ if timed_out => Reason::Timeout,
        Code::DeadlineExceeded => Reason::Timeout,
        Code::Unauthenticated | Code::PermissionDenied | Code::NotFound | Code::Unimplemented => Reason::Rejected,
        Code::ResourceExhausted => Reason::Saturated,
        // A connection that ends in mid-answer has a code of its own in every version; its source tells.
        Code::Unavailable | Code::Cancelled => classify(&status).unwrap_or(Reason::Unreachable),
        _ => classify(&status).unwrap_or_else(|| {
            let broken = ["transport error", "h2 protocol error", "connection", "stream"];
            let is_broken = source().is_some() && broken.iter().any(|words| status.message().contains(words));
            if is_broken { Reason::Unreachable } else { Reason::Failed }
        }),
    };
    CheckError::from(status).reason(reason)
}

impl<T> fmt::Debug for Grpc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grpc").field("service", &self.service).finish_non_exhaustive()
    }
}
