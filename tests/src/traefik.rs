//! A Traefik that the test starts with the file of `examples/deploy`.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{daemon::Daemon, http, port, tools, wait};

/// A running Traefik.
#[derive(Debug)]
pub struct Traefik {
    /// The address on which Traefik listens.
    pub address: SocketAddr,
    admin: SocketAddr,
    _daemon: Daemon,
    /// The last field, so that the directory is removed after Traefik has ended.
    directory: TempDir,
}

impl Traefik {
    /// Starts a Traefik in front of these instances. `change` may change the text of the example.
    ///
    /// # Panics
    ///
    /// Panics if Traefik is not installed or does not start.
    #[must_use]
    pub fn before(a: SocketAddr, b: SocketAddr, change: impl Fn(String) -> String) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let (address, admin) = (port::local(port::free()), port::local(port::free()));
        let text = fs::read_to_string(tools::deploy("traefik/orders.yml")).expect("a file of the examples");
        let text = [("127.0.0.1:8081", a), ("127.0.0.1:8082", b)].iter().fold(text, |text, (example, own)| {
            assert!(text.contains(example), "{example}");
            text.replace(example, &own.to_string())
        });
        fs::write(at("orders.yml"), change(text)).expect("a file");
        let fixed = format!(
            "entryPoints: {{web: {{address: \"{address}\"}}, traefik: {{address: \"{admin}\"}}}}\n\
             api: {{insecure: true}}\nlog: {{noColor: true}}\nping: {{}}\nproviders: {{file: {{filename: \"{}\"}}}}\n\
             global: {{checkNewVersion: false, sendAnonymousUsage: false}}\n",
            at("orders.yml").display()
        );
        fs::write(at("traefik.yml"), fixed).expect("a file");
        let log = fs::File::create(at("log")).expect("a file");
        let mut command = program();
        command.arg(format!("--configFile={}", at("traefik.yml").display()));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let mut daemon = Daemon::default();
        daemon.start(command, || port::answers(admin) && http::get(admin, "/ping", &[]).status == 200);
        Self { address, admin, _daemon: daemon, directory }
    }

    /// Returns the errors of Traefik's log.
    #[must_use]
    pub fn complaints(&self) -> String {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(" ERR ")).collect::<Vec<_>>().join("\n")
    }

    /// Waits until Traefik has this status for an instance: `UP` or `DOWN`.
    ///
    /// # Panics
    ///
    /// Panics if Traefik has another status after [`wait::HANG`].
    pub fn thinks(&self, instance: SocketAddr, status: &str) {
        let url = format!("http://{instance}");
        wait::until(&format!("{url} is {status}"), || {
            let services = http::get(self.admin, "/api/http/services", &[]).json();
            let services = services.as_array().map_or(&[][..], Vec::as_slice);
            services.iter().any(|service| service["serverStatus"][&url] == status)
        });
    }
}

/// Returns a command that runs Traefik out of the Python environment.
#[must_use]
pub fn program() -> Command {
    tools::needs("traefik");
    Command::new(tools::repository().join("target/tools/python/bin/traefik"))
}
