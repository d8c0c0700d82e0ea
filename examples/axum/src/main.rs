//! A small service on axum. It runs without any setup. The README lists its environment variables.

use std::{error::Error, process::ExitCode, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};
use health_examples::{Service, Settings, run, start};
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

/// The time for answers that are in progress when the drain is over.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    run(serve).await
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let Service { health, endpoint, queue } = start(&settings)?;
    let leave = health_axum::shutdown(&health, settings.drain)?;
    let accept =
        move || async move { if queue.push() { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE } };
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/jobs", post(accept))
        // Around the application, so that the drain also closes the application's connections. A load balancer moves no
        // connection that is open, for instance kube-proxy.
        .layer(health_axum::HealthLayer::new(endpoint));

    let listener = TcpListener::bind(settings.bind).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let (left, leaving) = oneshot::channel();
    let server = tokio::spawn(
        axum::serve(listener, app)
            .with_graceful_shutdown(async move {
                leave.await;
                let _ = left.send(());
            })
            .into_future(),
    );
    let _ = leaving.await;
    if let Ok(served) = timeout(LAST_ANSWERS, server).await {
        served??;
    }
    health.stop().await;
    Ok(())
}
