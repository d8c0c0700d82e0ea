//! A HAProxy that the test starts in front of two instances of a service.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{daemon::Daemon, port, tools, wait};

/// How the proxy checks its servers. It does so every 100 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// Requests `/readyz`.
    Readiness,
    /// Requests `/readyz`. A 404 takes the server out of rotation for new clients.
    ReadinessWith404,
    /// Only connects, so it does not see the state that the service reports.
    Connection,
}

/// A running proxy.
#[derive(Debug)]
pub struct Haproxy {
    port: u16,
    _daemon: Daemon,
    /// The last field, so that the directory is removed after HAProxy has ended.
    directory: TempDir,
}

impl Haproxy {
    /// Starts a proxy in front of the servers `a` and `b`. The proxy never repeats a request, so that every failure is
    /// visible.
    ///
    /// # Panics
    ///
    /// Panics if HAProxy is not installed or does not start.
    #[must_use]
    pub fn before(a: u16, b: u16, checks: Checks) -> Self {
        let readiness = "option httpchk\n  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host health";
        let checks = match checks {
            Checks::Readiness => readiness.to_owned(),
            Checks::ReadinessWith404 => format!("{readiness}\n  http-check disable-on-404"),
            Checks::Connection => String::new(),
        };
        Self::start(&checks, &format!("server a 127.0.0.1:{a}\n  server b 127.0.0.1:{b}"))
    }

    fn start(checks: &str, servers: &str) -> Self {
        let port = port::free();
        let config = format!(
            "global\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n\
             \u{20} timeout check 2s\n  retries 0\n\
             frontend in\n  bind 127.0.0.1:{port}\n  default_backend orders\n\
             backend orders\n  balance roundrobin\n  {checks}\n\
             \u{20} default-server check inter 100ms fall 2 rise 1\n\
             \u{20} {servers}\n"
        );
        Self::run(port, &config)
    }

    /// Starts a proxy with the file of `examples/deploy`, but with a shorter check interval. No agent listens for the
    /// servers.
    ///
    /// # Panics
    ///
    /// Panics if HAProxy is not installed or does not start.
    #[must_use]
    pub fn of_the_examples(a: u16, b: u16) -> Self {
        let port = port::free();
        let text = fs::read_to_string(tools::deploy("haproxy/haproxy.cfg")).expect("a file of the examples");
        let agent = port::free();
        let own = [
            ("127.0.0.1:8000", format!("127.0.0.1:{port}")),
            ("127.0.0.1:8081", format!("127.0.0.1:{a}")),
            ("127.0.0.1:8082", format!("127.0.0.1:{b}")),
            ("agent-port 9081", format!("agent-port {agent}")),
            ("agent-port 9082", format!("agent-port {agent}")),
            (" inter 1s", " inter 100ms".to_owned()),
        ];
        let config = own.iter().fold(text, |text, (example, own)| {
            assert!(text.contains(example), "{example}");
            text.replace(example, own)
        });
        Self::run(port, &config)
    }

    fn run(port: u16, config: &str) -> Self {
        tools::needs("haproxy");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("stats");
        let stats = format!("global\n  stats socket {} mode 600 level admin\n", socket.display());
        let config = config.replace("global\n", &stats);
        let file = directory.path().join("haproxy.cfg");
        fs::write(&file, config).expect("a file");
        let mut command = Command::new(program());
        command.arg("-db").arg("-f").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Daemon::default();
        // HAProxy accepts clients a moment before its statistics socket exists.
        daemon.start(command, || port::accepts(port) && UnixStream::connect(&socket).is_ok());
        Self { port, _daemon: daemon, directory }
    }

    /// Starts a proxy in front of one server, `a`, that has an agent. Its weight is 100.
    ///
    /// # Panics
    ///
    /// Panics if HAProxy is not installed or does not start.
    #[must_use]
    pub fn with_agent(server: u16, agent: u16) -> Self {
        Self::start(
            "",
            &format!("server a 127.0.0.1:{server} weight 100 agent-check agent-inter 100ms agent-port {agent}"),
        )
    }

    /// Returns the port on which the proxy listens for clients.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the proxy's state of a server, such as `UP`, `DOWN` or `NOLB`.
    ///
    /// # Panics
    ///
    /// Panics if the proxy does not answer.
    #[must_use]
    pub fn state(&self, server: &str) -> String {
        self.column(server, 17)
    }

    /// Returns a column of the proxy's statistics, up to the first space.
    fn column(&self, server: &str, column: usize) -> String {
        let mut socket =
            UnixStream::connect(self.directory.path().join("stats")).expect("the statistics socket of the proxy");
        socket.write_all(b"show stat\n").expect("the proxy reads the command");
        let mut table = String::new();
        socket.read_to_string(&mut table).expect("the proxy answers");
        let of_the_server = format!("orders,{server},");
        let line = table.lines().find(|line| line.starts_with(&of_the_server)).expect("a line for the server");
        line.split(',')
            .nth(column)
            .and_then(|state| state.split(' ').next())
            .expect("a table with this column")
            .to_owned()
    }

    /// Waits until the proxy has this state and this weight for a server.
    ///
    /// # Panics
    ///
    /// Panics if the proxy has another state or weight after [`wait::HANG`].
    pub fn waits_for_weight(&self, server: &str, state: &str, weight: &str) {
        let expected = [state, weight].map(ToOwned::to_owned);
        wait::equals(server, &expected, || [17, 18].map(|column| self.column(server, column)));
    }

    /// Waits until the proxy has this state for a server.
    ///
    /// # Panics
    ///
    /// Panics if the proxy has another state after [`wait::HANG`].
    pub fn waits_for(&self, server: &str, state: &str) {
        wait::equals(server, &state.to_owned(), || self.state(server));
    }
}

fn program() -> PathBuf {
    PathBuf::from("haproxy")
}
