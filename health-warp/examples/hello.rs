// A warp service with one check: `cargo run -p health-warp --example hello`, then `curl -i localhost:8080/health`.
// The first argument is the address to listen on.

use std::{net::SocketAddr, time::Duration};

use health_core::{CheckExt as _, Health, Heartbeat};
use warp::Filter as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let worker = Heartbeat::new();
    let health = Health::builder().service("hello").check("worker", worker.check().liveness()).start()?;
    tokio::spawn(async move {
        loop {
            worker.beat(); // after each job
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let app = health_warp::routes(health).or(warp::path::end().map(|| "hello"));
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    warp::serve(app).run(address).await;
    Ok(())
}
