//! A PostgreSQL server that the test starts.

use std::{
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread::sleep,
    time::{Duration, Instant},
};

use deadpool_postgres::{
    Manager, ManagerConfig, Pool, RecyclingMethod,
    tokio_postgres::{Client, Config, NoTls, config::SslMode},
};
use nix::{
    sys::signal::Signal,
    unistd::{Uid, User},
};
use tempfile::TempDir;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::ClientConfig;

use crate::{certificates::Identity, daemon::Rule, port, process::Process, tools, wait};

/// The password of the server's only user.
pub const PASSWORD: &str = "correct-horse-7Q";

/// A running or stopped server.
#[derive(Debug)]
pub struct Server {
    binaries: PathBuf,
    port: u16,
    process: Option<Process>,
    /// The TLS settings of the server.
    tls: Vec<String>,
    /// The password that the server accepts now.
    password: Mutex<String>,
    /// The last field, so that the directory is removed after the server has ended.
    directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Shuts down gracefully, because a killed server leaves shared memory behind. Thaws first, because a frozen
        // server does not shut down.
        if self.process.is_none() {
            return;
        }
        self.thaw();
        if let Some(process) = &mut self.process {
            process.signal(Signal::SIGQUIT);
            let patience = Instant::now() + Duration::from_secs(30);
            while process.runs() && Instant::now() < patience {
                sleep(Duration::from_millis(5));
            }
        }
    }
}

impl Server {
    /// Creates a database in a temporary directory and starts a server on it.
    ///
    /// # Panics
    ///
    /// Panics if PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        tools::needs("postgres");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let binaries = binaries();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700))
            .expect("a directory that belongs to this user");
        let password = directory.path().join("password");
        std::fs::write(&password, PASSWORD).expect("a file in the server's directory");
        for path in [directory.path(), &password] {
            if let Some(user) = unprivileged() {
                chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                    .expect("a directory that belongs to the server's user");
            }
        }
        let password_now = Mutex::new(PASSWORD.to_owned());
        let mut server =
            Self { binaries, port: port::free(), process: None, tls: Vec::new(), password: password_now, directory };
        let made = server
            .command("initdb")
            .args(["--no-sync", "--no-instructions", "--auth=scram-sha-256", "--username=app", "--encoding=UTF8"])
            .args(["--wal-segsize=1", "--pwfile"])
            .arg(&password)
            .output()
            .expect("initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.run();
        server
    }

