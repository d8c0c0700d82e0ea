//! A RabbitMQ broker that the test starts, with the port mapper that Erlang needs.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use deadpool_lapin::{
    Manager, Pool,
    lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable},
};
use tempfile::TempDir;

use crate::{
    certificates::Identity,
    daemon::{Daemon, Rule, daemon_server},
    port,
    support::{millis, secs},
    tools,
};

/// The password of the user `app`.
pub const PASSWORD: &str = "correct-horse-9Q";

/// A running or stopped broker.
#[derive(Debug)]
pub struct Server {
    port: u16,
    /// The port for TLS, if the broker has one.
    tls_port: Option<u16>,
    distribution: u16,
    mapper_port: u16,
    daemon: Daemon,
    /// Erlang's port mapper. Without it the broker starts one as a daemon, which outlives the test.
    _mapper: Daemon,
    /// The last field, so that the directory is removed after the broker has ended.
    directory: TempDir,
}

impl Server {
    /// Starts a broker with the user `app`.
    ///
    /// # Panics
    ///
    /// Panics if RabbitMQ is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts a broker with the user `app` that also accepts TLS with this certificate, on a second port.
    ///
    /// # Panics
    ///
    /// Panics if RabbitMQ is not installed or does not start.
    #[must_use]
    pub fn start_with_tls(identity: &Identity) -> Self {
        Self::start_with(Some(identity))
    }

    fn start_with(identity: Option<&Identity>) -> Self {
        tools::needs("rabbitmq-server");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mapper_port = port::free();
        let mut command = Command::new("epmd");
        command.args(["-port", &mapper_port.to_string(), "-address", "127.0.0.1"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut mapper = Daemon::default();
        mapper.start(command, || port::accepts(mapper_port));
        let (port, distribution) = (port::free(), port::free());
        let daemon = Daemon::default();
        let tls_port = identity.map(|_| port::free());
        let mut server = Self { port, tls_port, distribution, mapper_port, daemon, _mapper: mapper, directory };
        let file = |name: &str| server.directory.path().join(name);
        fs::write(
            file("rabbitmq.conf"),
            format!(
                "listeners.tcp.1 = 127.0.0.1:{port}\ndefault_user = app\ndefault_pass = {PASSWORD}\n\
                 loopback_users = none\nvm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 1MB\n"
            ),
        )
        .expect("a file");
        fs::write(file("enabled_plugins"), "[].").expect("a file");
        if let (Some(identity), Some(tls_port)) = (identity, tls_port) {
            let (chain, key) = identity.write_to(server.directory.path());
            let settings = format!(
                "listeners.ssl.1 = 127.0.0.1:{tls_port}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
                 ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n",
                chain.display(),
                key.display()
            );
            let mut config = fs::OpenOptions::new()
                .append(true)
                .open(file("rabbitmq.conf"))
                .expect("the broker's configuration file");
            config.write_all(settings.as_bytes()).expect("the broker's configuration file");
        }
        server.start_again();
        server
    }

    /// Returns the URL with which an application connects to the broker.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port, PASSWORD)
    }

    /// Returns the port for TLS.
    ///
    /// # Panics
    ///
    /// Panics if the broker has none.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("a broker with TLS")
    }

    /// Makes the broker present this certificate to new connections from now on.
    ///
    /// # Panics
    ///
    /// Panics if the broker does not answer.
    pub fn present(&self, identity: &Identity) {
        let _ = identity.write_to(self.directory.path());
        // Erlang caches PEM files for two minutes.
        self.control(&["eval", "ssl:clear_pem_cache()."]);
    }

    /// Opens a connection for the test, outside of every pool.
    ///
    /// # Panics
    ///
    /// Panics if the connection fails.
    pub async fn connect(&self) -> Connection {
        Connection::connect(&self.url(), ConnectionProperties::default()).await.expect("a connection")
    }

    /// Declares a durable queue.
    ///
    /// # Panics
    ///
    /// Panics if the queue cannot be declared.
    pub async fn declare(&self, queue: &str) {
        let channel = self.connect().await.create_channel().await.expect("a channel");
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.into(), durable, FieldTable::default()).await.expect("a queue");
    }

    fn start_again(&mut self) {
        let mut command = self.command("rabbitmq-server");
        command.stdout(self.log()).stderr(self.log());
        // RabbitMQ opens the listeners for TLS last.
        self.daemon.start(command, || port::accepts(self.tls_port.unwrap_or(self.port)));
    }

    fn set_rule(&self, rule: Rule) {
        match rule {
            Rule::Open => {
                self.control(&["clear_user_limits", "app", "all"]);
                self.control(&["set_permissions", "app", ".*", ".*", ".*"]);
            }
            Rule::Full => self.control(&["set_user_limits", "app", "{\"max-connections\": 0}"]),
            Rule::LockedOut => self.control(&["clear_permissions", "app"]),
        }
    }

    fn set_password(&self, password: &str) {
        self.control(&["change_password", "app", password]);
    }

    /// Runs `rabbitmqctl`.
    ///
    /// # Panics
    ///
    /// Panics if the command fails.
    pub fn control(&self, arguments: &[&str]) {
        let output = self.command("rabbitmqctl").args(arguments).output().expect("rabbitmqctl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn log(&self) -> Stdio {
        let path = self.directory.path().join("output");
        fs::OpenOptions::new().create(true).append(true).open(path).expect("a log").into()
    }

    fn command(&self, program: &str) -> Command {
        let at = |name: &str| self.directory.path().join(name);
        // The wrappers of the package change the user. The scripts that they call do not.
        let mut command = Command::new(scripts().join(program));
        command
            .env("HOME", self.directory.path())
            .env("TMPDIR", self.directory.path())
            .env("RABBITMQ_NODENAME", format!("t{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("ERL_EPMD_PORT", self.mapper_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +S 1")
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", at("none"))
            .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_PID_FILE", at("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins"))
            .stdin(Stdio::null());
        command
    }
}

daemon_server!(Server, impose);

/// Returns the URL with which an application connects to a broker.
#[must_use]
pub fn url(port: u16, password: &str) -> String {
    format!("amqp://app:{password}@127.0.0.1:{port}/%2f")
}

/// Returns the URL with which an application connects to a broker over TLS. lapin trusts the certificates in the file
/// that the environment variable `SSL_CERT_FILE` names.
#[must_use]
pub fn tls_url(port: u16) -> String {
    format!("amqps://app:{PASSWORD}@127.0.0.1:{port}/%2f")
}

/// Returns a pool of this size.
///
/// # Panics
///
/// Panics outside of a Tokio runtime.
#[must_use]
pub fn pool(url: &str, size: usize) -> Pool {
    let runtime = deadpool_lapin::lapin::runtime::default_runtime().expect("the default runtime, Tokio");
    Pool::builder(Manager::new(url, ConnectionProperties::default, runtime)).max_size(size).build().expect("a pool")
}

/// Returns the directory of the scripts that the package's wrappers call.
fn scripts() -> PathBuf {
    PathBuf::from("/usr/lib/rabbitmq/bin")
}

/// Returns a connection that recovers by itself.
///
/// # Panics
///
/// Panics if the connection cannot be opened at first.
pub async fn recovering(url: &str) -> Connection {
    // By default lapin waits up to a minute between two attempts, and gives up after 16.
    let properties = ConnectionProperties::default()
        .configure_backoff(|backoff| backoff.without_max_times().with_min_delay(millis(100)).with_max_delay(secs(1)))
        .enable_auto_recover();
    Connection::connect(url, properties).await.expect("a connection")
}
