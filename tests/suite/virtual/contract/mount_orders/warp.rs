//! Filters of warp in every order: joined by `or`, below a path, recovered and logged.

use std::convert::Infallible;

use health_core::Endpoint;
use health_warp::{WithHealth as _, routes};
use warp::{Filter, Rejection, Reply, filters::BoxedFilter, reply::Response};

use super::{Answer, Expected, PAGE, endpoint, hold, is_documented};

/// Returns the application, which has a single path.
fn app() -> impl Filter<Extract = (&'static str,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::path!("x").map(|| PAGE)
}

/// Returns a page for every path.
fn page() -> impl Filter<Extract = (&'static str,), Error = Infallible> + Clone + Send + Sync + 'static {
    warp::any().map(|| PAGE)
}

/// Answers every rejection with the page, as careless handlers do.
async fn recovered(_: Rejection) -> Result<&'static str, Infallible> {
    Ok(PAGE)
}

fn boxed<F, R>(filter: F) -> BoxedFilter<(Response,)>
where
    F: Filter<Extract = (R,), Error = Rejection> + Clone + Send + Sync + 'static,
    R: Reply + 'static,
{
    filter.map(Reply::into_response).boxed()
}

/// Turns a filter that cannot reject into one that can.
fn fallible<F, R>(filter: F) -> BoxedFilter<(Response,)>
where
    F: Filter<Extract = (R,), Error = Infallible> + Clone + Send + Sync + 'static,
    R: Reply + 'static,
{
    boxed(filter.map(Reply::into_response).and_then(async |response| Ok::<_, Rejection>(response)))
}

type Order = (&'static str, fn(Endpoint) -> BoxedFilter<(Response,)>, Expected);

const HERE: Expected = Expected::Endpoint("");
const BELOW: Expected = Expected::Endpoint("/internal");
const PAGE_HERE: Expected = Expected::ApplicationsPage("");

const ORDERS: [Order; 19] = [
    ("routes, or", |e| boxed(routes(e).or(app())), HERE),
    ("app, or routes", |e| boxed(app().or(routes(e))), HERE),
    ("routes, or every path", |e| fallible(routes(e).or(page())), HERE),
    ("routes, or, recover", |e| fallible(routes(e).or(app()).recover(recovered)), HERE),
    ("routes, or a recovered filter", |e| fallible(routes(e).or(app().recover(recovered))), HERE),
    ("routes, log", |e| boxed(routes(e).or(app()).with(warp::log("access"))), HERE),
    ("routes, or a logged filter", |e| boxed(routes(e).or(app().with(warp::log("access")))), HERE),
    ("routes, trace", |e| boxed(routes(e).or(app()).with(warp::trace::request())), HERE),
    ("path, routes", |e| boxed(warp::path("internal").and(routes(e)).or(app())), BELOW),
    ("path, routes, or every path", |e| fallible(warp::path("internal").and(routes(e)).or(page())), BELOW),
    (
        "path, path, routes",
        |e| boxed(warp::path("internal").and(warp::path("a")).and(routes(e))),
        Expected::Endpoint("/internal/a"),
    ),
    ("with_health", |e| boxed(app().with_health(e)), HERE),
    ("with_health around every path", |e| fallible(page().with_health(e)), HERE),
    ("recover, with_health", |e| fallible(app().recover(recovered).with_health(e)), HERE),
    ("with_health, recover", |e| fallible(app().with_health(e).recover(recovered)), HERE),
    ("with_health, log", |e| boxed(app().with_health(e).with(warp::log("access"))), HERE),
    ("log, with_health", |e| boxed(app().with(warp::log("access")).with_health(e)), HERE),
    ("with_health below a path", |e| boxed(warp::path("internal").and(app().with_health(e)).or(app())), BELOW),
    ("with_health, or", |e| fallible(app().with_health(e).or(page())), HERE),
];

/// The orders that the documentation of `routes` calls wrong.
const WRONG: [Order; 4] = [
    ("every path, or routes", |e| boxed(fallible(page()).or(routes(e))), PAGE_HERE),
    ("every segment, or routes", |e| boxed(warp::path!(String).map(|_| PAGE).or(routes(e))), PAGE_HERE),
    (
        "path::end behind the path",
        |e| fallible(warp::path("internal").and(warp::path::end()).and(routes(e)).or(page())),
        Expected::ApplicationsPage("/internal"),
    ),
    ("with_health behind every path", |e| boxed(fallible(page()).or(app().with_health(e))), PAGE_HERE),
];

#[tokio::test]
async fn every_order_is_answered_or_documented_as_wrong() {
    for (order, mount, expected) in ORDERS.iter().chain(&WRONG) {
        let (_frozen, endpoint) = endpoint();
        let filter = mount(endpoint.clone());
        let ask = async |target: String| {
            let response = warp::test::request().path(&target).reply(&filter).await;
            let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            Answer {
                status: response.status().as_u16(),
                kind: header("content-type"),
                caching: header("cache-control"),
                body: String::from_utf8(response.body().to_vec()).unwrap(),
            }
        };
        hold(order, &endpoint, *expected, ask).await;
    }
    let named = ["A filter that answers every path, or every segment, hides the filters that follow it"];
    is_documented("health-warp", &named);
}
