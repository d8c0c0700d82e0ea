//! The timing of the status page in a real browser.

mod age;
mod database;

use health_tests::mount::Server;

fn url(server: &Server, target: &str) -> String {
    format!("http://{}{target}", server.address)
}
