//! A page of a server that is gone says by itself that it is old.

use std::time::Duration;

use health_core::{CheckExt as _, Endpoint, Health, check_fn};
use health_tests::{
    browser::{Browser, Tab},
    mount::{self, Form, Framework},
    wait,
};
use serde_json::json;

use super::url;

/// Whether the verdict is covered: what is in its middle, and whether it can be seen.
const COVERED: &str = "(() => {
    const box = document.querySelector('h1').getBoundingClientRect();
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const style = getComputedStyle(top, '::before');
    return top.className === 'old' && style.visibility === 'visible' && style.content.includes('This page is old');
})()";

fn is_covered(tab: &Tab) -> bool {
    tab.run(COVERED).as_bool().unwrap()
}

/// The time since the page was asked for, by the clock of the browser.
fn age(tab: &Tab) -> Duration {
    Duration::from_secs_f64(tab.run("performance.now() / 1000").as_f64().unwrap())
}

/// The class of the page in seconds.
fn step(tab: &Tab) -> Duration {
    Duration::from_secs(tab.text("document.body.className").trim_start_matches("old-").parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_page_without_its_server_is_covered_in_every_state_of_its_tab() {
    let check = check_fn(|| async { Ok(()) }).every(Duration::from_secs(1)).timeout(Duration::from_millis(500));
    let health = Health::builder().check("database", check).start().unwrap();
    health.ready().await;
    tokio::task::block_in_place(|| {
        let browser = Browser::start();
        let server = mount::serve(Framework::Axum, Form::Routes, Endpoint::new(health.clone()));
        let names = ["in front", "behind another", "frozen", "with reduced motion"];
        let tabs = names.map(|_| browser.tab(1000, 700));
        tabs[3].prefer(&[("prefers-reduced-motion", "reduce")]);
        // One after the other, as each counts from its own answer.
        let before = tabs.each_ref().map(|tab| {
            tab.open(&url(&server, "/health"));
            assert_eq!(step(tab), Duration::from_secs(5));
            let picture = tab.picture();
            assert!(!is_covered(tab) || age(tab) > step(tab), "covered after {:?}", age(tab));
            picture
        });
        drop(server);
        tabs[2].call("Page.setWebLifecycleState", json!({"state": "frozen"}));
        let another = browser.tab(1000, 700);
        another.bring_to_front();
        // The tab that is looked at is in front of the others.
        tabs[0].bring_to_front();
        wait::until("a page that says that it is old", || is_covered(&tabs[0]));
        // A second more than that is the browser's own.
        assert!(age(&tabs[0]) >= step(&tabs[0]), "covered after {:?}", age(&tabs[0]));
        let latest = step(&tabs[3]) + Duration::from_secs(2);
        wait::until("the time of the tab that was opened last", || age(&tabs[3]) > latest);
        tabs[2].call("Page.setWebLifecycleState", json!({"state": "active"}));
        for ((tab, name), before) in tabs.iter().zip(names).zip(before) {
            tab.bring_to_front();
            assert!(is_covered(tab), "{name}");
            assert_ne!(tab.picture(), before, "{name}");
            // And the rest of it has no colour.
            assert_eq!(
                tab.text("getComputedStyle(document.querySelector('details')).filter"),
                "grayscale(1)",
                "{name}"
            );
            assert_eq!(tab.text("getComputedStyle(document.querySelector('.late')).visibility"), "visible", "{name}");
        }
    });
}
