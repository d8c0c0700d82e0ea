//! Futures and publishers are `Send`. Other public types are `Send` and `Sync`.

use health_core::{
    Applied, BuildError, Builder, Change, Changes, CheckError, CheckHandle, CheckReport, DedicatedServer, Drain,
    Endpoint, EndpointError, ErrorRate, Health, Heartbeat, History, InFlight, Latch, MuteError, Outcome, Publisher,
    Quorum, Registration, RemoveError, Report, Response, Settings, SettingsError, SettingsLoader, Shutdown, Source,
    Toggle, testing::Frozen,
};

const fn sent<T: Send>() {}
const fn shared<T: Send + Sync>() {}
fn future<F: Future + Send>(_: F) {}

#[test]
fn public_types_are_send_and_sync_and_futures_are_send() {
    const {
        shared::<Health>();
        shared::<Builder>();
        shared::<Registration>();
        shared::<Report>();
        shared::<CheckReport>();
        shared::<History>();
        shared::<Change>();
        shared::<Changes>();
        shared::<Source>();
        shared::<Outcome>();
        shared::<CheckError>();
        shared::<CheckHandle>();
        shared::<Toggle>();
        shared::<Latch>();
        shared::<Heartbeat>();
        shared::<ErrorRate>();
        shared::<Quorum>();
        shared::<Applied>();
        shared::<BuildError>();
        shared::<EndpointError>();
        shared::<MuteError>();
        shared::<RemoveError>();
        shared::<Settings>();
        shared::<SettingsError>();
        shared::<SettingsLoader>();
        shared::<Frozen>();
        shared::<DedicatedServer>();
        shared::<InFlight>();
        shared::<Endpoint>();
        shared::<Response>();
        sent::<Drain>();
        sent::<Shutdown>();
        sent::<Box<dyn Publisher>>();
        shared::<health_axum::HealthLayer>();
        shared::<health_axum::HealthRoutes>();
        shared::<health_actix::HealthMiddleware>();
        shared::<health_actix::HealthRoutes>();
        shared::<health_hyper::HealthService>();
        shared::<health_hyper::Serve>();
        shared::<health_hyper::Server>();
        shared::<health_tonic::HealthServer>();
    }
    let health = Frozen::new(Health::builder()).unwrap().health();
    future(health.ready());
    future(health.stop());
    future(health.drained());
    future(health.refresh("x"));
    future(async {
        health.subscribe().next().await;
    });
}
