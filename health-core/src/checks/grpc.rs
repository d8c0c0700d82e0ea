//! The gRPC health of another service. Green proves that the service answers `grpc.health.v1.Health/Check` with
//! SERVING. It does not prove more than the service's own checks do, or that the methods that this application calls
//! work.

use std::{error::Error, fmt, iter::successors, time::Duration};

use async_trait::async_trait;
use tokio::time::sleep;
use tonic::{
    Code, ConnectError, Status, TimeoutExpired,
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

/// The pauses before a request is sent again after its connection ended. A channel needs some time to detect the end,
/// and until then sends the next request over the same connection.
const PAUSES: [Duration; 3] = [Duration::from_millis(5), Duration::from_millis(20), Duration::from_millis(80)];

/// Requests the health of a service by
/// [grpc.health.v1](https://github.com/grpc/grpc/blob/master/doc/health-checking.md), over the application's own
/// channel, with the TLS, the credentials and the interceptors of that channel.
///
/// Green proves that the service answers `Check` with SERVING. It does not prove more than the service's own checks
/// do, or that the methods that this application calls work.
///
/// - The check is Optional unless `.critical()` is called, because it checks another service.
/// - Least privilege: the right to call the method `Check`.
/// - A connection that ends during the request is not an outage: the request is sent again, at most three times.
/// - A service name that the server does not know, and a server without the protocol, are Unhealthy with `rejected`.
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
    /// Creates a check of the server as a whole.
    pub fn new(channel: T) -> Self {
        Self { channel, service: String::new() }
    }

    /// Sets the name of the service whose health is requested. Default: the empty name, which stands for the whole
    /// server.
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
        let mut pauses = PAUSES.into_iter();
        let answer = loop {
            let request = HealthCheckRequest { service: self.service.clone() };
            let answer = HealthClient::new(self.channel.clone()).check(request).await;
            // The request is idempotent, and the next connection may work.
            match answer {
                Err(status) if is_of_a_dying_connection(&status) => match pauses.next() {
                    Some(pause) => sleep(pause).await,
                    None => return Err(explain(status)),
                },
                answer => break answer.map_err(explain)?.into_inner(),
            }
        };
        Ok(match answer.status() {
            ServingStatus::Serving => Outcome::healthy(),
            ServingStatus::NotServing => Outcome::unhealthy("the service reports NOT_SERVING"),
            ServingStatus::Unknown => Outcome::unhealthy("the service reports UNKNOWN"),
            ServingStatus::ServiceUnknown => {
                Outcome::unhealthy("the service reports SERVICE_UNKNOWN").reason(Reason::Rejected)
            }
        })
    }

    fn impact(&self) -> Impact {
        Impact::Optional
    }

    fn proves(&self) -> &'static str {
        "The service answers grpc.health.v1 with SERVING. It does not prove more than the service's own checks do, or \
         that the methods in use work."
    }
}

/// Returns the source chain of a status. A status that was received from the server has no source. A status that was
/// created for a local error has a source.
fn sources(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(status.source(), |error: &&(dyn Error + 'static)| (*error).source())
}

/// Returns whether the connection on which the request was sent ended before the answer. The service was then about to
/// close it, as services do with idle and old connections.
fn is_of_a_dying_connection(status: &Status) -> bool {
    status.source().is_some()
        && !sources(status).any(|error| error.is::<TimeoutExpired>() || error.is::<ConnectError>())
}

/// Converts a status, with its reason.
fn explain(status: Status) -> CheckError {
    let reason = match status.code() {
        _ if sources(&status).any(<dyn Error + 'static>::is::<TimeoutExpired>) => Reason::Timeout,
        Code::DeadlineExceeded => Reason::Timeout,
        Code::Unauthenticated | Code::PermissionDenied | Code::NotFound | Code::Unimplemented => Reason::Rejected,
        Code::ResourceExhausted => Reason::Saturated,
        Code::Unavailable | Code::Cancelled => classify(&status).unwrap_or(Reason::Unreachable),
        // The code of a connection that ended during the answer depends on the version of tonic. Its source
        // distinguishes it from a status of the server.
        _ if status.source().is_some() => classify(&status).unwrap_or(Reason::Unreachable),
        _ => Reason::Failed,
    };
    CheckError::from(status).reason(reason)
}

impl<T> fmt::Debug for Grpc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grpc").field("service", &self.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_refused_handshake_is_rejected_and_not_retried() {
        for (error, expected) in [
            (io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer"), Reason::Rejected),
            (io::Error::from(io::ErrorKind::ConnectionRefused), Reason::Unreachable),
        ] {
            let status = Status::from_error(Box::new(ConnectError(Box::new(error))));
            assert!(!is_of_a_dying_connection(&status), "{status}");
            assert_eq!(explain(status).get_reason(), expected);
        }
    }
}
