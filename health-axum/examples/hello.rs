// An axum service with one check: `cargo run -p health-axum --example hello`, then `curl -i localhost:8080/health`.
// The first argument is the address to listen on.

use axum::{Router, routing::get};
use health_core::{CheckExt as _, Health, Heartbeat};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let worker = Heartbeat::new();
    let health = Health::builder().service("hello").check("worker", worker.check().liveness()).start()?;
    tokio::spawn(async move {
        loop {
            worker.beat(); // after each job
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    });
    let app = Router::new().route("/", get(|| async { "hello" })).merge(health_axum::routes(health));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    axum::serve(tokio::net::TcpListener::bind(address).await?, app).await?;
    Ok(())
}
