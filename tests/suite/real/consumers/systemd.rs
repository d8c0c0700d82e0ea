//! The messages that the service sends to systemd's notification socket.

use std::{
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Duration,
};

use health_tests::{
    postgres,
    process::Process,
    program::{self, EXAMPLES, Program, time_to_leave},
    support::millis,
    tools::{deploy, said},
    wait::{self, HANG},
};
use nix::sys::signal::Signal;

/// The watchdog's time. A message is sent after half of it.
const WATCHDOG: Duration = millis(400);

/// systemd discards a larger datagram.
const LARGEST: usize = 4096;

struct Socket {
    socket: UnixDatagram,
    directory: tempfile::TempDir,
    heard: Vec<String>,
    /// Number of lines that an earlier call has waited for.
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

    /// Reads the next datagram, if there is one.
    fn listen(&mut self) {
        let mut bytes = [0; 64 << 10];
        if let Ok(length) = self.socket.recv(&mut bytes) {
            assert!(length <= LARGEST, "{length} bytes are more than systemd reads");
            self.heard.extend(String::from_utf8_lossy(&bytes[..length]).lines().map(ToOwned::to_owned));
        }
    }

    /// Reads until this line follows the lines that earlier calls have waited for.
    fn hears(&mut self, line: &str) {
        wait::until(&format!("{line} after line {} of {:?}", self.read, self.heard), || {
            self.listen();
            match self.heard[self.read..].iter().position(|heard| heard == line) {
                Some(at) => {
                    self.read += at + 1;
                    true
                }
                None => false,
            }
        });
    }

    /// Returns the lines after those that earlier calls have waited for.
    fn since(&self) -> &[String] {
        &self.heard[self.read..]
    }
}

/// Returns the number of runs of the check of the service `mortal`.
fn runs_of(folder: &tempfile::TempDir) -> u64 {
    std::fs::metadata(folder.path().join("runs")).map_or(0, |runs| runs.len())
}

fn signs_of_life(heard: &[String]) -> usize {
    heard.iter().filter(|line| *line == "WATCHDOG=1").count()
}

#[test]
fn systemd_receives_readiness_status_stopping_and_watchdog() {
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
        // A failed dependency must not restart the service, so the service continues to feed the watchdog.
        (0..3).for_each(|_| socket.hears("WATCHDOG=1"));
        database.run();
        socket.hears("STATUS=healthy");
        service.process.signal(Signal::SIGTERM);
        socket.hears("STOPPING=1");
        assert!(service.process.ended().success());
        let count = |line: &str| socket.heard.iter().filter(|heard| *heard == line).count();
        assert_eq!((count("READY=1"), count("STOPPING=1")), (1, 1), "{example}: {:?}", socket.heard);
        assert!(
            socket.heard.iter().position(|it| it == "READY=1") < socket.heard.iter().position(|it| it == "STOPPING=1")
        );
    }
}

/// Returns a command that runs the program `serve` with this notification socket.
fn serves(kind: &str, folder: &tempfile::TempDir, socket: &Socket) -> Command {
    let mut command = Command::new(program::built().join("serve"));
    command.args([kind, "0"]).arg(folder.path()).stdin(Stdio::null()).env("NOTIFY_SOCKET", socket.path());
    command
}

#[test]
fn the_watchdog_is_not_fed_while_liveness_fails() {
    let mut socket = Socket::bind();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("alive"), "").unwrap();
    let mut command = serves("mortal", &folder, &socket);
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    let _service = Process::new(command.spawn().unwrap());
    socket.hears("WATCHDOG=1");
    std::fs::remove_file(folder.path().join("alive")).unwrap();
    socket.hears("STATUS=unhealthy: alive failed");
    // The service continues: ten more runs of its check take several times the pause between two watchdog messages.
    let checked = runs_of(&folder);
    wait::until("ten more runs", || {
        socket.listen();
        runs_of(&folder) >= checked + 10
    });
    let signs = signs_of_life(socket.since());
    assert_eq!(signs, 0, "a service that is not alive must not feed the watchdog: {:?}", socket.since());
    std::fs::write(folder.path().join("alive"), "").unwrap();
    socket.read = socket.heard.len();
    socket.hears("WATCHDOG=1");
}

#[test]
fn readiness_is_sent_although_every_check_fails() {
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
        if is_ours {
            socket.hears("WATCHDOG=1");
            continue;
        }
        let checked = runs_of(&folder);
        wait::until("ten more runs", || {
            socket.listen();
            runs_of(&folder) >= checked + 10
        });
        assert_eq!(signs_of_life(&socket.heard), 0, "{:?}", socket.heard);
    }
}

