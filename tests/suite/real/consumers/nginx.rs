//! nginx in front of two instances, with the file of `examples/deploy`: no request is lost, and the health paths are
//! not reachable from outside.

use health_tests::{http, nginx::Nginx, port, tools::deploy, wait};
use nix::sys::signal::Signal;

use crate::operations::rolling_restart::{Load, MANY, start};

#[test]
fn no_request_is_lost_behind_nginx_and_the_health_paths_stay_private() {
    assert!(deploy("nginx/nginx.conf").is_file());
    let addresses = [port::free(), port::free()].map(port::local);
    let mut instances = addresses.map(|address| start("axum", "1", address));
    let nginx = Nginx::before(addresses[0], addresses[1]);
    for path in ["/health", "/health/live", "/health/metrics", "/livez", "/readyz?verbose", "/startupz", "/healthz"] {
        assert_eq!(http::get(addresses[0], path, &[]).status, 200, "{path}");
        let answer = http::get(nginx.address, path, &[]);
        assert!(answer.status == 404 && answer.text().contains("nginx"), "{path}: {}", answer.text());
    }
    assert_eq!(http::get(nginx.address, "/", &[]).text(), "hello");
    // A path of the application that begins like a path of the endpoint.
    let own = http::get(nginx.address, "/healthy", &[]);
    assert!(own.status == 404 && !own.text().contains("nginx"), "{}", own.text());

    let load = Load::on(nginx.address.port(), MANY);
    for which in [0, 1, 0, 1] {
        let instance = &mut instances[which];
        instance.process.signal(Signal::SIGTERM);
        assert!(instance.process.ended().success());
        // nginx skips an instance that is down for a while.
        load.goes_on();
        *instance = start("axum", "1", addresses[which]);
        // nginx counts in whole seconds and keeps connections open: an open connection shows that it uses the instance
        // again.
        wait::until("nginx uses the instance again", || port::connections_to(addresses[which].port()) > 0);
    }
    // The last instance is killed without a drain. nginx retries its requests on the other one.
    let [killed, _left] = instances;
    drop(killed);
    load.goes_on();
    let (asked, failed) = load.stop();
    assert!(asked > MANY && failed == 0, "{failed} of {asked} requests failed");
    println!("nginx: {failed} of {asked} requests failed");
}
