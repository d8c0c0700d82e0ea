//! Servers on threads of their own; that they are not green beside a blocked runtime is in `stale`.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    time::Instant,
};

use health_core::{Health, check_fn};
use health_tests::http;

use crate::support::secs;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_finishes_holds_up_no_end() {
    let health = Health::builder().check("x", check_fn(|| async { Ok(()) })).start().unwrap();
    assert!(health.ready().await);
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    for apart in [
        health_actix::serve_apart(health.clone(), listener()).unwrap(),
        health_axum::serve_apart(health.clone(), listener()).unwrap(),
        health_warp::serve_apart(health.clone(), listener()).unwrap(),
    ] {
        assert_eq!(http::get(apart.address(), "/readyz", &[]).text(), "ok");
        let mut slow = TcpStream::connect(apart.address()).unwrap();
        slow.write_all(b"GET /readyz HTTP/1.1\r\nhost: ").unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let (address, began) = (apart.address(), Instant::now());
        drop(apart);
        assert!(began.elapsed() < secs(3), "{:?}", began.elapsed());
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
}
