//! A client of `grpc.health.v1`.

use std::time::Duration;

use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    ask::within,
    target::{Place, Target},
    token::Token,
    verdict::{State, Verdict},
};

/// Makes one request for the status of a service. The empty name means the server itself.
pub(crate) fn ask(target: &Target, service: &str, token: Option<&Token>, timeout: Duration) -> Verdict {
    let (place, service, token) = (target.place.clone(), service.to_owned(), token.cloned());
    within(timeout, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(check(&place, service, token, timeout)),
            Err(error) => Verdict::new(State::Unknown, error.to_string()),
        }
    })
}

async fn check(place: &Place, service: String, token: Option<Token>, timeout: Duration) -> Verdict {
    // Longer than the timeout of `within`, which decides the verdict. This timeout only ends the thread.
    let patience = timeout.saturating_add(Duration::from_secs(1));
    let unreachable =
        |error: &dyn std::error::Error| Verdict::new(State::Unhealthy, format!("{place}: {}", chain(error)));
    let scheme = if matches!(place, Place::Unix(_)) { "unix://" } else { "http://" };
    let endpoint = match Endpoint::from_shared(format!("{scheme}{place}")) {
        Ok(endpoint) => endpoint.connect_timeout(patience).timeout(patience),
        Err(error) => return unreachable(&error),
    };
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return unreachable(&error),
    };
    let mut request = tonic::Request::new(HealthCheckRequest { service });
    if let Some(Ok(value)) = token.map(|token| token.bearer().parse()) {
        request.metadata_mut().insert("authorization", value);
    }
    match HealthClient::new(channel).check(request).await {
        Ok(response) => match response.into_inner().status() {
            ServingStatus::Serving => Verdict::new(State::Healthy, ""),
            status => Verdict::new(State::Unhealthy, status.as_str_name()),
        },
        Err(status) if status.code() == Code::NotFound => {
            Verdict::new(State::Unknown, "there is no service of that name")
        }
        Err(status) if status.code() == Code::Unimplemented => {
            Verdict::new(State::Unknown, "the server does not speak grpc.health.v1")
        }
        Err(status) => Verdict::new(State::Unhealthy, format!("gRPC {:?}", status.code())),
    }
}

/// Returns the texts of the error and of all its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
