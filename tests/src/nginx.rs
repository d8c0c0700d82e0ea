//! An nginx that the test starts with the file of `examples/deploy`.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{daemon::Daemon, port, tools};

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    /// The address on which nginx listens.
    pub address: SocketAddr,
    _daemon: Daemon,
    /// The last field, so that the directory is removed after nginx has ended.
    _directory: TempDir,
}

impl Nginx {
    /// Starts an nginx in front of these instances.
    ///
    /// # Panics
    ///
    /// Panics if nginx is not installed, rejects the file or does not start.
    #[must_use]
    pub fn before(a: SocketAddr, b: SocketAddr) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path().display();
        let address = port::local(port::free());
        let text = fs::read_to_string(tools::deploy("nginx/nginx.conf")).expect("a file of the examples");
        // Replaces the folders that a package of nginx creates.
        let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
            .collect();
        let text = text
            .replace("http {", &format!("http {{\n{folders}"))
            // The example with a shorter timeout.
            .replace("fail_timeout=5s", "fail_timeout=1s")
            .replace("127.0.0.1:8000", &address.to_string())
            .replace("127.0.0.1:8081", &a.to_string())
            .replace("127.0.0.1:8082", &b.to_string());
        let file = directory.path().join("nginx.conf");
        fs::write(&file, text).expect("a file");
        let command = |more: &[&str]| {
            let mut command = Command::new(tools::program("usr/sbin/nginx"));
            command.arg("-p").arg(directory.path()).arg("-c").arg(&file).args(["-e", "stderr"]).args(more);
            command
        };
        let pid = format!("daemon off; pid {place}/pid;");
        let (code, said) = tools::said(&mut command(&["-g", &pid, "-t", "-q"]), b"");
        assert_eq!((code, said.as_str()), (Some(0), ""));
        let mut command = command(&["-g", &pid]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Daemon::default();
        daemon.start(command, || port::answers(address));
        Self { address, _daemon: daemon, _directory: directory }
    }
}
