//! An endpoint with an invalid option panics where it is mounted.

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

/// Returns the text of the panic of a mount.
fn panic_of<T>(mount: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| drop(mount()))).unwrap_err();
    payload.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn an_invalid_option_panics_where_the_endpoint_is_mounted() {
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
    // `validated` returns the error without a panic, and a valid option does not panic.
    assert_eq!(bad().validated().unwrap_err().to_string(), sentence);
    let _ = health_axum::routes(Endpoint::new(health()).degraded_code(207));
}

#[test]
fn the_panic_names_the_line_of_the_application() {
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
