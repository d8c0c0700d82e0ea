//! A NATS server that the test starts.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use async_nats::{Client, ConnectOptions};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    daemon::{Daemon, daemon_server},
    port, tools,
};

/// The password of the user `app`.
pub const PASSWORD: &str = "correct-horse-3N";

/// A running or stopped server.
#[derive(Debug)]
pub struct Server {
    port: u16,
    daemon: Daemon,
    rights: String,
    /// The last field, so that the directory is removed after the server has ended.
    directory: TempDir,
}

impl Server {
    /// Starts a server with the user `app`.
    ///
    /// # Panics
    ///
    /// Panics if NATS is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(PASSWORD)
    }

    /// Starts a server with the user `app` and this password.
    ///
    /// # Panics
    ///
    /// Panics if NATS is not installed or does not start.
    #[must_use]
    pub fn start_with(password: &str) -> Self {
        Self::start_as(password, "")
    }

    /// Starts a server with the user `app`, who has only these permissions.
    ///
    /// # Panics
    ///
    /// Panics if NATS is not installed or does not start.
    #[must_use]
    pub fn start_restricted(permissions: &str) -> Self {
        Self::start_as(PASSWORD, &format!(", permissions: {{ {permissions} }}"))
    }

    fn start_as(password: &str, rights: &str) -> Self {
        tools::needs("nats-server");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let rights = rights.to_owned();
        let mut server = Self { port: port::free(), daemon: Daemon::default(), rights, directory };
        server.configure(password);
        server.start_again();
        server
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("server.conf")
    }

    fn configure(&self, password: &str) {
        let Self { port, rights, .. } = self;
        let user = format!("{{ user: app, password: \"{password}\"{rights} }}");
        let text = format!("listen: \"127.0.0.1:{port}\"\nauthorization {{ users: [ {user} ] }}\n");
        fs::write(self.file(), text).expect("a file");
    }

    fn set_password(&self, password: &str) {
        self.configure(password);
        self.daemon.signal(Signal::SIGHUP);
    }

    fn start_again(&mut self) {
        let mut command = Command::new("nats-server");
        command.arg("--config").arg(self.file());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemon.start(command, || port::accepts(self.port));
    }
}

daemon_server!(Server);

/// Returns a client that retries every 200 ms until it is connected, also for its first connection.
///
/// # Panics
///
/// Panics if the address is not valid.
pub async fn client(port: u16, password: &str) -> Client {
    ConnectOptions::with_user_and_password("app".to_owned(), password.to_owned())
        .retry_on_initial_connect()
        .reconnect_delay_callback(|_| Duration::from_millis(200))
        .connect(format!("127.0.0.1:{port}"))
        .await
        .expect("a valid address")
}
