//! A Memcached server that the test starts.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    daemon::{Daemon, daemon_server},
    port, tools,
};

/// The password of the user `app`.
pub const PASSWORD: &str = "correct-horse-4C";

/// A running or stopped server.
#[derive(Debug)]
pub struct Server {
    port: u16,
    daemon: Daemon,
    arguments: Vec<String>,
    /// The last field, so that the directory is removed after the server has ended.
    directory: TempDir,
}

impl Server {
    /// Starts a server with the user `app`.
    ///
    /// # Panics
    ///
    /// Panics if Memcached is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let mut server = Self::stopped();
        server.write_password(PASSWORD);
        server.arguments = vec!["-Y".to_owned(), server.passwords().display().to_string()];
        server.start_again();
        server
    }

    /// Starts a server without authentication, with these command-line arguments.
    ///
    /// # Panics
    ///
    /// Panics if Memcached is not installed or does not start.
    #[must_use]
    pub fn start_open(arguments: &[&str]) -> Self {
        let mut server = Self::stopped();
        server.arguments = arguments.iter().map(ToString::to_string).collect();
        server.start_again();
        server
    }

    fn stopped() -> Self {
        tools::needs("memcached");
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { port: port::free(), daemon: Daemon::default(), arguments: Vec::new(), directory }
    }

    fn passwords(&self) -> PathBuf {
        self.directory.path().join("passwords")
    }

    fn write_password(&self, password: &str) {
        fs::write(self.passwords(), format!("app:{password}\n")).expect("a file");
    }

    fn set_password(&self, password: &str) {
        self.write_password(password);
        self.daemon.signal(Signal::SIGHUP);
    }

    fn start_again(&mut self) {
        let mut command = Command::new("memcached");
        // Memcached refuses to run as root without `-u`. It ignores `-u` for other users.
        command.args(["-l", "127.0.0.1", "-p", &self.port.to_string(), "-U", "0", "-u", "root", "-t", "1", "-m", "16"]);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemon.start(command, || port::accepts(self.port));
    }
}

daemon_server!(Server);
