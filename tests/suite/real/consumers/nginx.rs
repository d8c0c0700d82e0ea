//! nginx before two instances, with the file of `examples/deploy`: no request is lost, and nobody outside sees their health.

use health_tests::{http, nginx::Nginx, port, tools::deploy, wait};
use nix::sys::signal::Signal;

use crate::operations::rolling_restart::{Load, MANY, start};

#[test]
fn nothing_is_lost_behind_nginx_and_health_stays_inside() {
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
    // The application's own, though it begins like one of ours.
    let own = http::get(nginx.address, "/healthy", &[]);
    assert!(own.status == 404 && !own.text().contains("nginx"), "{}", own.text());

    let load = Load::on(nginx.address.port(), MANY);
    for which in [0, 1, 0, 1] {
        let instance = &mut instances[which];
        instance.process.signal(Signal::SIGTERM);
        assert!(instance.process.ended().success());
        // One that is gone for a while is passed over.
        load.goes_on();
        *instance = start("axum", "1", addresses[which]);
        // nginx counts whole seconds, and keeps its connections: it asks the instance again once it has one there.
        wait::until("nginx asks it again", || port::connections_to(addresses[which].port()) > 0);
    }
    // Nobody tells of the one that is killed: what it was asked for is asked of the other.
    let [killed, _left] = instances;
    drop(killed);
    load.goes_on();
    let (asked, failed) = load.stop();
    assert!(asked > MANY && failed == 0, "{failed} of {asked} requests failed");
    println!("nginx: {failed} of {asked} requests failed");
}
