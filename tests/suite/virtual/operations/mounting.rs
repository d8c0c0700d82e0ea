//! An endpoint with a refused option fails where it is mounted.

use std::{
    net::TcpListener,
    panic::{AssertUnwindSafe, catch_unwind},
};

use health_core::{Endpoint, Health, check_fn, testing::Frozen};
use health_warp::WithHealth as _;
use warp::Filter as _;

fn health() -> Health {
    Frozen::new(Health::builder().check("x", check_fn(|| async { Ok(()) }))).unwrap().health()
}

/// The text of the panic with which it ends.
fn panic_of<T>(mount: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| drop(mount()))).unwrap_err();
    payload.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_refused_option_fails_where_it_is_mounted() {
    let sentence = "degraded_code(204) is not usable: use 429, or 200 to 299 except 204 and 205";
    let bad = || Endpoint::new(health()).degraded_code(204).base_path("nowhere");
    assert_eq!(panic_of(|| health_actix::routes(bad())), sentence);
    assert_eq!(panic_of(|| health_actix::HealthMiddleware::new(bad())), sentence);
    assert_eq!(panic_of(|| health_axum::routes(bad())), sentence);
    assert_eq!(panic_of(|| health_axum::HealthLayer::new(bad())), sentence);
    assert_eq!(panic_of(|| health_warp::routes(bad())), sentence);
    assert_eq!(panic_of(|| warp::path::end().map(|| "hello").with_health(bad())), sentence);
    assert_eq!(panic_of(|| health_hyper::HealthService::new(bad())), sentence);
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    for error in [
        health_actix::serve_dedicated(bad(), listener()).unwrap_err(),
        health_axum::serve_dedicated(bad(), listener()).unwrap_err(),
        health_warp::serve_dedicated(bad(), listener()).unwrap_err(),
        health_hyper::serve_dedicated(bad(), listener()).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), sentence);
    }
    // With an error in place of the panic, and without a fault.
    assert_eq!(bad().validated().unwrap_err().to_string(), sentence);
    let _ = health_axum::routes(Endpoint::new(health()).degraded_code(207));
}

/// The panic names the line of the application.
#[test]
fn the_panic_names_the_place_of_the_mount() {
    let (sent, received) = std::sync::mpsc::channel();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let _ = sent.send(info.location().map(|place| (place.file().to_owned(), place.line())));
    }));
    let line = line!() + 1;
    let mount = || health_axum::routes(Endpoint::new(health()).unhealthy_code(200));
    let text = panic_of(mount);
    std::panic::set_hook(before);
    assert!(text.starts_with("unhealthy_code(200)"), "{text}");
    let (file, found) = received.recv().unwrap().unwrap();
    assert!(file.ends_with("mounting.rs"), "{file}");
    assert_eq!(found, line);
}
