//! Free loopback ports.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddress, UnixDatagram},
    },
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// Below the ephemeral ports, so that no outgoing connection takes a port in the meantime.
const RANGE: std::ops::Range<u32> = 12_000..32_000;

/// Returns a free port. No test of any process gets the same port while this process lives.
///
/// # Panics
///
/// Panics if no port is free.
#[must_use]
pub fn free() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static RESERVED: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());
    // Other test processes start elsewhere: steps of the golden ratio keep neighbouring process ids far apart.
    let first = std::process::id().wrapping_mul(12_361);
    let (port, reservation) = (0..RANGE.len())
        .map(|_| first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)))
        .filter_map(|number| u16::try_from(RANGE.start + number % (RANGE.end - RANGE.start)).ok())
        .find_map(|port| {
            let reservation = reserve(port)?;
            TcpListener::bind(local(port)).ok().map(|_| (port, reservation))
        })
        .expect("a free loopback port");
    RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push(reservation);
    port
}

/// Reserves the name of an abstract socket. One process can hold it until it ends, and no file is left behind.
fn reserve(port: u16) -> Option<UnixDatagram> {
    let name = UnixAddress::from_abstract_name(format!("health-tests/port/{port}")).ok()?;
    UnixDatagram::bind_addr(&name).ok()
}

/// Returns the loopback address with this port.
#[must_use]
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Returns whether a server listens on this loopback port.
#[must_use]
pub fn accepts(port: u16) -> bool {
    answers(local(port))
}

/// Returns whether a server listens at this address.
#[must_use]
pub fn answers(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// Counts the connections of this machine's clients to a loopback port that are still open on the client side, in any
/// state.
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
            // TIME_WAIT has no owner, and LISTEN is no connection.
            to && !matches!(fields.next(), Some("06" | "0A"))
        })
        .count()
}
