//! An endpoint served by each framework, in each form, on a real socket.

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    thread,
};

use health_core::Endpoint;
use tokio::sync::oneshot;

/// A framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framework {
    /// actix-web.
    Actix,
    /// axum.
    Axum,
    /// warp.
    Warp,
    /// No framework: hyper alone, which serves only the endpoint, so its only form is [`Form::Routes`].
    Hyper,
}

impl Framework {
    /// Every framework, and the server without one.
    pub const ALL: [Self; 4] = [Self::Actix, Self::Axum, Self::Warp, Self::Hyper];

    /// Returns the form in which the endpoint sees requests before the application.
    #[must_use]
    pub fn outermost(self) -> Form {
        if self == Self::Hyper { Form::Routes } else { Form::Middleware }
    }
}

/// A way to mount the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `routes(..)` beside the application.
    Routes,
    /// The middleware around the application.
    Middleware,
    /// `routes(..)` below the prefix `/internal`.
    Nested,
    /// The middleware around the part of the application below the prefix `/internal`.
    NestedMiddleware,
}

impl Form {
    /// Returns the prefix of the endpoint's paths.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Routes | Self::Middleware => "",
            Self::Nested | Self::NestedMiddleware => "/internal",
        }
    }
}

/// Every framework in every form, and the server without a framework in its only form.
pub const EVERY: [(Framework, Form); 13] = {
    use Form::{Middleware, Nested, NestedMiddleware, Routes};
    use Framework::{Actix, Axum, Hyper, Warp};
    [
        (Actix, Routes),
        (Actix, Middleware),
        (Actix, Nested),
        (Actix, NestedMiddleware),
        (Axum, Routes),
        (Axum, Middleware),
        (Axum, Nested),
        (Axum, NestedMiddleware),
        (Warp, Routes),
        (Warp, Middleware),
        (Warp, Nested),
        (Warp, NestedMiddleware),
        (Hyper, Routes),
    ]
};

/// The status with which the application answers every path of its own.
pub const APPLICATION: u16 = 418;

/// A served endpoint. It ends when it is dropped.
pub struct Server {
    /// The framework and the form.
    pub name: String,
    /// The prefix of the endpoint's paths.
    pub prefix: &'static str,
    /// The status of every path that is not the endpoint's: [`APPLICATION`], or 404 without an application.
    pub elsewhere: u16,
    /// The address on which the server listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.name, self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves an endpoint on a thread of its own.
///
/// # Panics
///
/// Panics if the framework does not have this form.
#[must_use]
pub fn serve(framework: Framework, form: Form, endpoint: Endpoint) -> Server {
    assert!(EVERY.contains(&(framework, form)), "{framework:?} has no form {form:?}");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.set_nonblocking(true).expect("a nonblocking listener");
    let address = listener.local_addr().expect("the listener's address");
    let (stop, stopped) = oneshot::channel();
    let thread = thread::spawn(move || match framework {
        Framework::Actix => actix_web::rt::System::new().block_on(actix(listener, form, endpoint, stopped)),
        Framework::Axum => on_tokio(axum(listener, form, endpoint, stopped)),
        Framework::Warp => on_tokio(warp(listener, form, endpoint, stopped)),
        Framework::Hyper => on_tokio(hyper(listener, endpoint, stopped)),
    });
    Server {
        name: format!("{framework:?} {form:?}"),
        prefix: form.prefix(),
        elsewhere: if framework == Framework::Hyper { 404 } else { APPLICATION },
        address,
        stop: Some(stop),
        thread: Some(thread),
    }
}

fn on_tokio(server: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(server);
}

async fn axum(listener: TcpListener, form: Form, endpoint: Endpoint, stopped: oneshot::Receiver<()>) {
    use axum::{Router, http::StatusCode};
    let application = StatusCode::from_u16(APPLICATION).expect("a status");
    let app = Router::new();
    let fallback = move || async move { (application, "application") };
    let app = match form {
        Form::Routes => app.merge(health_axum::routes(endpoint)).fallback(fallback),
        Form::Middleware => app.fallback(fallback).layer(health_axum::HealthLayer::new(endpoint)),
        Form::Nested => app.nest(form.prefix(), health_axum::routes(endpoint).into()).fallback(fallback),
        Form::NestedMiddleware => {
            let inner = Router::new().fallback(fallback).layer(health_axum::HealthLayer::new(endpoint));
            app.nest(form.prefix(), inner).fallback(fallback)
        }
    };
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let until = async move {
        let _ = stopped.await;
    };
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(until).await.expect("a server");
}

async fn warp(listener: TcpListener, form: Form, endpoint: Endpoint, stopped: oneshot::Receiver<()>) {
    use health_warp::WithHealth as _;
    use warp::{Filter as _, Reply as _};
    let application = warp::http::StatusCode::from_u16(APPLICATION).expect("a status");
    let reply = move || warp::reply::with_status("application", application).into_response();
    // An application that never rejects, and one that can reject.
    let app = warp::any().map(reply);
    let rejecting = app.and_then(|reply| async move { Ok::<_, warp::Rejection>(reply) });
    let app = match form {
        Form::Routes => health_warp::routes(endpoint).or(rejecting).unify().boxed(),
        Form::Middleware => rejecting.with_health(endpoint).boxed(),
        Form::Nested => {
            let nested = warp::path("internal").and(health_warp::routes(endpoint));
            nested.or(rejecting).unify().boxed()
        }
        Form::NestedMiddleware => warp::path("internal").and(app.with_health(endpoint)).or(rejecting).unify().boxed(),
    };
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let until = async move {
        let _ = stopped.await;
    };
    warp::serve(app).incoming(listener).graceful(until).run().await;
}

async fn hyper(listener: TcpListener, endpoint: Endpoint, stopped: oneshot::Receiver<()>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let until = async move {
        let _ = stopped.await;
    };
    health_hyper::serve(endpoint, listener).until(until).await;
}

async fn actix(listener: TcpListener, form: Form, endpoint: Endpoint, stopped: oneshot::Receiver<()>) {
    use actix_web::{App, HttpResponse, HttpServer, http::StatusCode, middleware::Condition, web};
    let server = HttpServer::new(move || {
        let application = || {
            web::to(|| async {
                HttpResponse::build(StatusCode::from_u16(APPLICATION).expect("a status")).body("application")
            })
        };
        let middleware = |wanted| Condition::new(form == wanted, health_actix::HealthMiddleware::new(endpoint.clone()));
        let mut scope = web::scope("/internal");
        if form == Form::Nested {
            scope = scope.service(health_actix::routes(endpoint.clone()));
        }
        let mut app = App::new();
        if form == Form::Routes {
            app = app.service(health_actix::routes(endpoint.clone()));
        }
        app.service(scope.default_service(application()).wrap(middleware(Form::NestedMiddleware)))
            .default_service(application())
            .wrap(middleware(Form::Middleware))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .listen_auto_h2c(listener)
    .expect("a listener")
    .run();
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        let _ = stopped.await;
        handle.stop(false).await;
    });
    server.await.expect("a server");
}
