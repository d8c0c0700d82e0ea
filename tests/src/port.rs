//! Free loopback ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

/// A port that was free a moment ago. Whoever takes it must be ready to try another.
#[must_use]
pub fn free() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
    listener.local_addr().expect("its number").port()
}

/// The loopback address with this port.
#[must_use]
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Whether anyone listens there.
#[must_use]
pub fn accepts(port: u16) -> bool {
    TcpStream::connect(local(port)).is_ok()
}

/// Connections of this machine's clients to a loopback port that are still held open on this side, in whatever state.
#[must_use]
pub fn connections_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table of connections");
    let remote = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter(|line| {
            let mut fields = line.split_whitespace().skip(2);
            let to = fields.next().is_some_and(|address| address.ends_with(&remote));
            // TIME_WAIT and LISTEN are nobody's connections.
            to && !matches!(fields.next(), Some("06" | "0A"))
        })
        .count()
}
