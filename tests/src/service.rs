//! Servers for HTTP, TLS, gRPC, MongoDB and Elasticsearch, which no package provides. Each runs as a child process of
//! the program `serve`.

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

/// The token that the servers require, or the password.
pub const TOKEN: &str = "correct-horse-5T";

/// The kind of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `GET /status` and a health endpoint. Requires the token.
    Http,
    /// `grpc.health.v1`. Requires the token.
    Grpc,
    /// The protocol of MongoDB, see [`crate::mongodb`]. Requires the user `app` with the token as its password.
    MongoDb,
    /// The cluster health of Elasticsearch, see [`crate::elasticsearch`]. Requires the token.
    Elasticsearch,
    /// A TLS handshake with this chain and key, both as PEM. Answers any request with `ready`.
    Tls {
        /// The certificate chain.
        chain: String,
        /// The private key.
        key: String,
    },
}

/// A running or stopped server.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    port: u16,
    daemon: Daemon,
    /// The last field, so that the directory is removed after the server has ended.
    directory: TempDir,
}

impl Server {
    /// Starts a server.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    #[must_use]
    pub fn start(kind: Kind) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut server = Self { kind, port: port::free(), daemon: Daemon::default(), directory };
        server.set_password(TOKEN);
        server.keep(TOKEN, &server.kind);
        server.start_again();
        server
    }

    /// Stores a chain and a key for TLS. The server presents them while `token` is the accepted token. Does nothing for
    /// other kinds.
    ///
    /// # Panics
    ///
    /// Panics if a file cannot be written.
    pub fn keep(&self, token: &str, kind: &Kind) {
        if let Kind::Tls { chain, key } = kind {
            fs::write(self.file(&format!("chain.{token}")), chain).expect("a file");
            fs::write(self.file(&format!("key.{token}")), key).expect("a file");
        }
    }

    /// Writes a file into the folder that the server reads. Renames it into place, because the server may read it at
    /// any moment.
    ///
    /// # Panics
    ///
    /// Panics if the file cannot be written.
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
