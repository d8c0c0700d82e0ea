//! No violation that axe-core finds, in any mode of colours.

use health_tests::{
    browser::Browser,
    mount::Framework,
    sample_service::{State, frozen},
    tools,
};

use super::{grow_old, serve, url};

#[test]
fn axe_finds_no_violation_in_light_dark_and_forced_colours() {
    tools::needs("axe-core");
    let axe = std::fs::read_to_string(tools::repository().join("target/tools/axe.min.js")).unwrap();
    let browser = Browser::start();
    let (well, ill) = (frozen(State::Healthy), frozen(State::Failing));
    let (well, ill) = (serve(Framework::Axum, &well), serve(Framework::Axum, &ill));
    for features in [
        &[("prefers-color-scheme", "light")][..],
        &[("prefers-color-scheme", "dark")],
        &[("forced-colors", "active"), ("prefers-color-scheme", "dark")],
    ] {
        for (server, target) in
            [(&well, "/health"), (&ill, "/health"), (&ill, "/health/checks/jobs"), (&ill, "/health/ready")]
        {
            for width in [360, 1280] {
                let tab = browser.tab(width, 800);
                tab.prefer(features);
                tab.open(&url(server, target));
                tab.run("document.querySelectorAll('details').forEach(it => it.open = true)");
                // Twice: as it is, and once it is old.
                for state in ["new", "old"] {
                    tab.run(&axe);
                    let found = tab.run("axe.run().then(it => it.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 120) + ' ' + n.failureSummary).join(' | ')))");
                    assert_eq!(found, serde_json::json!([]), "{features:?} {target} {width} {state}");
                    grow_old(&tab);
                }
            }
        }
    }
}
