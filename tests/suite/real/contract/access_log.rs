//! Probes stay out of access logs and traces when an application follows the documentation of its adapter. Each test
//! uses the usual logger of the framework.

use std::{
    net::SocketAddr,
    sync::{Mutex, Once},
    thread,
};

use actix_web::{App, HttpServer, middleware::Logger, web};
use axum::{Router, routing::get};
use health_actix::HealthMiddleware;
use health_core::{CheckExt as _, Endpoint, Health, check_fn, testing::Frozen};
use health_tests::{http, support::Lines};
use health_warp::WithHealth as _;
use tower_http::trace::TraceLayer;
use warp::Filter as _;

/// Collects the lines of the `log` facade with their targets.
struct Facade;

static LOGGED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

impl log::Log for Facade {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("access-")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            LOGGED.lock().unwrap().push((record.target().to_owned(), record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

fn logged(target: &str) -> Vec<String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Facade).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
    let all = LOGGED.lock().unwrap();
    all.iter().filter(|(of, _)| of == target).map(|(_, line)| line.clone()).collect()
}

fn health() -> Health {
    Frozen::new(
        Health::builder().check("x", check_fn(|| async { Ok(()) }).local().liveness().startup().readiness().tag("t")),
    )
    .unwrap()
    .health()
}

/// Requests every path of the endpoint and two similar paths of the application. Returns the paths that an access log
/// must contain.
fn ask_everything(address: SocketAddr, endpoint: &Endpoint) -> Vec<String> {
    for pattern in endpoint.patterns() {
        let name = if pattern.contains("/tags/") { "t" } else { "x" };
        assert_ne!(http::get(address, &pattern.replace("{name}", name), &[]).status, 404, "{pattern}");
    }
    let own = ["/hello", "/health/x/y"];
    own.iter().for_each(|path| drop(http::get(address, path, &[])));
    own.map(ToOwned::to_owned).into()
}

/// Asserts that the log has one line for each path, in the same order, and no other line.
fn has_only(lines: &[String], expected: &[String], place: &str) {
    let mut found = lines.iter();
    for path in expected {
        let line = found.next().unwrap_or_else(|| panic!("{place}: no line for {path} in {lines:#?}"));
        assert!(line.contains(&format!("{path} ")), "{place}: no {path} in {line}");
    }
    assert_eq!(found.next(), None, "{place}");
}

#[test]
fn probes_stay_out_of_the_log_of_actix_web() {
    for (form, base) in [("routes", "/health"), ("based", "/internal/health.v1"), ("middleware", "/health")] {
        let target = format!("access-actix-{form}");
        logged(&target);
        let endpoint = Endpoint::new(health()).base_path(base);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (handle, handed) = std::sync::mpsc::channel();
        let (own, log_target) = (endpoint.clone(), target.clone());
        let server = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let hello = || web::get().to(|| async { "hello" });
                let server = if form == "middleware" {
                    HttpServer::new(move || {
                        let logger = Logger::default().log_target(log_target.clone());
                        App::new().route("/hello", hello()).wrap(logger).wrap(HealthMiddleware::new(own.clone()))
                    })
                    .workers(1)
                    .disable_signals()
                    .listen(listener)
                    .unwrap()
                    .run()
                } else {
                    HttpServer::new(move || {
                        let logger = Logger::default().log_target(log_target.clone());
                        let logger = logger.exclude_regex(format!("^{}$", own.path_regex()));
                        App::new().wrap(logger).route("/hello", hello()).service(health_actix::routes(own.clone()))
                    })
                    .workers(1)
                    .disable_signals()
                    .listen(listener)
                    .unwrap()
                    .run()
                };
                handle.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        let handle = handed.recv().unwrap();
        let expected = ask_everything(address, &endpoint);
        actix_web::rt::System::new().block_on(handle.stop(true));
        server.join().unwrap();
        has_only(&logged(&target), &expected, &target);
    }
}

#[test]
fn probes_stay_out_of_the_log_of_axum() {
    for form in ["routes", "layer"] {
        let lines = Lines::default();
        let logging = lines.logging();
        let endpoint = Endpoint::new(health());
        let app = Router::new().route("/hello", get(|| async { "hello" })).fallback(|| async { "other" });
        let app = app.layer(TraceLayer::new_for_http());
        let app: Router = match form {
            "routes" => app.merge(health_axum::routes(endpoint.clone())),
            _ => app.layer(health_axum::HealthLayer::new(endpoint.clone())),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&logging)))
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, app).await });
        let expected = ask_everything(address, &endpoint);
        drop(runtime);
        let text = lines.text();
        let started = text.lines().filter(|line| line.contains("started processing request"));
        has_only(&started.map(ToOwned::to_owned).collect::<Vec<_>>(), &expected, form);
        assert!(!text.contains("uri=/livez"), "{text}");
    }
}

#[test]
fn probes_stay_out_of_the_log_of_warp() {
    for form in ["routes", "inside"] {
        let target: &'static str = if form == "routes" { "access-warp-routes" } else { "access-warp-inside" };
        logged(target);
        let endpoint = Endpoint::new(health());
        let own = endpoint.clone();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let hello = warp::path!("hello").map(|| "hello").or(warp::any().map(|| "other"));
                let app = hello.with(warp::log(target));
                if form == "routes" {
                    let serves = warp::serve(health_warp::routes(own).or(app)).incoming(listener);
                    serves.graceful(async { drop(stopped.await) }).run().await;
                } else {
                    let serves = warp::serve(app.with_health(own)).incoming(listener);
                    serves.graceful(async { drop(stopped.await) }).run().await;
                }
            });
        });
        let expected = ask_everything(address, &endpoint);
        stop.send(()).unwrap();
        server.join().unwrap();
        has_only(&logged(target), &expected, target);
    }
}

/// The regular expression matches the paths of the endpoint and nothing else.
#[test]
fn path_regex_lists_the_paths_of_the_endpoint() {
    let endpoint = Endpoint::new(health()).base_path("/a.b/health").kubernetes_paths(false);
    let expected = "(?:/a\\.b/health|/a\\.b/health/live|/a\\.b/health/ready|/a\\.b/health/startup|/a\\.b/health/metrics\
                    |/a\\.b/health/tags/[^/]+|/a\\.b/health/checks/[^/]+)";
    assert_eq!(endpoint.path_regex(), expected);
}
