//! What systemd would hear on its notification socket.

use std::{
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use health_tests::{
    postgres,
    process::Process,
    program::{self, EXAMPLES, Program},
    tools::{deploy, said},
};
use nix::sys::signal::Signal;

use crate::support::{millis, secs};

/// Half of this passes between two signs of life.
const WATCHDOG: Duration = millis(400);

/// systemd throws a larger datagram away, whatever it says.
const LARGEST: usize = 4096;

struct Socket {
    socket: UnixDatagram,
    directory: tempfile::TempDir,
    heard: Vec<String>,
    /// What was waited for stands before this.
    read: usize,
}

impl Socket {
    fn bind() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(millis(50))).unwrap();
        Self { socket, directory, heard: Vec::new(), read: 0 }
    }

    fn path(&self) -> String {
        self.directory.path().join("notify").display().to_string()
    }

    /// Listens for so long.
    fn listen(&mut self, time: Duration) -> &[String] {
        let (began, first) = (Instant::now(), self.heard.len());
        let mut bytes = [0; 64 << 10];
        while began.elapsed() < time {
            if let Ok(length) = self.socket.recv(&mut bytes) {
                assert!(length <= LARGEST, "{length} bytes are more than systemd reads");
                self.heard.extend(String::from_utf8_lossy(&bytes[..length]).lines().map(ToOwned::to_owned));
            }
        }
        &self.heard[first..]
    }

    /// Listens until this line comes.
    fn hears(&mut self, line: &str) {
        let began = Instant::now();
        loop {
            if let Some(at) = self.heard[self.read..].iter().position(|heard| heard == line) {
                self.read += at + 1;
                return;
            }
            assert!(began.elapsed() < secs(10), "no {line} in {:?}", self.heard);
            self.listen(millis(50));
        }
    }
}

fn signs_of_life(heard: &[String]) -> usize {
    heard.iter().filter(|line| *line == "WATCHDOG=1").count()
}

#[test]
#[ignore = "needs PostgreSQL: tests/run"]
fn systemd_hears_of_readiness_status_stopping_and_life() {
    let mut database = postgres::Server::start();
    let url = database.url();
    for example in EXAMPLES {
        let mut socket = Socket::bind();
        let (path, watchdog) = (socket.path(), WATCHDOG.as_micros().to_string());
        let mut service = Program::start(
            example,
            &[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", &watchdog), ("DATABASE_URL", &url), ("DRAIN_SECONDS", "1")],
        );
        socket.hears("READY=1");
        socket.hears("STATUS=healthy");
        database.stop();
        socket.hears("STATUS=unhealthy: database unreachable");
        // A dependency restarts nothing.
        let beats = signs_of_life(socket.listen(secs(2)));
        assert!((5..=15).contains(&beats), "{example}: {beats} signs of life in two seconds");
        database.run();
        socket.hears("STATUS=healthy");
        service.process.signal(Signal::SIGTERM);
        socket.hears("STOPPING=1");
        assert!(service.process.ended(secs(10)).success());
        let count = |line: &str| socket.heard.iter().filter(|heard| *heard == line).count();
        assert_eq!((count("READY=1"), count("STOPPING=1")), (1, 1), "{example}: {:?}", socket.heard);
        assert!(
            socket.heard.iter().position(|it| it == "READY=1") < socket.heard.iter().position(|it| it == "STOPPING=1")
        );
    }
}

/// The program `serve`, about to tell this socket.
fn serves(kind: &str, folder: &tempfile::TempDir, socket: &Socket) -> Command {
    let mut command = Command::new(program::built().join("serve"));
    command.args([kind, "0"]).arg(folder.path()).stdin(Stdio::null()).env("NOTIFY_SOCKET", socket.path());
    command
}

#[test]
fn life_ends_with_liveness() {
    let mut socket = Socket::bind();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("alive"), "").unwrap();
    let mut command = serves("mortal", &folder, &socket);
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    let _service = Process::new(command.spawn().unwrap());
    socket.hears("WATCHDOG=1");
    std::fs::remove_file(folder.path().join("alive")).unwrap();
    socket.hears("STATUS=unhealthy: alive failed");
    socket.listen(WATCHDOG);
    assert_eq!(signs_of_life(socket.listen(secs(2))), 0, "a service that is not alive says nothing");
    std::fs::write(folder.path().join("alive"), "").unwrap();
    socket.read = socket.heard.len();
    socket.hears("WATCHDOG=1");
}

