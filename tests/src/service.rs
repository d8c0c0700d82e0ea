//! The servers that no package has, as child processes: HTTP, TLS, gRPC, MongoDB and Elasticsearch, by the program
//! `serve`.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    daemon::{Daemon, daemon_server},
    port, program,
};

/// The token that the servers want, or the password.
pub const TOKEN: &str = "correct-horse-5T";

/// What is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `GET /status`, and a health endpoint, for those who have the token.
    Http,
    /// `grpc.health.v1`, for those who have the token.
    Grpc,
    /// MongoDB's protocol, see [`crate::mongodb`], for `app` with the token as password.
    MongoDb,
    /// Elasticsearch's health, see [`crate::elasticsearch`], for those who have the token.
    Elasticsearch,
    /// A handshake with this chain and key, both PEM, and `ready` to any request after it.
    Tls {
        /// The chain.
        chain: String,
        /// The key.
        key: String,
    },
}

/// A running or stopped server.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    port: u16,
    daemon: Daemon,
    /// Last, so that it is removed when nothing runs in it any more.
    directory: TempDir,
}

impl Server {
    /// Starts a server.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn start(kind: Kind) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut server = Self { kind, port: port::free(), daemon: Daemon::default(), directory };
        server.set_password(TOKEN);
        server.keep(TOKEN, &server.kind);
        server.start_again();
        server
    }

    /// For TLS: this chain and key are presented once their token is the one to accept.
    ///
    /// # Panics
    ///
    /// They cannot be written.
    pub fn keep(&self, token: &str, kind: &Kind) {
        if let Kind::Tls { chain, key } = kind {
            fs::write(self.file(&format!("chain.{token}")), chain).expect("a file");
            fs::write(self.file(&format!("key.{token}")), key).expect("a file");
        }
    }

    /// Puts a file into the folder that the server reads, in one step, as it may read it at any moment.
    ///
    /// # Panics
    ///
    /// It cannot be written.
    pub fn put(&self, name: &str, text: &str) {
        let new = self.file(&format!("{name}.new"));
        fs::write(&new, text).expect("a file");
        fs::rename(new, self.file(name)).expect("a file");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn set_password(&self, token: &str) {
        self.put("token", token);
    }

    fn start_again(&mut self) {
        let kind = match self.kind {
            Kind::Http => "http",
            Kind::Grpc => "grpc",
            Kind::MongoDb => "mongodb",
            Kind::Elasticsearch => "elasticsearch",
            Kind::Tls { .. } => "tls",
        };
        let mut command = Command::new(program::built().join("serve"));
        command.args([kind, &self.port.to_string()]).arg(self.directory.path()).stdin(Stdio::null());
        self.daemon.start(command, || port::accepts(self.port));
    }
}

daemon_server!(Server);
