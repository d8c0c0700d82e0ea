// A worker without HTTP but its probes: `cargo run -p health-hyper --example hello`, then
// `curl -i localhost:8080/health`. The first argument is the address to listen on.

use std::time::Duration;

use health_core::{CheckExt as _, Health, Heartbeat};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let worker = Heartbeat::new();
    let health = Health::builder().service("hello").check("worker", worker.check().liveness()).start()?;
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let probes = tokio::net::TcpListener::bind(address).await?;
    let _server = health_hyper::serve(health, probes).spawn(); // ends when it is dropped
    loop {
        worker.beat(); // after each job
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
