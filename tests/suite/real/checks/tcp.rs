//! The `Tcp` check beyond the table of faults.

use std::net::TcpListener;

use health_core::{Reason, Status, Tcp};
use health_tests::{
    port,
    support::{checked, invalid, shown, verdict},
};

#[tokio::test]
async fn host_names_and_ip_addresses_are_reached() {
    let listener = TcpListener::bind(port::local(0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    for address in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        assert_eq!(shown(&checked(Tcp::new(address)).await).status(), Status::Healthy);
    }
    let health = checked(Tcp::new("no-such-name.invalid:1")).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Unreachable)));
    drop(listener);
}

#[test]
fn an_invalid_address_is_refused() {
    for address in ["", "mail", "mail:", ":25", "mail:0", "mail:x", "mail:70000"] {
        assert!(invalid(Tcp::new(address)).contains("a host and a port"), "{address}");
    }
}
