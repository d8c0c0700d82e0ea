//! A MariaDB server that the test starts.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use sqlx::{
    Connection as _, MySqlConnection, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};
use tempfile::TempDir;

use crate::{
    daemon::{Daemon, Rule, daemon_server},
    port, tools,
};

/// The password of the user `app`.
pub const PASSWORD: &str = "correct-horse-7M";

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
    /// Panics if MariaDB is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with the user `app` and these settings.
    ///
    /// # Panics
    ///
    /// Panics if MariaDB is not installed or does not start.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        tools::needs("mariadbd");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut server = Self { port: port::free(), daemon: Daemon::default(), arguments, directory };
        let output = server
            .command("mariadb-install-db")
            .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"])
            .arg(format!("--datadir={}", server.data().display()))
            .output()
            .expect("mariadb-install-db, which tests/run installs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        server.start_again();
        let _ = server
            .statement(&format!("CREATE USER 'app'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON *.* TO 'app'@'%'"));
        server
    }

    /// Runs statements as the administrator over the server's socket and returns their output.
    ///
    /// # Panics
    ///
    /// Panics if a statement fails.
    pub fn statement(&self, sql: &str) -> String {
        let output = self.client(sql);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn client(&self, sql: &str) -> Output {
        let mut command = self.command("mariadb");
        command.args(["--user=root", "--batch", "--execute", sql]);
        command
            .arg(format!("--socket={}", self.socket().display()))
            .output()
            .expect("the client mariadb, which tests/run installs")
    }

    /// Ends every session of the user `app` on the server.
    pub fn terminate_sessions(&self) {
        let sessions = self.statement("SELECT id FROM information_schema.processlist WHERE user = 'app'");
        for id in sessions.lines().skip(1) {
            // A session may have ended by itself in the meantime.
            let output = self.client(&format!("KILL {id}"));
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() || error.contains("ERROR 1094 "), "{error}");
        }
    }

    fn set_rule(&self, rule: Rule) {
        let _ = self.statement(match rule {
            Rule::Open => "ALTER USER 'app'@'%' WITH MAX_USER_CONNECTIONS 0 ACCOUNT UNLOCK",
            Rule::Full => "ALTER USER 'app'@'%' WITH MAX_USER_CONNECTIONS 1",
            Rule::LockedOut => "ALTER USER 'app'@'%' ACCOUNT LOCK",
        });
    }

    fn set_password(&self, password: &str) {
        let _ = self.statement(&format!("ALTER USER 'app'@'%' IDENTIFIED BY '{password}'"));
    }

    fn start_again(&mut self) {
        let mut command = self.command("mariadbd");
        command
            .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--innodb-buffer-pool-size=8M", "--performance-schema=OFF", "--innodb-flush-log-at-trx-commit=0"])
            .arg(format!("--port={}", self.port))
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--datadir={}", self.data().display()))
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let socket = self.socket();
        self.daemon.start(command, || port::accepts(self.port) && socket.exists());
    }

    /// Opens a connection for the test, outside of every pool.
    ///
    /// # Panics
    ///
    /// Panics if the connection fails.
    pub async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect_with(&options(self.port, PASSWORD)).await.expect("a connection")
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Two installations that start at the same moment delete each other's files if they share a directory for
        // temporary files.
        command.env("HOME", self.directory.path()).env("TMPDIR", self.directory.path());
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }
}

daemon_server!(Server, impose);

/// Returns an application's options to connect as the user `app`.
#[must_use]
pub fn options(port: u16, password: &str) -> MySqlConnectOptions {
    MySqlConnectOptions::new().host("127.0.0.1").port(port).username("app").password(password)
}

/// Returns a pool of this size that has no connection yet.
#[must_use]
pub fn pool(port: u16, password: &str, size: u32) -> MySqlPool {
    MySqlPoolOptions::new().max_connections(size).connect_lazy_with(options(port, password))
}
