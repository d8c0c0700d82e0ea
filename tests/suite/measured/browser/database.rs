//! The outage and the recovery of a database, on a status page that refreshes itself.

use std::time::Duration;

use health_core::{CheckExt as _, Endpoint, Health, Postgres};
use health_tests::{
    bare_clock::{BareClock, measure},
    browser::Browser,
    mount::{self, Form, Framework},
    postgres, wait,
};

use super::url;

const AT_MOST: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_shows_a_database_outage_and_its_end_within_three_seconds() {
    let mut database = postgres::Server::start();
    let check = Postgres::new(postgres::pool(database.config(), 2)).every(Duration::from_millis(500));
    let health = Health::builder().check("database", check).start().unwrap();
    health.ready().await;
    let browser = Browser::start();
    let tabs = [Framework::Actix, Framework::Axum, Framework::Warp].map(|framework| {
        let server = mount::serve(framework, Form::Routes, Endpoint::new(health.clone()));
        let tab = browser.tab(800, 600);
        tokio::task::block_in_place(|| tab.open(&url(&server, "/health?refresh=2")));
        (server, tab)
    });
    let clock = BareClock::start();
    let until_all_say = |word: &str| {
        let began = clock.now();
        for (_, tab) in &tabs {
            let verdict =
                || tab.text("document.querySelector('h1') ? document.querySelector('h1').innerText.trim() : ''");
            tokio::task::block_in_place(|| wait::equals("the verdict", &word.to_owned(), verdict));
        }
        clock.now() - began
    };
    let round = async || {
        until_all_say("Healthy");
        tokio::task::block_in_place(|| database.kill());
        let red = until_all_say("Unhealthy");
        tokio::task::block_in_place(|| database.run());
        (red, until_all_say("Healthy"))
    };
    measure("the verdicts", &clock, round, |(red, green)| {
        assert!(
            *red < AT_MOST && *green < AT_MOST,
            "Unhealthy after {red:?}, Healthy after {green:?}, at most {AT_MOST:?}"
        );
    })
    .await;
}
