//! A status page whose server is gone shows by itself that it is old.

use std::time::Duration;

use health_core::{CheckExt as _, Endpoint, Health, check_fn};
use health_tests::{
    browser::{Browser, Tab},
    mount::{self, Form, Framework, Server},
    wait,
};
use serde_json::json;

use super::url;

/// JavaScript that returns whether the verdict is covered: the element at its middle is the notice of an old page, and
/// the notice is visible.
const COVERED: &str = "(() => {
    const box = document.querySelector('h1').getBoundingClientRect();
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const style = getComputedStyle(top, '::before');
    return top.className === 'old' && style.visibility === 'visible' && style.content.includes('This page is old');
})()";

fn is_covered(tab: &Tab) -> bool {
    tab.run(COVERED).as_bool().unwrap()
}

/// Returns the time since the request for the page, by the clock of the browser.
fn age(tab: &Tab) -> Duration {
    Duration::from_secs_f64(tab.run("performance.now() / 1000").as_f64().unwrap())
}

/// Returns the age class of the page, in seconds.
fn step(tab: &Tab) -> Duration {
    Duration::from_secs(tab.text("document.body.className").trim_start_matches("old-").parse().unwrap())
}

/// Opens the page in every state of a tab, ends its server and waits until each tab shows that the page is old.
fn grows_old(browser: &Browser, server: Server) {
    let names = ["in front", "behind another", "frozen", "with reduced motion"];
    let tabs = names.map(|_| browser.tab(1000, 700));
    tabs[3].prefer(&[("prefers-reduced-motion", "reduce")]);
    // The first tab is in front for the whole time, and the others are loaded behind it.
    tabs[0].bring_to_front();
    for tab in tabs.iter().rev() {
        tab.open(&url(&server, "/health"));
        assert_eq!(step(tab), Duration::from_secs(5));
    }
    let name = server.name.clone();
    let before = tabs[0].picture();
    assert!(!is_covered(&tabs[0]), "{name}: covered after {:?}", age(&tabs[0]));
    tabs[0].run(&format!(
        "window.look = setInterval(() => {{
            if (!{COVERED}) return;
            window.coveredAt = performance.now();
            clearInterval(window.look);
        }}, 20)"
    ));
    tabs[2].call("Page.setWebLifecycleState", json!({"state": "frozen"}));
    drop(server);
    wait::until("the notice that the page is old", || tabs[0].run("window.coveredAt > 0").as_bool().unwrap());
    // The page itself looks for the notice every 20 ms.
    let covered = Duration::from_secs_f64(tabs[0].run("window.coveredAt / 1000").as_f64().unwrap());
    let least = step(&tabs[0]);
    assert!((least..least + Duration::from_secs(2)).contains(&covered), "{name}: covered after {covered:?}");
    assert_ne!(tabs[0].picture(), before);
    for (tab, state) in tabs.iter().zip(names) {
        wait::until("the age of the page", || age(tab) > step(tab) + Duration::from_secs(2));
        tab.call("Page.setWebLifecycleState", json!({"state": "active"}));
        tab.bring_to_front();
        // The notice is visible by the second frame that the browser draws.
        tab.run("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => drawn(0))))");
        assert!(is_covered(tab), "{name}, {state}");
        // The rest of the page has no colour.
        let filter = tab.text("getComputedStyle(document.querySelector('details')).filter");
        assert_eq!(filter, "grayscale(1)", "{name}, {state}");
        let late = tab.text("getComputedStyle(document.querySelector('.late')).visibility");
        assert_eq!(late, "visible", "{name}, {state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_page_without_its_server_is_covered_in_every_state_of_its_tab() {
    let check = check_fn(|| async { Ok(()) }).every(Duration::from_secs(1)).timeout(Duration::from_millis(500));
    let health = Health::builder().check("database", check).start().unwrap();
    health.ready().await;
    tokio::task::block_in_place(|| {
        let browser = Browser::start();
        for framework in [Framework::Actix, Framework::Axum, Framework::Warp] {
            grows_old(&browser, mount::serve(framework, Form::Routes, Endpoint::new(health.clone())));
        }
    });
}
