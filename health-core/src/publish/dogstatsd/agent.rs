//! Sends datagrams to a Datadog Agent, over UDP or a Unix socket. No function blocks.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};
#[cfg(unix)]
use std::{
    os::unix::net::{SocketAddr as UnixAddress, UnixDatagram},
    path::Path,
};

use crate::publish::listens::{Listens, is_full};

/// A Datadog Agent, and whether it listens.
#[derive(Debug)]
pub(super) struct Agent {
    target: Target,
    listens: Listens,
}

#[derive(Debug)]
enum Target {
    Udp(Udp),
    /// A socket that is not connected, so that each datagram goes to the process that listens at that time.
    #[cfg(unix)]
    Unix(UnixDatagram, UnixAddress),
}

impl Agent {
    /// Creates an agent that sends to the first of these addresses on which a process listens.
    pub(super) fn udp(addresses: Vec<SocketAddr>) -> io::Result<Self> {
        Ok(Self::new(Target::Udp(Udp::new(addresses)?)))
    }

    /// Creates an agent that sends to the socket with this path or `unix://` URL.
    #[cfg(unix)]
    pub(super) fn unix(agent: &Path) -> io::Result<Self> {
        let path = match agent.to_str().and_then(|text| text.split_once("://")) {
            Some(("unix" | "unixgram", path)) if path.starts_with('/') => Path::new(path),
            Some(_) => {
                return Err(invalid("is no Unix datagram socket: use a path, or unix:// and an absolute path", agent));
            }
            None if agent.as_os_str().is_empty() => return Err(invalid("is empty: name the socket", agent)),
            None => agent,
        };
        let address = UnixAddress::from_pathname(path)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self::new(Target::Unix(socket, address)))
    }

    fn new(target: Target) -> Self {
        Self { target, listens: Listens::new("dogstatsd") }
    }

    /// Sends a datagram. A datagram that cannot be sent is lost.
    pub(super) fn send(&mut self, datagram: &str) {
        let sent = match &mut self.target {
            Target::Udp(udp) => udp.send(datagram.as_bytes()),
            #[cfg(unix)]
            Target::Unix(socket, address) => socket.send_to_addr(datagram.as_bytes(), address).map(drop),
        };
        self.listens.record(sent);
    }
}

#[cfg(unix)]
fn invalid(what: &str, agent: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the path of the agent {what} ({})", agent.display()))
}

/// The addresses of an agent, and a socket that is connected to one of them. The operating system reports only to a
/// connected socket that no process listens.
#[derive(Debug)]
struct Udp {
    addresses: Vec<SocketAddr>,
    current: usize,
    socket: UdpSocket,
    /// The number of datagrams in a row whose refusal was found only before the next datagram.
    refused_late: usize,
}

impl Udp {
    fn new(addresses: Vec<SocketAddr>) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name of the agent has no address");
        for (current, address) in addresses.iter().enumerate() {
            match connected(address) {
                Ok(socket) => return Ok(Self { addresses, current, socket, refused_late: 0 }),
                Err(error) => last = error,
            }
        }
        // The network may become available later, so an address that cannot be reached now is not an error.
        let socket = UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], 0)));
        match (addresses.is_empty(), socket) {
            (false, Ok(socket)) => Ok(Self { addresses, current: 0, socket, refused_late: 0 }),
            _ => Err(last),
        }
    }

    /// Sends a datagram to the current address, or otherwise to the first other address that takes it. Fails if no
    /// address takes it, or if the number of late refusals in a row has reached the number of addresses.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let late = refusal(&self.socket);
        self.refused_late = if late.is_err() { self.refused_late + 1 } else { 0 };
        let mut failed = match late.and_then(|()| sent(&self.socket, datagram)) {
            Err(error) if !is_full(&error) => error,
            sent => return sent,
        };
        // The current address comes last, over a new socket, because the old socket may be bound to a local address
        // that no longer exists.
        for step in 1..=self.addresses.len() {
            let next = (self.current + step) % self.addresses.len();
            let attempt = connected(&self.addresses[next]).and_then(|socket| sent(&socket, datagram).map(|()| socket));
            match attempt {
                Ok(socket) => {
                    (self.current, self.socket) = (next, socket);
                    return if self.refused_late < self.addresses.len() { Ok(()) } else { Err(failed) };
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

fn connected(address: &SocketAddr) -> io::Result<UdpSocket> {
    let local: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(local)?;
    socket.set_nonblocking(true)?;
    socket.connect(address)?;
    Ok(socket)
}

/// Sends a datagram, and returns an error if it was refused. A refusal on the same host is reported at once. A refusal
/// by another host arrives late, and is found before the next datagram.
fn sent(socket: &UdpSocket, datagram: &[u8]) -> io::Result<()> {
    socket.send(datagram)?;
    refusal(socket)
}

/// Returns an error if a datagram was refused since the last call.
fn refusal(socket: &UdpSocket) -> io::Result<()> {
    socket.take_error()?.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn received(socket: &UdpSocket) -> Option<String> {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    fn bound(address: impl Into<SocketAddr>) -> Option<UdpSocket> {
        let socket = UdpSocket::bind(address.into()).ok()?;
        socket.set_nonblocking(true).unwrap();
        Some(socket)
    }

    #[test]
    fn an_address_with_a_listener_is_found_also_after_the_listener_moves() {
        let first = bound((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let nobody = first.local_addr().unwrap();
        drop(first);
        let second = bound((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addresses = vec![nobody, second.local_addr().unwrap()];
        let mut agent = Agent::udp(addresses.clone()).unwrap();
        for text in ["1", "2"] {
            agent.send(text);
            assert_eq!(received(&second).as_deref(), Some(text));
        }
        assert!(!agent.listens.fails());
        drop(second);
        agent.send("3");
        assert!(agent.listens.fails(), "no process listens, and the agent counts as listening");
        let first = bound(nobody).unwrap();
        agent.send("4");
        assert_eq!(received(&first).as_deref(), Some("4"));
        assert!(!agent.listens.fails());
        assert_eq!(received(&first), None);
    }

    #[test]
    fn localhost_is_reached_over_ipv4_if_nothing_listens_over_ipv6() {
        let v4 = bound((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = v4.local_addr().unwrap().port();
        let mut agent =
            Agent::udp(vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()]).unwrap();
        agent.send("here");
        assert_eq!(received(&v4).as_deref(), Some("here"));
    }

    #[cfg(unix)]
    #[test]
    fn a_unix_url_is_accepted_as_its_path_and_other_urls_are_refused() {
        for (agent, complaint) in [
            ("/run/dsd.socket", None),
            ("unix:///run/dsd.socket", None),
            ("unixgram:///run/dsd.socket", None),
            ("dsd.socket", None),
            ("unix://dsd.socket", Some("use a path")),
            ("unixstream:///run/dsd.socket", Some("use a path")),
            ("udp://127.0.0.1:8125", Some("use a path")),
            ("", Some("name the socket")),
            (&"x".repeat(200), Some("path must be shorter")),
        ] {
            let error = Agent::unix(Path::new(agent)).err().map(|error| error.to_string());
            match (error, complaint) {
                (Some(error), Some(complaint)) => assert!(error.contains(complaint), "{agent}: {error}"),
                (error, complaint) => assert_eq!(error.as_deref(), complaint, "{agent}"),
            }
        }
    }
}
