//! What a reader sees on the page, and in which order.

use health_tests::{
    browser::{Browser, Tab},
    mount::Framework,
    sample_service::{State, frozen},
    tools,
};

use super::{FRAMEWORKS, bottom, grow_old, serve, url};

/// The vertical positions of the first elements, in the order of the document.
const ORDER: &str = "[...document.querySelectorAll('.who,h1,.since,.cause,.probes,h2,footer')]\
     .map(it => it.getBoundingClientRect().top)";

#[test]
fn the_verdict_and_its_cause_come_first_on_every_server() {
    let browser = Browser::start();
    let frozen = frozen(State::Failing);
    for framework in FRAMEWORKS {
        let server = serve(framework, &frozen);
        for (width, height) in [(360, 640), (1280, 800)] {
            let tab = browser.tab(width, height);
            tab.open(&url(&server, "/health"));
            assert_eq!(tab.text("document.title"), "✖ Unhealthy: database – orders", "{server:?}");
            assert_eq!(tab.text("document.querySelector('h1').innerText.trim()"), "Unhealthy");
            assert_eq!(
                tab.text("document.querySelector('.cause dd').innerText").replace('\u{a0}', " "),
                "database: unreachable; unhealthy since 08:05:28 UTC, last run 0.8 s ago\n\n\
                 connection refused (the server at 10.0.0.12 is gone)"
            );
            let tops: Vec<f64> = serde_json::from_value(tab.run(ORDER)).unwrap();
            assert!(tops.len() > 7 && tops.is_sorted(), "{server:?}: {tops:?}");
            for seen in ["h1", ".since", ".cause"] {
                assert!(
                    bottom(&tab, seen) <= 600.0,
                    "{server:?} {width}x{height}: {seen} is at {}",
                    bottom(&tab, seen)
                );
            }
            assert!(
                tab.run("!document.querySelector('details').open").as_bool().unwrap(),
                "the healthy checks are folded"
            );
            assert_eq!(tab.errors(), Vec::<String>::new(), "{server:?}");
        }
    }
}

#[test]
fn no_page_scrolls_sideways_between_320_and_3840_pixels() {
    let browser = Browser::start();
    let frozen = frozen(State::Failing);
    for framework in FRAMEWORKS {
        let server = serve(framework, &frozen);
        let tab = browser.tab(1280, 800);
        for target in ["/health", "/health/checks/database", "/health/checks/jobs", "/health/ready"] {
            tab.open(&url(&server, target));
            tab.run("document.querySelectorAll('details').forEach(it => it.open = true)");
            // 640 pixels are 1280 pixels at a zoom of 200 %.
            for width in [320, 640, 960, 961, 1280, 3840] {
                tab.resize(width, 900);
                let beyond = tab.run("document.documentElement.scrollWidth - document.documentElement.clientWidth");
                assert_eq!(beyond, 0, "{server:?}: {target} at {width} pixels");
            }
        }
    }
}

#[test]
fn without_its_style_sheet_the_page_keeps_its_order_and_hides_the_notice_of_age() {
    let browser = Browser::start();
    let frozen = frozen(State::Failing);
    let tab = browser.tab(1280, 800);
    tab.call(
        "Page.addScriptToEvaluateOnNewDocument",
        serde_json::json!({
            "source": "new MutationObserver(() => document.querySelectorAll('style').forEach(it => it.remove()))\
                .observe(document, {childList: true, subtree: true})"
        }),
    );
    for framework in FRAMEWORKS {
        let server = serve(framework, &frozen);
        tab.open(&url(&server, "/health"));
        assert_eq!(tab.run("document.styleSheets.length"), 0, "{server:?}");
        let tops: Vec<f64> = serde_json::from_value(tab.run(ORDER)).unwrap();
        assert!(tops.is_sorted(), "{server:?}: {tops:?}");
        let text = tab.text("document.body.innerText");
        assert!(text.contains("Unhealthy") && !text.contains("is old"), "{server:?}: {text}");
    }
}

/// Takes the screenshots of README and guide. Stores them in the repository if `HEALTH_WRITE_PICTURES` is set.
#[test]
fn the_screenshots_of_the_guide_can_be_taken() {
    let browser = Browser::start();
    let scratch = tempfile::tempdir().unwrap();
    let committed = tools::repository().join("docs/src/status-page");
    let folder = if std::env::var_os("HEALTH_WRITE_PICTURES").is_some() { committed.as_path() } else { scratch.path() };
    let take = |tab: &Tab, name: &str| {
        let file = folder.join(format!("{name}.png"));
        tab.write_picture(&file);
        let picture = std::fs::read(&file).unwrap();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{name}: {} bytes", picture.len());
        assert!(
            committed.join(format!("{name}.png")).exists(),
            "{name}.png is missing in docs/src/status-page: run this test with HEALTH_WRITE_PICTURES=1"
        );
    };
    let healthy = frozen(State::Healthy);
    let failing = frozen(State::Failing);
    let (well, ill) = (serve(Framework::Axum, &healthy), serve(Framework::Actix, &failing));
    let tab = browser.tab(1280, 900);
    tab.open(&url(&well, "/health"));
    take(&tab, "healthy");
    tab.open(&url(&ill, "/health"));
    take(&tab, "failing");
    tab.prefer(&[("prefers-color-scheme", "dark")]);
    take(&tab, "dark");
    tab.prefer(&[]);
    tab.open(&url(&ill, "/health/checks/jobs"));
    take(&tab, "check");
    tab.resize(360, 800);
    tab.open(&url(&ill, "/health"));
    take(&tab, "mobile");
    // The page after the time at which its animation declares it old.
    tab.resize(1280, 900);
    grow_old(&tab);
    take(&tab, "old");
}
