//! A mail server that the test starts: aiosmtpd, run by the script `smtp_server.py`.

use std::{fs, process::Stdio};

use lettre::{AsyncSmtpTransport, Tokio1Executor, transport::smtp::authentication::Credentials};
use tempfile::TempDir;

use crate::{
    daemon::{Daemon, daemon_server},
    port, tools,
};

/// The password of the user `app`.
pub const PASSWORD: &str = "correct-horse-2L";

/// One line of a reply without end. Its length is the maximum that lettre reads.
pub const ENDLESS_REPLY: &[u8] = &endless_reply();

const fn endless_reply() -> [u8; 900] {
    let mut line = [b'x'; 900];
    line[0] = b'2';
    line[1] = b'5';
    line[2] = b'0';
    line[3] = b'-';
    line[898] = b'\r';
    line[899] = b'\n';
    line
}

/// A running or stopped server.
#[derive(Debug)]
pub struct Server {
    port: u16,
    daemon: Daemon,
    /// The last field, so that the directory is removed after the server has ended.
    directory: TempDir,
}

impl Server {
    /// Starts a server with the user `app`.
    ///
    /// # Panics
    ///
    /// Panics if aiosmtpd is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut server = Self { port: port::free(), daemon: Daemon::default(), directory };
        server.set_password(PASSWORD);
        server.set_limit(1_000);
        server.start_again();
        server
    }

    /// Makes the server refuse every session beyond this number from now on.
    pub fn set_limit(&self, sessions: usize) {
        self.write("limit", &sessions.to_string());
    }

    fn set_password(&self, password: &str) {
        self.write("password", password);
    }

    fn write(&self, name: &str, text: &str) {
        // Renames the file into place, because the server may read it at any moment.
        let new = self.directory.path().join("new");
        fs::write(&new, text).expect("a file");
        fs::rename(new, self.directory.path().join(name)).expect("a file");
    }

    fn start_again(&mut self) {
        let mut command = tools::consumer("smtp_server.py");
        command.arg(self.port.to_string()).arg(self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemon.start(command, || port::accepts(self.port));
    }
}

daemon_server!(Server);

/// Returns a transport that authenticates as the user `app`.
#[must_use]
pub fn transport(port: u16, password: &str) -> AsyncSmtpTransport<Tokio1Executor> {
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(port)
        .credentials(Credentials::new("app".to_owned(), password.to_owned()))
        .build()
}
