// An actix-web service with one check: `cargo run -p health-actix --example hello`, then
// `curl -i localhost:8080/health`. The first argument is the address to listen on.

use actix_web::{App, HttpServer, rt, web};
use health_core::{CheckExt as _, Health, Heartbeat};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let worker = Heartbeat::new();
    let health = Health::builder().service("hello").check("worker", worker.check().liveness()).start()?;
    rt::spawn(async move {
        loop {
            worker.beat(); // after each job
            rt::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    });
    let probes = health_actix::routes(health);
    let app = move || App::new().route("/", web::get().to(|| async { "hello" })).service(probes.clone());
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    Ok(HttpServer::new(app).workers(1).bind(address)?.run().await?)
}
