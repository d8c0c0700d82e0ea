//! `grpc.health.v1` for tonic: Check, Watch and List over the checks of [`health_core`].
//!
//! ```no_run
//! use health_core::Health;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let health = Health::builder().start()?;
//! # let app = tonic::service::Routes::default();
//! // tonic::transport::Server::builder()
//! //     .add_service(health_tonic::service(health.clone()))
//! //     .add_service(..)
//! let routes = app.add_service(health_tonic::service(health));
//! # drop(routes);
//! # Ok(())
//! # }
//! ```
//!
//! | service | is serving while |
//! |---|---|
//! | the empty name, `readiness` | the readiness probe passes: the service should receive traffic |
//! | `liveness`, `startup` | the probe of that name passes |
//! | a check's name | the check is not Unhealthy |
//!
//! A Degraded service is `SERVING`. The empty name and `readiness` are `NOT_SERVING` while the service starts or
//! drains. [`Builder::grpc_service`](health_core::Builder::grpc_service) adds further names.
//!
//! Check of an unknown name fails with `NOT_FOUND`. Watch of an unknown name sends `SERVICE_UNKNOWN` until a service of
//! this name appears. Watch ends with `UNAVAILABLE` when the delay of the drain has passed or the checks have stopped,
//! because a server that shuts down waits for its streams. List fails with `RESOURCE_EXHAUSTED` for more than 100
//! services. Every caller can learn the names of the checks; [`probes_only`] hides them.
//!
//! # Traces without probes
//!
//! The layers of a server wrap all of its services, so the span function must exclude the health service:
//!
//! ```
//! use tonic::{codegen::http, transport::Server};
//!
//! fn span(request: &http::Request<()>) -> tracing::Span {
//!     match request.uri().path() {
//!         path if path.starts_with("/grpc.health.v1.Health/") => tracing::Span::none(),
//!         path => tracing::info_span!("request", path),
//!     }
//! }
//!
//! # fn example() {
//! let server = Server::builder().trace_fn(span);
//! # drop(server);
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    reason = "generated from proto/health.proto"
)]
#[rustfmt::skip]
#[path = "generated/grpc.health.v1.rs"]
mod generated;

use std::{collections::HashMap, time::Duration};

use health_core::Health;
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

/// The generated messages and server of `grpc.health.v1`.
pub mod pb {
    pub use crate::generated::*;
}

use crate::generated::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
    health_check_response::ServingStatus, health_server,
};

/// The interval at which Watch reads the status again, because a result that becomes stale publishes no change.
const LOOK: Duration = Duration::from_secs(1);
/// The maximum number of services that List returns, as in gRPC's own servers. With more services, List fails with
/// `RESOURCE_EXHAUSTED`.
const LISTED: usize = 100;

/// The health service in the form that a tonic server takes.
pub type HealthServer = health_server::HealthServer<Service>;

/// Returns the health service, for `Server::add_service` or `Routes::add_service`.
#[must_use]
pub fn service(health: Health) -> HealthServer {
    HealthServer::new(Service { health, names: true })
}

/// Returns the health service without the checks: every name of a check is unknown, and List omits it.
#[must_use]
pub fn probes_only(health: Health) -> HealthServer {
    HealthServer::new(Service { health, names: false })
}

/// The implementation of `grpc.health.v1`.
#[derive(Clone, Debug)]
pub struct Service {
    health: Health,
    names: bool,
}

impl Service {
    /// Returns whether callers may see a service.
    fn shows(&self, service: &str) -> bool {
        self.names || self.health.service_probe(service).is_some()
    }

    /// Returns the status that Watch sends for a service; `ServiceUnknown` for an unknown name.
    fn watched(&self, service: &str) -> ServingStatus {
        let serving = Some(()).filter(|()| self.shows(service)).and_then(|()| self.health.known_serving(service));
        serving.map_or(ServingStatus::ServiceUnknown, status)
    }
}

fn status(serving: bool) -> ServingStatus {
    if serving { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[async_trait]
impl health_server::Health for Service {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        let serving = Some(()).filter(|()| self.shows(&service)).and_then(|()| self.health.serving(&service));
        let serving = serving.ok_or_else(|| Status::not_found("there is no service of that name"))?;
        Ok(Response::new(response(status(serving))))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        let mut shown = self.health.services();
        shown.retain(|service| self.shows(service));
        if shown.len() > LISTED {
            return Err(Status::resource_exhausted("there are too many services to list"));
        }
        let listed = shown
            .iter()
            .filter_map(|service| Some((service.to_string(), response(status(self.health.serving(service)?)))));
        Ok(Response::new(HealthListResponse { statuses: listed.collect::<HashMap<_, _>>() }))
    }

    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        // Capacity for the latest status, and for the error that ends the stream, which is reserved.
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(watch(self.clone(), request.into_inner().service, sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Sends the current status and every change, until the client disconnects, the delay of the drain has passed or the
/// checks have stopped. A client that does not read does not delay other callers, and receives the latest status once
/// it reads.
async fn watch(service: Service, name: String, client: mpsc::Sender<Result<HealthCheckResponse, Status>>) {
    let Ok(last_word) = client.clone().reserve_owned().await else { return };
    let mut changes = service.health.subscribe();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drained = std::pin::pin!(service.health.drained());
    let mut told = None;
    let mut stopped = false;
    loop {
        let now = service.watched(&name);
        if told != Some(now) {
            tokio::select! {
                // If the channel has capacity, the status is sent even if the delay of the drain has passed.
                biased;
                sent = client.send(Ok(response(now))) => if sent.is_err() {
                    return;
                },
                // A client that does not read cannot delay the end of the stream.
                () = &mut drained => break,
            }
            told = Some(now);
            // The status may have changed while the send waited for the client.
            continue;
        }
        tokio::select! {
            () = client.closed() => return,
            () = &mut drained => break,
            _ = looks.tick() => {}
            change = changes.next(), if !stopped => stopped = change.is_none(),
        }
    }
    last_word.send(Err(Status::unavailable("the service has drained")));
}
