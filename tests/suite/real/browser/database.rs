//! A database that goes and comes back, on a page that refreshes itself.

use std::time::{Duration, Instant};

use health_core::{CheckExt as _, Endpoint, Health, Postgres};
use health_tests::{
    browser::Browser,
    mount::{self, Form},
    wait,
};

use super::{FRAMEWORKS, url};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_turns_red_and_green_within_three_seconds() {
    let mut database = health_tests::postgres::Server::start();
    let check = Postgres::new(health_tests::postgres::pool(database.config(), 2)).every(Duration::from_millis(500));
    let health = Health::builder().check("database", check).start().unwrap();
    health.ready().await;
    tokio::task::block_in_place(|| {
        let browser = Browser::start();
        let servers = FRAMEWORKS.map(|framework| mount::serve(framework, Form::Routes, Endpoint::new(health.clone())));
        let tabs = servers.each_ref().map(|server| {
            let tab = browser.tab(800, 600);
            tab.open(&url(server, "/health?refresh=2"));
            tab
        });
        let says = |word: &str| {
            let began = Instant::now();
            for tab in &tabs {
                wait::equals("the verdict", &word.to_owned(), || {
                    tab.text("document.querySelector('h1') ? document.querySelector('h1').innerText.trim() : ''")
                });
            }
            began.elapsed()
        };
        says("Healthy");
        database.kill();
        let red = says("Unhealthy");
        database.run();
        let green = says("Healthy");
        assert!(
            red < Duration::from_secs(3) && green < Duration::from_secs(3),
            "red after {red:?}, green after {green:?}"
        );
    });
}
