//! Services, scopes, guards and middlewares of actix-web in every order.

use actix_web::{
    App,
    body::to_bytes,
    guard,
    http::header,
    middleware::{Condition, Logger, NormalizePath, TrailingSlash},
    test, web,
};
use health_actix::{HealthMiddleware, routes};

use super::{Answer, Expected, PAGE, endpoint, hold, is_documented};

async fn page() -> &'static str {
    PAGE
}

const HERE: Expected = Expected::Endpoint("");
const BELOW: Expected = Expected::Endpoint("/internal");
const PAGE_HERE: Expected = Expected::ApplicationsPage("");

/// Asserts that orders have their expected results. This is a macro, because each application has its own type.
macro_rules! orders {
    ($($order:literal, |$endpoint:ident| $app:expr, $expected:expr;)+) => {
        $({
            let (_frozen, $endpoint) = endpoint();
            let kept = $endpoint.clone();
            let app = test::init_service($app).await;
            let ask = async |target: String| {
                let request = test::TestRequest::get().uri(&target).to_request();
                let (_, response) = test::call_service(&app, request).await.into_parts();
                let header = |name: header::HeaderName| {
                    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
                };
                let (kind, caching) = (header(header::CONTENT_TYPE), header(header::CACHE_CONTROL));
                let status = response.status().as_u16();
                let body = to_bytes(response.into_body()).await.ok().unwrap();
                Answer { status, kind, caching, body: String::from_utf8(body.to_vec()).unwrap() }
            };
            hold($order, &kept, $expected, ask).await;
        })+
    };
}

#[actix_web::test]
async fn every_order_of_services_is_answered_or_documented_as_wrong() {
    orders! {
        "service", |e| App::new().route("/x", web::get().to(page)).service(routes(e)), HERE;
        "service, default", |e| App::new().service(routes(e)).default_service(web::to(page)), HERE;
        "default, service", |e| App::new().default_service(web::to(page)).service(routes(e)), HERE;
        "service, service for every path",
            |e| App::new().service(routes(e)).service(web::resource("/{path:.*}").to(page)), HERE;
        "service, scope at the base path",
            |e| App::new().service(routes(e)).service(web::scope("/health").route("/x", web::get().to(page))), HERE;
        "service, scope of every path",
            |e| App::new().service(routes(e)).service(web::scope("").default_service(web::to(page))), HERE;
        "configure", |e| App::new().configure(|config| { config.service(routes(e)); }), HERE;
        "middlewares", |e| App::new().service(routes(e)).wrap(Logger::default()).wrap(NormalizePath::trim()), HERE;
        "a scope", |e| App::new().service(web::scope("/internal").service(routes(e))), BELOW;
        "a scope with a default",
            |e| App::new()
                .service(web::scope("/internal").default_service(web::to(page)).service(routes(e)))
                .default_service(web::to(page)), BELOW;
        "a scope in a scope",
            |e| App::new().service(web::scope("/internal").service(web::scope("/a").service(routes(e)))),
            Expected::Endpoint("/internal/a");
        "a scope with a variable", |e| App::new().service(web::scope("/{tenant}").service(routes(e))), BELOW;
        "a scope whose guard accepts the request",
            |e| App::new()
                .service(web::scope("/internal").guard(guard::Get()).service(routes(e)))
                .default_service(web::to(page)), BELOW;
        "a scope with a middleware",
            |e| App::new().service(web::scope("/internal").wrap(Logger::default()).service(routes(e))), BELOW;

        // The documentation of `routes` calls these orders wrong.
        "a service for every path before the endpoint",
            |e| App::new().service(web::resource("/{path:.*}").to(page)).service(routes(e)), PAGE_HERE;
        "a scope of every path before the endpoint",
            |e| App::new().service(web::scope("").default_service(web::to(page))).service(routes(e)), PAGE_HERE;
        "a scope at the base path before the endpoint",
            |e| App::new().service(web::scope("/health").route("/x", web::get().to(page))).service(routes(e)),
            Expected::Hidden("/health/ready");
        "a scope whose guard refuses the request",
            |e| App::new()
                .service(web::scope("/internal").guard(guard::Post()).service(routes(e)))
                .default_service(web::to(page)), Expected::ApplicationsPage("/internal");
        "a slash behind every path",
            |e| App::new()
                .service(routes(e))
                .default_service(web::to(page))
                .wrap(NormalizePath::new(TrailingSlash::Always)), PAGE_HERE;
    }
    let named = [
        "a service or scope that was registered before and matches the path",
        "a guard of a scope around the endpoint that refuses the request",
        "`TrailingSlash::Always`",
    ];
    is_documented("health-actix", &named);
}

#[actix_web::test]
async fn every_order_of_the_middleware_is_answered() {
    orders! {
        "wrap", |e| App::new().route("/x", web::get().to(page)).wrap(HealthMiddleware::new(e)), HERE;
        "wrap, default", |e| App::new().wrap(HealthMiddleware::new(e)).default_service(web::to(page)), HERE;
        "default, wrap", |e| App::new().default_service(web::to(page)).wrap(HealthMiddleware::new(e)), HERE;
        "wrap, service for every path",
            |e| App::new().wrap(HealthMiddleware::new(e)).service(web::resource("/{path:.*}").to(page)), HERE;
        "a scope at the base path",
            |e| App::new().service(web::scope("/health").default_service(web::to(page))).wrap(HealthMiddleware::new(e)),
            HERE;
        "outermost", |e| App::new().wrap(Logger::default()).wrap(HealthMiddleware::new(e)), HERE;
        "innermost", |e| App::new().wrap(HealthMiddleware::new(e)).wrap(Logger::default()), HERE;
        "a slash behind every path, inside",
            |e| App::new().wrap(NormalizePath::new(TrailingSlash::Always)).wrap(HealthMiddleware::new(e)), HERE;
        "trimmed, outside", |e| App::new().wrap(HealthMiddleware::new(e)).wrap(NormalizePath::trim()), HERE;
        "trimmed, inside", |e| App::new().wrap(NormalizePath::trim()).wrap(HealthMiddleware::new(e)), HERE;
        "on a condition", |e| App::new().wrap(Condition::new(true, HealthMiddleware::new(e))), HERE;
        "a scope", |e| App::new().service(web::scope("/internal").wrap(HealthMiddleware::new(e))), BELOW;
        "a scope with a default",
            |e| App::new().service(
                web::scope("/internal").wrap(HealthMiddleware::new(e)).default_service(web::to(page)),
            ), BELOW;
        "a scope in a scope",
            |e| App::new().service(
                web::scope("/internal").service(web::scope("/a").wrap(HealthMiddleware::new(e))),
            ), Expected::Endpoint("/internal/a");

        // The documentation of `HealthMiddleware` calls this order wrong.
        "a slash behind every path, outside",
            |e| App::new()
                .default_service(web::to(page))
                .wrap(HealthMiddleware::new(e))
                .wrap(NormalizePath::new(TrailingSlash::Always)), PAGE_HERE;
    }
}