#[test]
fn readiness_is_heard_of_whatever_fails() {
    let (mut socket, folder) = (Socket::bind(), tempfile::tempdir().unwrap());
    let _service = Process::new(serves("crowded", &folder, &socket).spawn().unwrap());
    socket.hears("READY=1");
    let status = socket.heard.iter().find(|line| line.starts_with("STATUS=unhealthy: ")).unwrap();
    assert_eq!(status.len(), "STATUS=".len() + 512, "{status}");
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    for (id, is_ours) in [("1", false), ("$$", true)] {
        let (mut socket, folder) = (Socket::bind(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("alive"), "").unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("WATCHDOG_PID={id} exec \"$0\" mortal 0 \"$1\"")]);
        shell.arg(program::built().join("serve")).arg(folder.path()).stdin(Stdio::null());
        shell.env("NOTIFY_SOCKET", socket.path()).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        let _service = Process::new(shell.spawn().unwrap());
        socket.hears("READY=1");
        assert_eq!(signs_of_life(socket.listen(secs(1))) > 0, is_ours, "{id}: {:?}", socket.heard);
    }
}

/// An abstract socket whose owner takes nothing: its queue is soon full.
#[test]
fn a_manager_that_hangs_delays_nothing_and_is_told_later() {
    use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};
    let name = format!("health-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    let mut service = Program::start(
        "axum",
        &[("NOTIFY_SOCKET", &format!("@{name}")), ("WATCHDOG_USEC", "2000"), ("DRAIN_SECONDS", "2")],
    );
    service.ready();
    std::thread::sleep(secs(1));
    let began = Instant::now();
    assert_eq!(health_tests::http::get(service.address, "/livez", &[]).status, 200);
    assert!(began.elapsed() < secs(1), "{:?}", began.elapsed());
    service.process.signal(Signal::SIGTERM);
    std::thread::sleep(millis(300));
    manager.set_read_timeout(Some(secs(2))).unwrap();
    let mut bytes = [0; 4096];
    // What did not fit in is sent again.
    loop {
        let length = manager.recv(&mut bytes).expect("STOPPING=1 before it ends");
        if String::from_utf8_lossy(&bytes[..length]).contains("STOPPING=1") {
            break;
        }
    }
    assert!(service.process.ended(secs(10)).success());
}

#[test]
fn without_systemd_nothing_is_sent_and_nothing_fails() {
    let service = Program::start("axum", &[("NOTIFY_SOCKET", "/nowhere/at/all")]);
    service.ready();
    assert!(!service.log().contains("ERROR"), "{}", service.log());
}

#[test]
fn systemd_accepts_the_unit() {
    let text = std::fs::read_to_string(deploy("systemd/orders.service")).unwrap();
    assert!(text.contains("Type=notify") && text.contains("WatchdogSec="));
    let Ok(found) = Command::new("systemd-analyze").arg("--version").output() else {
        println!("there is no systemd-analyze here: only read");
        return;
    };
    assert!(found.status.success());
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("orders.service");
    // The program must be there.
    std::fs::write(&unit, text.replace("/usr/local/bin/orders", "/bin/true")).unwrap();
    let (code, said) = said(Command::new("systemd-analyze").arg("verify").arg(&unit), b"");
    assert!(code == Some(0) && !said.contains("orders.service:"), "{said}");
}
