//! The example services as programs: their answers and their shutdown.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
    thread,
    time::Instant,
};

use health_tests::{
    http, port,
    process::Process,
    program::{self, EXAMPLES, Program},
    support::secs,
    tools::repository,
    wait,
};
use nix::sys::signal::Signal;

const TOKEN: &str = "a-token-for-the-examples";

#[test]
fn every_example_runs_without_environment_variables() {
    for example in EXAMPLES {
        let program = Program::start(example, &[]);
        program.ready();
        let hello = http::get(program.address, "/", &[]);
        assert_eq!((hello.status, hello.text().as_str()), (200, "hello"), "{example}");
        let health = http::get(program.address, "/health", &[]);
        assert_eq!(health.status, 200, "{example}: {}", health.text());
        let checks: Vec<String> = health.json()["checks"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(checks, ["queue", "worker"]);
        assert_eq!(http::get(program.address, "/livez?verbose", &[]).text(), "[+]worker ok\nlivez check passed\n");
        assert_eq!(http::get(program.address, "/nowhere", &[]).status, 404);
    }
}

#[test]
fn the_minimal_example_of_each_adapter_answers_and_is_under_30_lines() {
    for adapter in ["actix", "axum", "hyper", "warp"] {
        let address = SocketAddr::from(([127, 0, 0, 1], port::free()));
        let child = Command::new(program::built().join("hello")).args([&address.to_string(), adapter]).spawn().unwrap();
        let _process = Process::new(child);
        wait::until(adapter, || TcpStream::connect(address).is_ok());
        wait::equals(adapter, &200, || http::get(address, "/readyz", &[]).status);
        let health = http::get(address, "/health", &[]);
        assert_eq!(health.json()["checks"]["worker"]["status"], "healthy", "{adapter}");
        let source = repository().join(format!("health-{adapter}/examples/hello.rs"));
        let lines = fs::read_to_string(source).unwrap().lines().count();
        assert!(lines < 30, "{adapter}: {lines} lines");
    }
}

#[test]
fn the_token_grants_full_visibility_and_a_short_token_ends_the_example() {
    for example in EXAMPLES {
        let program = Program::start(example, &[("HEALTH_TOKEN", TOKEN)]);
        let full = http::get(program.address, "/health", &[("authorization", &format!("Bearer {TOKEN}"))]);
        assert_eq!(full.json()["service"], "health-examples", "{example}");
        assert_eq!(http::get(program.address, "/health", &[]).json().get("service"), None);
        let output = program::output(example, &[("HEALTH_TOKEN", "short")]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{example}: {text}");
        assert!(text.contains("use at least 16 bytes"), "{text}");
    }
}

#[test]
fn every_example_drains_on_a_signal_and_exits_with_0() {
    thread::scope(|scope| {
        for example in EXAMPLES {
            for signal in [Signal::SIGTERM, Signal::SIGINT] {
                scope.spawn(move || drains(example, signal));
            }
        }
    });
}

fn drains(example: &str, signal: Signal) {
    let mut program = Program::start(example, &[("DRAIN_SECONDS", "10")]);
    program.ready();
    let began = Instant::now();
    program.process.signal(signal);
    let drained = wait::found("a drain", || {
        let ready = http::get(program.address, "/health/ready", &[]);
        (ready.status == 503).then_some(ready)
    });
    assert_eq!(drained.json()["reason"], "draining", "{example}");
    // The example continues to serve for the whole delay.
    let mut served = 0;
    let status = wait::found("the end", || {
        served += usize::from(serves(program.address, "/livez") && serves(program.address, "/"));
        program.process.child().try_wait().unwrap()
    });
    assert!(status.success(), "{example} ended with {status}");
    assert!(began.elapsed() >= secs(10), "{:?}", began.elapsed());
    assert!(served > 0, "the example served nothing while it drained");
}

/// Returns whether the application answers with 200. The port may be closed already.
fn serves(address: SocketAddr, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    let is_heard = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
    is_heard.is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// Runs the worker's own probe and returns its exit code and output.
fn probed(target: &str) -> (Option<i32>, String) {
    let output = Command::new(program::built().join("worker")).args(["probe", "-t", "180s", target]).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_worker_is_probed_over_tcp_over_a_unix_socket_and_by_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let (socket, file) = (directory.path().join("worker.sock"), directory.path().join("live"));
    let variables = [
        ("HEALTH_SOCKET", socket.to_str().unwrap()),
        ("HEALTH_FILE", file.to_str().unwrap()),
        ("HEALTH_TOKEN", TOKEN),
        ("DRAIN_SECONDS", "2"),
    ];
    let target = |path: &str| format!("unix:{}:{path}", socket.display());
    let mut program = Program::start("worker", &variables);
    program.ready();
    assert_eq!(http::get(program.address, "/livez?verbose", &[]).text(), "[+]worker ok\nlivez check passed\n");
    assert_eq!(http::get(program.address, "/", &[]).status, 404);
    let full = http::get(program.address, "/health", &[("authorization", &format!("Bearer {TOKEN}"))]);
    assert_eq!(full.json()["service"], "health-example-worker");
    wait::equals("a probe of the socket", &(Some(0), "healthy\n".to_owned()), || probed(&target("/readyz")));
    wait::until("the file", || file.exists());
    // The worker writes the file again and again.
    let written = || fs::metadata(&file).and_then(|found| found.modified()).ok();
    let first = written();
    wait::until("a newer modification time of the file", || written() > first);

    program.process.signal(Signal::SIGTERM);
    wait::equals("a drain", &Some(1), || probed(&target("/readyz")).0);
    let status = program.process.ended();
    assert!(status.success(), "ended with {status}: {}", program.log());
    assert!(!file.exists(), "a worker that has ended must remove its file");
    assert_eq!(probed(&target("/livez")).0, Some(1));

    // A killed worker leaves its socket behind. The next worker replaces it.
    drop(Program::start("worker", &variables));
    let program = Program::start("worker", &variables);
    wait::equals("a probe of the socket", &Some(0), || probed(&target("/readyz")).0);
    drop(program);
    let output = program::output("worker", &[("HEALTH_TOKEN", "short")]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_later_signal_ends_an_example_at_once() {
    for (example, second, code) in
        [("actix", Signal::SIGTERM, 143), ("axum", Signal::SIGINT, 130), ("warp", Signal::SIGTERM, 143)]
    {
        let mut program = Program::start(example, &[("DRAIN_SECONDS", "60")]);
        program.ready();
        program.process.signal(Signal::SIGTERM);
        wait::equals(example, &503, || http::get(program.address, "/readyz", &[]).status);
        // A signal within a second counts as a duplicate of the first one.
        wait::until(example, || {
            program.process.signal(second);
            !program.process.runs()
        });
        let status = program.process.ended();
        assert_eq!(status.code(), Some(code), "{example} ended with {status}");
    }
}

#[test]
fn the_examples_check_the_servers_of_their_variables() {
    let database = health_tests::postgres::Server::start();
    let redis = health_tests::redis::Server::start();
    for example in EXAMPLES {
        let variables = [("DATABASE_URL", &*database.url()), ("REDIS_URL", &*redis.url()), ("HEALTH_TOKEN", TOKEN)];
        let program = Program::start(example, &variables);
        let bearer = format!("Bearer {TOKEN}");
        let health = wait::found(example, || {
            let health = http::get(program.address, "/health", &[("authorization", &bearer)]).json();
            let has = |check: &str, number: &str| health["checks"][check]["observed"][number]["value"].is_number();
            (has("jobs", "length") && has("database", "pool_max")).then_some(health)
        });
        let mut checks: Vec<String> = health["checks"].as_object().unwrap().keys().cloned().collect();
        checks.sort();
        assert_eq!(checks, ["cache", "database", "jobs", "queue", "worker"], "{example}");
        assert_eq!(health["checks"]["cache"]["critical"], false);
        assert_eq!(health["checks"]["jobs"]["observed"]["length"]["value"], 0);
        assert_eq!(health["checks"]["database"]["observed"]["pool_max"]["value"], 8);
    }
}

#[test]
fn a_changed_file_is_applied_on_sighup() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("health.toml");
    let path = file.to_str().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    for (example, check) in EXAMPLES.map(|example| (example, "queue")).into_iter().chain([("worker", "worker")]) {
        let write = |text: &str| fs::write(&file, text).unwrap();
        write(&format!("[checks.{check}]\ntimeout = \"3s\"\n"));
        let mut program = Program::start(example, &[("HEALTH_TOKEN", TOKEN), ("HEALTH_CONFIG", path)]);
        program.ready();
        let target = format!("/health/checks/{check}");
        let pace = || {
            let shown = http::get(program.address, &target, &[("authorization", &bearer)]).json();
            (shown["interval_ms"].as_f64(), shown["timeout_ms"].as_f64())
        };
        assert_eq!(pace(), (Some(5_000.0), Some(3_000.0)), "{example}");
        write(&format!("[checks.{check}]\ntimeout = \"1s\"\nevery = \"9s\"\n"));
        program.process.signal(Signal::SIGHUP);
        let changed = (Some(9_000.0), Some(1_000.0));
        wait::equals(example, &changed, pace);
        wait::until("a log line for the changed option", || {
            program.log().contains(&format!("{check}: timeout 3s -> 1s"))
        });

        // One mistake that the parser of the file finds, and one that only the validation of the checks finds.
        let mistakes = [(3, "timeout = \"4s\"\n[cheks]\n"), (4, "timeout = \"4s\"\nevery = \"7s\"\nfailures = 0\n")];
        for (line, text) in mistakes {
            write(&format!("[checks.{check}]\n{text}"));
            program.process.signal(Signal::SIGHUP);
            wait::until("the place of the mistake in the log", || {
                program.log().contains(&format!("health.toml:{line}:"))
            });
            assert_eq!(pace(), changed, "{example}");
        }
        write(&format!("[checks.{check}]\nenabled = false\n"));
        program.process.signal(Signal::SIGHUP);
        wait::equals(example, &(Some(5_000.0), Some(2_000.0)), pace);
        wait::until("a log line for the option that needs a restart", || {
            program.log().contains(&format!("{check}: enabled"))
        });
        assert!(program.process.runs(), "{example}: {}", program.log());
    }
}

#[test]
fn settings_come_from_a_file_and_from_variables() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("health.toml");
    let path = file.to_str().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    for example in EXAMPLES {
        fs::write(&file, "[defaults]\nevery = \"9s\"\n[checks.queue]\ntimeout = \"3s\"\nfailures = 2\n").unwrap();
        let variables = [("HEALTH_TOKEN", TOKEN), ("HEALTH_CONFIG", path), ("HEALTH_CHECKS__QUEUE__TIMEOUT", "1s")];
        let program = Program::start(example, &variables);
        let checks = http::get(program.address, "/health", &[("authorization", &bearer)]).json()["checks"].clone();
        // A variable overrides the file, and the file overrides the code.
        assert_eq!(
            (checks["queue"]["timeout_ms"].as_f64(), checks["queue"]["interval_ms"].as_f64()),
            (Some(1_000.0), Some(9_000.0))
        );
        assert_eq!(checks["worker"]["timeout_ms"].as_f64(), Some(2_000.0));
        let program = Program::start(example, &[("HEALTH_CHECKS__QUEUE__ENABLED", "false")]);
        let checks = http::get(program.address, "/health", &[]).json()["checks"].clone();
        assert_eq!(checks.as_object().unwrap().keys().collect::<Vec<_>>(), ["worker"]);

        fs::write(&file, "[checks.queue]\ntimeout = 1\n").unwrap();
        for (name, value, words) in [
            ("HEALTH_CHECKS__QEUE__TIMEOUT", "1s", "qeue"),
            ("HEALTH_CHECKS__QUEUE__TIMEOT", "1s", "timeot"),
            ("HEALTH_CHECKS__QUEUE__TIMEOUT", "soon", "timeout"),
            ("HEALTH_CONFIG", path, "unit"),
            ("HEALTH_CONFIG", path, "health.toml:2:1"),
            ("HEALTH_CONFIG", "/nowhere/health.toml", "/nowhere/health.toml: there is no such file"),
        ] {
            let output = program::output(example, &[(name, value)]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{example} {name}={value}: {said}");
            assert!(said.contains(words), "the output lacks {words}: {said}");
        }
    }
}
