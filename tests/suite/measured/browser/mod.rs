//! What the status page does in time, in a real browser.

mod age;
mod database;

use health_tests::mount::Server;

fn url(server: &Server, target: &str) -> String {
    format!("http://{}{target}", server.address)
}
