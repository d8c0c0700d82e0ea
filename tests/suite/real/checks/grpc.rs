//! The `Grpc` check against a real health server.

use health_core::{CheckExt as _, Grpc, Impact, Reason, Status};
use health_tests::{
    daemon::Server as _,
    proxy::{NetworkFault, Proxy},
    service::{Kind, Server, TOKEN},
    support::{checked, rerun, shown, verdict},
    wait::HANG,
};
use tonic::{metadata::MetadataValue, service::interceptor::InterceptedService, transport::Endpoint};

#[tokio::test(flavor = "multi_thread")]
async fn the_check_queries_the_server_or_one_of_its_services() {
    let server = Server::start(Kind::Grpc);
    let channel = || {
        let token: MetadataValue<_> = format!("Bearer {TOKEN}").parse().unwrap();
        let channel = Endpoint::from_shared(format!("http://127.0.0.1:{}", server.port())).unwrap().connect_lazy();
        InterceptedService::new(channel, move |mut request: tonic::Request<()>| {
            request.metadata_mut().insert("authorization", token.clone());
            Ok(request)
        })
    };
    for (service, expected) in [
        ("", (Status::Healthy, None)),
        ("working", (Status::Healthy, None)),
        ("broken", (Status::Unhealthy, Some(Reason::Failed))),
        ("unknown", (Status::Unhealthy, Some(Reason::Rejected))),
    ] {
        let report = shown(&checked(Grpc::new(channel()).service(service)).await);
        assert_eq!((verdict(&report), report.impact()), (expected, Impact::Optional), "{service:?} {report:?}");
    }
    // Servers without the health service: one speaks gRPC, the other HTTP/1.1.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let nothing = tonic::service::Routes::builder().routes();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_routes(nothing).serve_with_incoming(incoming));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let report = shown(&checked(Grpc::new(channel)).await);
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Rejected)), "{report:?}");
    let other = Server::start(Kind::Http);
    let channel = Endpoint::from_shared(format!("http://127.0.0.1:{}", other.port())).unwrap().connect_lazy();
    let report = shown(&checked(Grpc::new(channel).critical()).await);
    assert_eq!((report.status(), report.impact()), (Status::Unhealthy, Impact::Critical));
}

/// The service closes the open connection when the next request arrives, as it does after GOAWAY.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_that_closes_during_the_request_is_no_outage() {
    let server = Server::start(Kind::Grpc);
    let proxy = Proxy::before(server.port());
    let token: MetadataValue<_> = format!("Bearer {TOKEN}").parse().unwrap();
    let channel = Endpoint::from_shared(format!("http://127.0.0.1:{}", proxy.port())).unwrap().connect_lazy();
    let channel = InterceptedService::new(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", token.clone());
        Ok(request)
    });
    let health = checked(Grpc::new(channel).every(HANG).recheck(HANG)).await;
    for run in 0..4 {
        proxy.set(NetworkFault::CloseOnRequest);
        let report = rerun(&health).await;
        assert_eq!(verdict(&report), (Status::Healthy, None), "run {run}: {report:?}");
        proxy.set(NetworkFault::None);
        assert_eq!(rerun(&health).await.status(), Status::Healthy);
    }
    // A refused connection is tried once and reported.
    proxy.set(NetworkFault::Refused);
    assert_eq!(verdict(&*rerun(&health).await), (Status::Unhealthy, Some(Reason::Unreachable)));
}
