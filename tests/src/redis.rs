//! A Redis server that the test starts.

use std::{
    process::{Command, Stdio},
    sync::Mutex,
};

use deadpool_redis::{
    Manager, Pool,
    redis::{
        Client, RedisResult, TlsCertificates, Value,
        aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
        cmd,
    },
};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{certificates::Identity, daemon::Rule, port, process::Process, tools, wait};

/// The password of the server's default user.
pub const PASSWORD: &str = "correct-horse-8R";

/// A running or stopped server.
#[expect(missing_debug_implementations, reason = "a connection has none")]
pub struct Server {
    port: u16,
    process: Option<Process>,
    arguments: Vec<String>,
    /// An administrator's connection that was opened before the server became full.
    admin: Mutex<Option<MultiplexedConnection>>,
    /// The last field, so that the directory is removed after the server has ended.
    directory: TempDir,
}

impl Server {
    /// Starts an empty server.
    ///
    /// # Panics
    ///
    /// Panics if Redis is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        tools::needs("redis-server");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut server =
            Self { port: port::free(), process: None, arguments: Vec::new(), admin: Mutex::default(), directory };
        server.run();
        server
    }

    /// Sets additional command-line arguments for the following starts of the server.
    pub fn set_arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
    }

    /// Starts the server again with this certificate on the same port. It then accepts connections only over TLS.
    ///
    /// # Panics
    ///
    /// Panics if the server does not accept connections within [`wait::HANG`].
    pub fn require_tls(&mut self, identity: &Identity) {
        let (chain, key) = identity.write_to(self.directory.path());
        let (chain, key) = (chain.display().to_string(), key.display().to_string());
        let port = self.port.to_string();
        self.set_arguments(&["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
        self.arguments.extend(["--tls-cert-file".to_owned(), chain, "--tls-key-file".to_owned(), key]);
        self.stop();
        self.run();
    }

    /// Removes the server's directory, so that the server cannot save.
    ///
    /// # Panics
    ///
    /// Panics if the directory cannot be removed.
    pub fn remove_directory(&self) {
        std::fs::remove_dir_all(self.directory.path()).expect("a directory");
    }

    /// Runs one command on a connection of its own.
    pub async fn say(&self, command: &[&str]) -> RedisResult<Value> {
        cmd(command[0]).arg(&command[1..]).query_async(&mut self.connect().await).await
    }

    /// Returns the port on which the server listens while it runs.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL with which an application connects to the server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.port)
    }

    /// Returns a pool without a runtime.
    #[must_use]
    pub fn pool(&self, size: usize) -> Pool {
        pool(&self.url(), size)
    }

    /// Opens a connection for the test, outside of every pool.
    pub async fn connect(&self) -> MultiplexedConnection {
        let client = Client::open(self.url()).expect("a URL");
        client.get_multiplexed_async_connection().await.expect("a connection")
    }

    /// Starts the server again on the same port.
    ///
    /// # Panics
    ///
    /// Panics if the server does not accept connections within [`wait::HANG`].
    pub fn run(&mut self) {
        wait::until("redis-server accepts connections", || {
            // A killed server may hold its port for a moment. A server that starts in this moment ends at once.
            if !self.process.as_mut().is_some_and(Process::runs) {
                self.spawn();
            }
            port::accepts(self.port)
        });
    }

    fn spawn(&mut self) {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--requirepass", PASSWORD])
            .args(["--user", "admin", "on", &format!(">{PASSWORD}"), "~*", "&*", "+@all"])
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server, which tests/run installs");
        self.process = Some(Process::new(child));
    }

    /// Makes the server accept this password from now on.
    pub async fn accept_password(&self, password: &str) {
        // The password of the administrator stays the same.
        let mut connection = self.administrator().await;
        let _: Value = cmd("CONFIG")
            .arg(&["SET", "requirepass", password])
            .query_async(&mut connection)
            .await
            .expect("the administrator may change the configuration");
    }

    /// Makes the server follow this rule for its default user.
    ///
    /// # Panics
    ///
    /// Panics if the server does not answer.
    pub async fn set_rule(&self, rule: Rule) {
        let kept = self.admin.lock().expect("no panic").take();
        let mut admin = match kept {
            Some(admin) => admin,
            None => self.administrator().await,
        };
        let commands: &[&[&str]] = match rule {
            Rule::Open => &[&["CONFIG", "SET", "maxclients", "1000"], &["ACL", "SETUSER", "default", "+@all"]],
            Rule::Full => &[&["CONFIG", "SET", "maxclients", "1"]],
            Rule::LockedOut => &[&["ACL", "SETUSER", "default", "-ping", "-llen"]],
        };
        for command in commands {
            let said: RedisResult<Value> = cmd(command[0]).arg(&command[1..]).query_async(&mut admin).await;
            drop(said.expect("the administrator may run this command"));
        }
        *self.admin.lock().expect("no panic") = (rule == Rule::Full).then_some(admin);
    }

    /// Returns a connection of a user who is not affected by the rules for the default user.
    async fn administrator(&self) -> MultiplexedConnection {
        let client = Client::open(format!("redis://admin:{PASSWORD}@127.0.0.1:{}/0", self.port)).expect("a URL");
        client.get_multiplexed_async_connection().await.expect("a connection")
    }

    /// Stops the server gracefully.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::SIGTERM);
            process.ended();
        }
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        // Dropping the process sends SIGKILL to it.
        self.process = None;
    }

    /// Stops the server with SIGSTOP.
    pub fn freeze(&self) {
        self.process.as_ref().expect("a running server").signal(Signal::SIGSTOP);
    }

    /// Lets a frozen server continue.
    pub fn thaw(&self) {
        self.process.as_ref().expect("a running server").signal(Signal::SIGCONT);
    }
}

/// Returns a pool of this size.
#[must_use]
pub fn pool(url: &str, size: usize) -> Pool {
    let manager = Manager::new(url).expect("a URL");
    Pool::builder(manager).max_size(size).build().expect("a pool")
}

/// Returns a pool of one connection over TLS. It trusts this authority, as PEM.
///
/// # Panics
///
/// Panics if the authority's certificate is not valid.
#[must_use]
pub fn tls_pool(port: u16, authority: &str) -> Pool {
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(authority.into()) };
    let client = Client::build_with_tls(format!("rediss://:{PASSWORD}@127.0.0.1:{port}/0"), certificates);
    let manager = Manager::new(client.expect("a client").get_connection_info().clone()).expect("a valid address");
    Pool::builder(manager).max_size(1).build().expect("a pool")
}

crate::daemon::inherent_server!(Server, impose);

/// Returns a connection that reconnects by itself and is not open yet.
///
/// # Panics
///
/// Panics if the configuration is refused.
#[must_use]
pub fn manager(client: Client) -> ConnectionManager {
    ConnectionManager::new_lazy_with_config(client, ConnectionManagerConfig::new()).expect("a configuration")
}
