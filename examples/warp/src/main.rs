//! A small service on warp. It runs without any setup. The README lists its environment variables.

use std::{error::Error, process::ExitCode, time::Duration};

use health_examples::{Service, Settings, run, start};
use health_warp::WithHealth as _;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};
use warp::{Filter as _, http::StatusCode};

/// The time for answers that are in progress when the drain is over.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    run(serve).await
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let Service { health, endpoint, queue } = start(&settings)?;
    let leave = health_warp::shutdown(&health, settings.drain)?;
    let accept = move || if queue.push() { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE };
    let hello = warp::path::end().and(warp::get()).map(|| "hello");
    let jobs = warp::path!("jobs").and(warp::post()).map(accept);
    // Around the application, so that the drain also closes the application's connections. A load balancer moves no
    // connection that is open, for instance kube-proxy.
    let app = hello.or(jobs).with_health(endpoint);

    let listener = TcpListener::bind(settings.bind).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let (left, leaving) = oneshot::channel();
    let server = tokio::spawn(
        warp::serve(app)
            .incoming(listener)
            .graceful(async move {
                leave.await;
                let _ = left.send(());
            })
            .run(),
    );
    let _ = leaving.await;
    if let Ok(served) = timeout(LAST_ANSWERS, server).await {
        served?;
    }
    health.stop().await;
    Ok(())
}
