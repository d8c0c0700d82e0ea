//! A small service on actix-web. It runs without any setup. The README lists its environment variables.

use std::{error::Error, net::TcpListener, process::ExitCode};

use actix_web::{App, HttpResponse, HttpServer, web};
use health_examples::{Service, Settings, run, start};

/// The time for answers that are in progress when the drain is over, in seconds.
const LAST_ANSWERS: u64 = 5;

#[actix_web::main]
async fn main() -> ExitCode {
    run(serve).await
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let Service { health, endpoint, queue } = start(&settings)?;
    let leave = health_actix::shutdown(&health, settings.drain)?;
    let listener = TcpListener::bind(settings.bind)?;
    println!("listening on http://{}", listener.local_addr()?);
    // Around the application, so that the drain also closes the application's connections. A load balancer moves no
    // connection that is open, for instance kube-proxy.
    let health_endpoint = health_actix::HealthMiddleware::new(endpoint);
    HttpServer::new(move || {
        let queue = queue.clone();
        let accept = move || {
            let accepted = queue.push();
            async move {
                if accepted { HttpResponse::Accepted().finish() } else { HttpResponse::ServiceUnavailable().finish() }
            }
        };
        App::new()
            .route("/", web::get().to(|| async { "hello" }))
            .route("/jobs", web::post().to(accept))
            .wrap(health_endpoint.clone())
    })
    .shutdown_signal(leave)
    .shutdown_timeout(LAST_ANSWERS)
    .listen(listener)?
    .run()
    .await?;
    health.stop().await;
    Ok(())
}
