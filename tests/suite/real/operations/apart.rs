//! Servers on threads of their own: they end whatever their clients do, and are not green beside a blocked runtime.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
};

use health_core::{CheckExt as _, Health, check_fn};
use health_tests::{
    http,
    support::{Blocked, millis, secs},
    wait,
};

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
        // Its half of a request is read: another client's whole one is answered after it.
        assert_eq!(http::get(apart.address(), "/livez", &[]).text(), "ok");
        let address = apart.address();
        // Would last for ever, as the client does.
        drop(apart);
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
}

/// A runtime whose workers are all blocked: every server apart says so, and is green again with the runtime.
#[test]
fn a_blocked_runtime_is_red_on_every_server_apart_and_recovers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let health = runtime.block_on(async {
        let ok = check_fn(|| async { Ok(()) }).every(millis(200)).timeout(millis(100)).stale_after(secs(1));
        let health = Health::builder().check("database", ok.readiness()).start().unwrap();
        assert!(health.ready().await);
        health
    });
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let apart = [
        health_actix::serve_apart(health.clone(), listener()).unwrap(),
        health_axum::serve_apart(health.clone(), listener()).unwrap(),
        health_warp::serve_apart(health.clone(), listener()).unwrap(),
    ];
    let answers = |path: &str| -> Vec<String> {
        apart.iter().map(|apart| http::get(apart.address(), path, &[]).text()).collect()
    };
    let all = |answer: &str| vec![answer.to_owned(); apart.len()];
    wait::equals("before", &all("ok"), || answers("/readyz"));
    let blocked = Blocked::workers(runtime.handle(), 2);
    wait::equals("blocked", &all("[-]database failed: stale\n"), || answers("/readyz/database"));
    // Liveness has thirty seconds, which is shown on the virtual clock.
    drop(blocked);
    wait::equals("after", &all("ok"), || answers("/readyz"));
    drop((apart, health));
}
