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

/// Below those that the system gives to outgoing connections, so that none of these takes a port meanwhile.
const RANGE: std::ops::Range<u32> = 12_000..32_000;

/// A port that is free, and that no test of any process is given as long as this process lives.
///
/// # Panics
///
/// There is none.
#[must_use]
pub fn free() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static RESERVED: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());
    // Other processes of the tests begin elsewhere: steps of the golden section keep close neighbours far from each other.
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

/// The name of an abstract socket: one process can have it, until it ends, and no file is left behind.
fn reserve(port: u16) -> Option<UnixDatagram> {
    let name = UnixAddress::from_abstract_name(format!("health-tests/port/{port}")).ok()?;
    UnixDatagram::bind_addr(&name).ok()
}
/// The loopback address with this port.
#[must_use]
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Whether anyone listens there.
#[must_use]
pub fn accepts(port: u16) -> bool {
    answers(local(port))
}

/// Whether anyone listens at this address.
#[must_use]
pub fn answers(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
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
