//! A name server that the test starts, and a thread whose resolver uses it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use tempfile::TempDir;

use crate::{
    daemon::{Daemon, daemon_server},
    port, tools,
};

/// The name that the server resolves, to two addresses.
pub const NAME: &str = "orders.test";

/// A running or stopped server.
#[derive(Debug)]
pub struct Server {
    address: Ipv4Addr,
    port: u16,
    daemon: Daemon,
}

impl Server {
    /// Starts a server.
    ///
    /// # Panics
    ///
    /// Panics if dnsmasq is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::at(port::local(port::free()))
    }

    /// Starts a server at this address.
    ///
    /// # Panics
    ///
    /// Panics if dnsmasq is not installed or does not start.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        tools::needs("dnsmasq");
        let SocketAddr::V4(address) = address else { panic!("{address} is not an IPv4 address") };
        let mut server = Self { address: *address.ip(), port: address.port(), daemon: Daemon::default() };
        server.start_again();
        server
    }

    fn start_again(&mut self) {
        let mut command = Command::new("dnsmasq");
        command
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--no-resolv", "--no-hosts"])
            .args(["--bind-interfaces", "--except-interface=lo", "--local=/test/", "--user=root"])
            .arg(format!("--listen-address={}", self.address))
            .arg(format!("--port={}", self.port))
            .arg(format!("--host-record={NAME},10.0.0.1"))
            .arg(format!("--host-record={NAME},10.0.0.2"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.daemon.start(command, || port::answers((self.address, self.port).into()));
    }

    /// A name server has no password.
    fn set_password(&self, _: &str) {}
}

daemon_server!(Server);

/// Returns the address of a name server for resolvers. Resolvers always use port 53, so each test of each process needs
/// an address of its own.
#[must_use]
pub fn address(test: u8) -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, test, high, low), 53))
}

/// Makes the resolver of this thread, and of every thread that it starts, use this address and these options of
/// `resolv.conf`. No other thread is affected.
///
/// # Panics
///
/// Panics without the rights of root.
pub fn ask(address: SocketAddr, options: &str) {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("resolv.conf");
    fs::write(&file, format!("nameserver {}\noptions {options}\n", address.ip())).expect("a file");
    unshare(CloneFlags::CLONE_NEWNS).expect("the rights of root");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).expect("private mounts for this thread");
    mount(Some(&file), "/etc/resolv.conf", none, MsFlags::MS_BIND, none).expect("a bind mount over /etc/resolv.conf");
}
