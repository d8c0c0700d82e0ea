//! A Mosquitto broker that the test starts, and an application that is its client.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use health_core::{Check, CheckResult, Mqtt, async_trait};
use nix::sys::signal::Signal;
use rumqttc::{AsyncClient, ConnectionError, MqttOptions, v5};
use tempfile::TempDir;
use tokio::{
    task::{AbortHandle, JoinHandle},
    time::sleep,
};

use crate::{
    daemon::{Daemon, daemon_server},
    port, tools,
};

/// The password of the user `app`.
pub const PASSWORD: &str = "correct-horse-6Q";

/// The pause between two attempts of an application to connect.
const RETRY: Duration = Duration::from_millis(200);

/// After this time without traffic rumqttc sends a ping, and after the same time again it closes the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The capacity of a client's request queue.
pub const QUEUE: usize = 8;

/// A running or stopped broker.
#[derive(Debug)]
pub struct Server {
    port: u16,
    daemon: Daemon,
    /// The last field, so that the directory is removed after the broker has ended.
    directory: TempDir,
}

impl Server {
    /// Starts a broker with the user `app`, who has no right to read or write any topic.
    ///
    /// # Panics
    ///
    /// Panics if Mosquitto is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        tools::needs("mosquitto");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut server = Self { port: port::free(), daemon: Daemon::default(), directory };
        let (passwords, rights) = (server.file("passwords"), server.file("rights"));
        fs::write(&rights, "user app\n").expect("a file");
        let lines = [
            format!("listener {} 127.0.0.1", server.port),
            "allow_anonymous false".to_owned(),
            format!("password_file {}", passwords.display()),
            format!("acl_file {}", rights.display()),
            "persistence false".to_owned(),
            // When started as root, Mosquitto would switch to a user who cannot read these files.
            "user root".to_owned(),
        ];
        fs::write(server.file("mosquitto.conf"), lines.join("\n") + "\n").expect("a file");
        server.write_password(PASSWORD);
        server.start_again();
        server
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write_password(&self, password: &str) {
        let mut command = Command::new("mosquitto_passwd");
        command.args(["-b", "-c"]).arg(self.file("passwords")).args(["app", password]);
        let output = command.stdin(Stdio::null()).output().expect("mosquitto_passwd, which tests/run installs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn set_password(&self, password: &str) {
        self.write_password(password);
        self.daemon.signal(Signal::SIGHUP);
    }

    fn start_again(&mut self) {
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(self.file("mosquitto.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemon.start(command, || port::accepts(self.port));
    }
}

daemon_server!(Server);

/// The check of an application whose event loop is polled until the check is dropped.
#[derive(Debug)]
pub struct Application {
    check: Mqtt,
    task: JoinHandle<()>,
}

impl Application {
    /// Starts an application with a client of MQTT 3.1.1.
    #[must_use]
    pub fn start(port: u16, password: &str) -> Self {
        Self::with_client(port, password).0
    }

    /// Starts an application with a client of MQTT 3.1.1 and returns the client too.
    #[must_use]
    pub fn with_client(port: u16, password: &str) -> (Self, AsyncClient) {
        let mut options = MqttOptions::new(client_id(), "127.0.0.1", port);
        options.set_credentials("app", password).set_keep_alive(KEEP_ALIVE);
        let (client, mut event_loop) = AsyncClient::new(options, QUEUE);
        let (check, observer) = Mqtt::new(client.clone());
        let task = tokio::spawn(async move {
            loop {
                let polled = event_loop.poll().await;
                observer.observe(&polled);
                match polled {
                    Err(ConnectionError::RequestsDone) => return,
                    Err(_) => sleep(RETRY).await,
                    Ok(_) => {}
                }
            }
        });
        (Self { check, task }, client)
    }

    /// Starts an application with a client of MQTT 5.
    #[must_use]
    pub fn start_v5(port: u16, password: &str) -> Self {
        let mut options = v5::MqttOptions::new(client_id(), "127.0.0.1", port);
        options.set_credentials("app", password).set_keep_alive(KEEP_ALIVE);
        let (client, mut event_loop) = v5::AsyncClient::new(options, QUEUE);
        let (check, observer) = Mqtt::v5(client);
        let task = tokio::spawn(async move {
            loop {
                let polled = event_loop.poll().await;
                observer.observe_v5(&polled);
                match polled {
                    Err(v5::ConnectionError::RequestsDone) => return,
                    Err(_) => sleep(RETRY).await,
                    Ok(_) => {}
                }
            }
        });
        Self { check, task }
    }

    /// Returns the handle of the task that polls the event loop.
    #[must_use]
    pub fn polling(&self) -> AbortHandle {
        self.task.abort_handle()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Check for Application {
    async fn check(&self) -> CheckResult {
        self.check.check().await
    }

    fn proves(&self) -> &'static str {
        self.check.proves()
    }
}

/// Returns a unique client id. The broker closes the connection of a client when another one connects with the same id.
fn client_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("app-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