    /// Returns the port on which the server listens while it runs.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the configuration of a connection to the server.
    #[must_use]
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user("app")
            .password(&*self.password.lock().expect("a password"))
            .dbname("postgres");
        config
    }

    /// Returns the connection URL with the password of a new server, as an application has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://app:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Returns a pool without a runtime, as the documentation of deadpool-postgres builds it.
    #[must_use]
    pub fn pool(&self, size: usize) -> Pool {
        pool(self.config(), size)
    }

    /// Opens a connection for the test, outside of every pool.
    pub async fn connect(&self) -> Client {
        let (client, connection) = self.config().connect(NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }

    /// Starts the server again on the same port.
    ///
    /// # Panics
    ///
    /// Panics if the server accepts no sessions within [`wait::HANG`].
    pub fn run(&mut self) {
        wait::until("PostgreSQL accepts sessions", || {
            // A killed server may hold its shared memory for a moment. A server that starts in this moment ends at
            // once.
            if !self.process.as_mut().is_some_and(Process::runs) {
                self.spawn();
            }
            self.takes_sessions()
        });
    }

    /// Starts the server again with this certificate. It then accepts sessions only over TLS.
    ///
    /// # Panics
    ///
    /// Panics if the server accepts no sessions within [`wait::HANG`].
    pub fn require_tls(&mut self, identity: &Identity) {
        let (chain, key) = identity.write_to(self.directory.path());
        if let Some(user) = unprivileged() {
            for path in [&chain, &key] {
                chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                    .expect("a file that belongs to the server's user");
            }
        }
        let rule = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(self.data().join("pg_hba.conf"), rule).expect("a file in the server's directory");
        let file = |name: &str, path: &Path| format!("{name}={}", path.display());
        self.tls = vec!["ssl=on".to_owned(), file("ssl_cert_file", &chain), file("ssl_key_file", &key)];
        self.stop();
        self.run();
    }

    /// An open port is not enough: a server that starts up accepts connections but refuses every session.
    fn takes_sessions(&self) -> bool {
        let mut ready = Command::new(self.binaries.join("pg_isready"));
        ready.args(["--quiet", "--host", "127.0.0.1", "--port", &self.port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
    }

    fn spawn(&mut self) {
        let log = std::fs::File::create(self.directory.path().join("log")).expect("a log");
        let child = self
            .command("postgres")
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=40"])
            .args(self.tls.iter().flat_map(|setting| ["-c", setting.as_str()]))
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("postgres");
        self.process = Some(Process::new(child));
    }

    /// Stops the server gracefully.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::SIGINT);
            process.ended();
        }
    }

    /// Kills the server and all its sessions. The next start recovers from it.
    pub fn kill(&mut self) {
        // Dropping the process sends SIGKILL to it and its children.
        self.process = None;
    }

    /// Makes the server accept this password from now on.
    pub async fn accept_password(&self, password: &str) {
        self.connect()
            .await
            .batch_execute(&format!("ALTER ROLE app PASSWORD '{password}'"))
            .await
            .expect("a superuser may change passwords");
        password.clone_into(&mut self.password.lock().expect("a password"));
    }

    /// Makes the server follow this rule for its user. An administrator that only the tests use sets it.
    ///
    /// # Panics
    ///
    /// Panics if the server does not answer.
    pub async fn set_rule(&self, rule: Rule) {
        let mut config = self.config();
        let admin = match config.user("admin").password(PASSWORD).connect(NoTls).await {
            Ok((admin, connection)) => {
                drop(tokio::spawn(connection));
                admin
            }
            Err(_) => {
                let user = self.connect().await;
                let create = format!("CREATE ROLE admin SUPERUSER LOGIN PASSWORD '{PASSWORD}'");
                user.batch_execute(&create).await.expect("a superuser may create roles");
                user
            }
        };
        let sql = match rule {
            Rule::Open => "ALTER ROLE app SUPERUSER LOGIN CONNECTION LIMIT -1",
            // PostgreSQL does not apply the connection limit of a role to superusers.
            Rule::Full => "ALTER ROLE app NOSUPERUSER CONNECTION LIMIT 0",
            Rule::LockedOut => "ALTER ROLE app NOLOGIN",
        };
        admin.batch_execute(sql).await.expect("a superuser may alter roles");
    }

    /// Stops every process of the server with SIGSTOP.
    pub fn freeze(&self) {
        self.signal_all(Signal::SIGSTOP);
    }

    /// Lets the frozen processes continue.
    pub fn thaw(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    /// Turns the stopped server into a standby.
    pub fn make_standby(&self) {
        std::fs::write(self.data().join("standby.signal"), "").expect("a file in the server's directory");
    }

    fn signal_all(&self, signal: Signal) {
        self.process.as_ref().expect("a running server").signal_all(signal);
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Returns a command that runs a program of PostgreSQL on the server's directory, as a user that PostgreSQL
    /// accepts.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command
            .arg("-D")
            .arg(self.data())
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(user) = unprivileged() {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }
}

/// Returns a pool of this size.
#[must_use]
pub fn pool(config: Config, size: usize) -> Pool {
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager).max_size(size).build().expect("a pool")
}

/// Returns a pool of one connection that requires TLS.
#[must_use]
pub fn tls_pool(mut config: Config, tls: ClientConfig) -> Pool {
    config.ssl_mode(SslMode::Require);
    let manager = Manager::new(config, MakeRustlsConnect::new(tls));
    Pool::builder(manager).max_size(1).build().expect("a pool")
}

/// Returns the user that runs PostgreSQL if this process is root, because PostgreSQL refuses root: the user of the
/// package, or nobody.
fn unprivileged() -> Option<User> {
    let root = Uid::effective().is_root();
    let known = |name| User::from_name(name).ok().flatten();
    root.then(|| known("postgres").or_else(|| known("nobody")).expect("a user without privileges"))
}

/// Returns the directory of the programs of the newest installed version.
fn binaries() -> PathBuf {
    let debian = Path::new("/usr/lib/postgresql");
    let mut versions: Vec<PathBuf> = std::fs::read_dir(debian)
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.retain(|path| path.join("initdb").exists());
    versions.sort();
    versions.pop().or_else(on_path).expect("the server programs of PostgreSQL, which tests/run installs")
}

fn on_path() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

crate::daemon::inherent_server!(Server, impose);
