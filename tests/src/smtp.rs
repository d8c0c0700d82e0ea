//! A mail server of the test's own: aiosmtpd, by the script `smtp_server.py`.

use std::{fs, process::Stdio};

use lettre::{AsyncSmtpTransport, Tokio1Executor, transport::smtp::authentication::Credentials};
use tempfile::TempDir;

use crate::{
    daemon::{Daemon, daemon_server},
    port, tools,
};

/// The password of the user `app`.
pub const PASSWORD: &str = "correct-horse-2L";

/// One line of a reply without end, as long as lettre reads one.
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
    /// Last, so that it is removed when nothing runs in it any more.
    directory: TempDir,
}

impl Server {
    /// Starts a server with the user `app`.
    ///
    /// # Panics
    ///
    /// aiosmtpd is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut server = Self { port: port::free(), daemon: Daemon::default(), directory };
        server.set_password(PASSWORD);
        server.set_limit(1_000);
        server.start_again();
        server
    }

    /// Refuses from now on every session beyond so many.
    pub fn set_limit(&self, sessions: usize) {
        self.write("limit", &sessions.to_string());
    }

    fn set_password(&self, password: &str) {
        self.write("password", password);
    }

    fn write(&self, name: &str, text: &str) {
        // In one step, as the server may read it at any moment.
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

/// A transport that logs in as the user `app`.
#[must_use]
pub fn transport(port: u16, password: &str) -> AsyncSmtpTransport<Tokio1Executor> {
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(port)
        .credentials(Credentials::new("app".to_owned(), password.to_owned()))
        .build()
}
