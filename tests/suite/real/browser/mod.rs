//! The status page in a real browser, served by each of the three frameworks.

mod accessibility;
mod appearance;
mod security;

use health_core::{Endpoint, Visibility, testing::Frozen};
use health_tests::{
    browser::Tab,
    mount::{self, Form, Framework, Server},
};

const FRAMEWORKS: [Framework; 3] = [Framework::Actix, Framework::Axum, Framework::Warp];

/// Serves a frozen service with full visibility.
fn serve(framework: Framework, frozen: &Frozen) -> Server {
    let endpoint = Endpoint::new(frozen.health()).visibility(Visibility::Full);
    mount::serve(framework, Form::Routes, endpoint)
}

fn url(server: &Server, target: &str) -> String {
    format!("http://{}{target}", server.address)
}

/// Returns the distance of an element's lower edge from the top of the window, in pixels.
fn bottom(tab: &Tab, selector: &str) -> f64 {
    tab.run(&format!("document.querySelector('{selector}').getBoundingClientRect().bottom")).as_f64().unwrap()
}

/// Moves the page's animations to their end, after which the notice of an old page is visible.
fn grow_old(tab: &Tab) {
    tab.run(
        "document.getAnimations().forEach(it => { it.currentTime = it.effect.getComputedTiming().endTime + 1000; })",
    );
    assert_eq!(tab.text("getComputedStyle(document.querySelector('.old')).visibility"), "visible");
}