/// Returns whether a socket accepts no more datagrams.
fn is_full(address: &std::os::unix::net::SocketAddr) -> bool {
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    sender.send_to_addr(b"", address).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// An abstract socket whose owner reads nothing, so its queue is soon full.
#[test]
fn a_full_notification_socket_delays_nothing_and_gets_the_state_later() {
    use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};
    let name = format!("health-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    let mut service = Program::start(
        "axum",
        &[("NOTIFY_SOCKET", &format!("@{name}")), ("WATCHDOG_USEC", "2000"), ("DRAIN_SECONDS", "15")],
    );
    service.ready();
    // The service sends a watchdog message every millisecond, so the queue is soon full.
    wait::until("the queue is full", || is_full(&address));
    assert_eq!(health_tests::http::get(service.address, "/livez", &[]).status, 200);
    service.process.signal(Signal::SIGTERM);
    wait::equals("draining", &503, || health_tests::http::get(service.address, "/readyz", &[]).status);
    manager.set_read_timeout(Some(HANG)).unwrap();
    let mut bytes = [0; 4096];
    // The service sends again what did not fit into the queue.
    loop {
        let length = manager.recv(&mut bytes).expect("STOPPING=1 before the service ends");
        if String::from_utf8_lossy(&bytes[..length]).contains("STOPPING=1") {
            break;
        }
    }
    assert!(service.process.ended().success());
}

/// A socket that is bound later, or bound again, gets the whole state.
#[test]
fn a_notification_socket_that_is_bound_late_or_again_gets_the_state() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let watchdog = WATCHDOG.as_micros().to_string();
    let service = Program::start("axum", &[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", &watchdog)]);
    service.ready();
    wait::until("the log has a line about the socket", || {
        service.log().contains("publisher cannot reach its receiver")
    });
    for turn in 1..=3 {
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(HANG)).unwrap();
        let mut heard = String::new();
        while !["READY=1\n", "STATUS=healthy\n", "WATCHDOG=1\n"].iter().all(|line| heard.contains(line)) {
            let mut bytes = [0; LARGEST];
            let length = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("turn {turn}: {error} after {heard}"));
            heard.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        assert_eq!(heard.matches("READY=1").count(), 1, "{heard}");
        drop(socket);
        std::fs::remove_file(&path).unwrap();
        wait::until("the log has another line about the socket", || {
            service.log().matches("publisher cannot reach its receiver").count() == turn + 1
        });
        assert_eq!(service.log().matches("publisher reaches its receiver again").count(), turn);
    }
}

/// The socket is replaced between two messages, so no message fails.
#[test]
fn a_notification_socket_that_is_replaced_between_messages_gets_the_state() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let mut socket = UnixDatagram::bind(&path).unwrap();
    let service = Program::start("axum", &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    service.ready();
    for turn in 1..=3 {
        socket.set_read_timeout(Some(HANG)).unwrap();
        let mut heard = String::new();
        while !["READY=1\n", "STATUS=healthy\n"].iter().all(|line| heard.contains(line)) {
            let mut bytes = [0; LARGEST];
            let length = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("turn {turn}: {error} after {heard}"));
            heard.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        let next = directory.path().join("next");
        let bound = UnixDatagram::bind(&next).unwrap();
        std::fs::rename(&next, &path).unwrap();
        socket = bound;
    }
    assert!(!service.log().contains("publisher cannot reach its receiver"), "{}", service.log());
}

#[test]
fn a_missing_notification_socket_is_no_error() {
    let service = Program::start("axum", &[("NOTIFY_SOCKET", "/nowhere/at/all")]);
    service.ready();
    assert!(!service.log().contains("ERROR"), "{}", service.log());
}

#[test]
fn systemd_accepts_the_unit() {
    let text = std::fs::read_to_string(deploy("systemd/orders.service")).unwrap();
    assert!(text.contains("Type=notify") && text.contains("WatchdogSec="));
    let seconds = |name: &str| {
        let value = text.split(name).nth(1).unwrap().split(char::is_whitespace).next().unwrap();
        value.trim_end_matches('s').parse::<u64>().unwrap()
    };
    let needed = time_to_leave(seconds("DRAIN_SECONDS="));
    assert!(needed <= seconds("TimeoutStopSec="), "{needed} s are needed until SIGKILL");
    let Ok(found) = Command::new("systemd-analyze").arg("--version").output() else {
        println!("systemd-analyze is not installed: the unit was only read");
        return;
    };
    assert!(found.status.success());
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("orders.service");
    // systemd-analyze requires that the program exists.
    std::fs::write(&unit, text.replace("/usr/local/bin/orders", "/bin/true")).unwrap();
    let (code, said) = said(Command::new("systemd-analyze").arg("verify").arg(&unit), b"");
    assert!(code == Some(0) && !said.contains("orders.service:"), "{said}");
}
