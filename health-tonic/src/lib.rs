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
//! | service | serves while |
//! |---|---|
//! | the empty name, `readiness` | the readiness probe passes: it should be sent traffic |
//! | `liveness` `startup` | that probe passes |
//! | a check's name | the check is not Unhealthy |
//!
//! Degraded serves. While the service starts and drains, the empty name and `readiness` do not. Check of another name is `NOT_FOUND`; Watch of one
//! says `SERVICE_UNKNOWN` until it appears. Watch ends with `UNAVAILABLE` when the drain is over, as a server that shuts
//! down waits for its streams. Names are told to anyone who can call; [`probes_only`] tells none.

//!
//! # Traces without probes
//!
//! A server's layers wrap all of its services, so a span is for what is not ours:
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

/// The messages and the server, as they are generated.
pub mod pb {
    pub use crate::generated::*;
}

use crate::generated::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
    health_check_response::ServingStatus, health_server,
};

/// How often Watch looks for what changes without a change: a result that became too old.
const LOOK: Duration = Duration::from_secs(1);
/// More services than this are too many for List, as in gRPC's own servers.
const LISTED: usize = 100;

/// What is added to a server of tonic's.
pub type HealthServer = health_server::HealthServer<Service>;

/// The service, for `Server::add_service` or `Routes::add_service`.
#[must_use]
pub fn service(health: Health) -> HealthServer {
    HealthServer::new(Service { health, names: true })
}

/// The same without the checks: to whoever asks for one by name there is none.
#[must_use]
pub fn probes_only(health: Health) -> HealthServer {
    HealthServer::new(Service { health, names: false })
}

/// Answers `grpc.health.v1`.
#[derive(Clone, Debug)]
pub struct Service {
    health: Health,
    names: bool,
}

impl Service {
    fn shows(&self, service: &str) -> bool {
        self.names || matches!(service, "" | "liveness" | "readiness" | "startup")
    }

    /// What Watch says of a service.
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
        // Room for the latest status, and always for the last word.
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(watch(self.clone(), request.into_inner().service, sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Sends the status now and whenever it changes, until the client is gone or the drain is over. A client that reads nothing
/// holds up nobody and hears the latest once it reads.
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
                // Where there is room it is told, drained or not.
                biased;
                sent = client.send(Ok(response(now))) => if sent.is_err() {
                    return;
                },
                // Nobody is waited for who does not read.
                () = &mut drained => break,
            }
            told = Some(now);
            // It may have changed while the client took its time.
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
