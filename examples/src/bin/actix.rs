//! A small service on actix-web. Runs at once; see the README for what it reads from the environment.

use std::{error::Error, net::TcpListener, process::ExitCode};

use actix_web::{App, HttpResponse, HttpServer, web};
use health_examples::{Service, Settings, run, shutdown, start};

/// How long answers under way may take once draining is over, in seconds.
const LAST_ANSWERS: u64 = 5;

#[actix_web::main]
async fn main() -> ExitCode {
    run(serve).await
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let Service { health, endpoint, queue } = start(&settings)?;
    let leave = shutdown(health.clone(), settings.drain)?;
    let listener = TcpListener::bind(settings.bind)?;
    println!("listening on http://{}", listener.local_addr()?);
    let server = HttpServer::new(move || {
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
            .service(health_actix::routes(endpoint.clone()))
    })
    .disable_signals()
    .shutdown_timeout(LAST_ANSWERS)
    .listen(listener)?
    .run();
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        leave.await;
        handle.stop(true).await;
    });
    server.await?;
    health.stop().await;
    Ok(())
}
