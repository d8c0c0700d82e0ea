//! An Envoy that the test starts with the configuration of `examples/deploy`.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{daemon::Daemon, http, port, tools, wait};

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    /// The address on which Envoy listens for requests.
    pub address: SocketAddr,
    admin: SocketAddr,
    _daemon: Daemon,
    /// The last field, so that the directory is removed after Envoy has ended.
    _directory: TempDir,
}

impl Envoy {
    /// Starts an Envoy in front of these instances that probes them at this interval, for instance `0.1s`.
    ///
    /// # Panics
    ///
    /// Panics if Envoy is not installed, rejects the configuration or does not start.
    #[must_use]
    pub fn before(a: SocketAddr, b: SocketAddr, interval: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let example = tools::deploy("envoy/envoy.yaml");
        let accepted = |file: &Path| tools::said(program().args(["--mode", "validate", "-c"]).arg(file), b"");
        let (code, said) = accepted(&example);
        assert!(code == Some(0) && said.contains("OK"), "{said}");
        let (address, admin) = (port::local(port::free()), port::local(port::free()));
        let text = fs::read_to_string(example).expect("a file of the examples");
        let text = text.replace("interval: 1s", &format!("interval: {interval}"));
        let ports = [(8000, address), (9901, admin), (8081, a), (8082, b)];
        let text = ports.iter().fold(text, |text, (example, own)| {
            assert!(text.contains(&format!("port_value: {example} ")), "{example}");
            text.replace(&format!("port_value: {example} "), &format!("port_value: {} ", own.port()))
        });
        let file = directory.path().join("envoy.yaml");
        fs::write(&file, text).expect("a file");
        let mut command = program();
        command.arg("-c").arg(&file).args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "off"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Daemon::default();
        daemon.start(command, || port::answers(address) && port::answers(admin));
        Self { address, admin, _daemon: daemon, _directory: directory }
    }

    /// Returns Envoy's health flags of an instance: `healthy`, or the reasons why it is not.
    ///
    /// # Panics
    ///
    /// Panics if Envoy does not list the instance.
    #[must_use]
    pub fn flags(&self, instance: SocketAddr) -> String {
        let text = http::get(self.admin, "/clusters", &[]).text();
        let begins = format!("orders::{instance}::health_flags::");
        let flags = text.lines().find_map(|line| line.strip_prefix(&begins));
        flags.unwrap_or_else(|| panic!("no {begins} in {text}")).to_owned()
    }

    /// Waits until Envoy has these health flags for an instance.
    ///
    /// # Panics
    ///
    /// Panics if Envoy has other flags after [`wait::HANG`].
    pub fn thinks(&self, instance: SocketAddr, flags: &str) {
        wait::equals(&instance.to_string(), &flags.to_owned(), || self.flags(instance));
    }
}

fn program() -> Command {
    tools::needs("envoy");
    Command::new(tools::repository().join("target/tools/envoy"))
}
