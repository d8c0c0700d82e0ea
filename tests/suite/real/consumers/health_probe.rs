//! The exit codes and the output of `health-probe` against real services and against other servers, and how Nagios
//! reads them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use health_core::{CheckExt as _, Endpoint, Health, Outcome, Reason, check_fn, testing::Frozen};
use health_tests::{
    certificates::Authority,
    mount::{Form, Framework, serve},
    nagios::Nagios,
    port,
    process::Process,
    program,
    proxy::{NetworkFault, Proxy},
    service::{self, Kind},
    support::millis,
    tools::said,
    wait,
};
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

const TOKEN: &str = "a-token-for-the-probe";

/// Runs the probe and returns its exit code and its output.
fn probe(arguments: &[&str]) -> (Option<i32>, String) {
    // Enough time for a slow machine. The arguments may override it.
    said(Command::new(program::built().join("health-probe")).args(["-t", "180s"]).args(arguments), b"")
}

/// A probe that waits for a service and has finished its first attempt.
struct Waiting(Process);

impl Waiting {
    fn start(arguments: &[&str], token: &str) -> Self {
        let mut command = Command::new(program::built().join("health-probe"));
        command.args(arguments).env("PROBE_TOKEN", token).stdout(Stdio::piped());
        let process = Process::new(command.spawn().unwrap());
        // During an attempt the probe's main thread waits for another thread. Between two attempts it sleeps.
        let pauses = || std::fs::read_to_string(format!("/proc/{}/wchan", process.id())).unwrap().contains("nanosleep");
        wait::until("the pause after a first attempt", pauses);
        Self(process)
    }

    fn end(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.0.child().stdout.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.ended().code(), said)
    }
}

fn frozen() -> Frozen {
    let ok = || check_fn(|| async { Ok(()) });
    let frozen = Frozen::new(Health::builder().check("database", ok()).check("cache", ok().optional())).unwrap();
    well(&frozen);
    frozen
}

fn well(frozen: &Frozen) {
    frozen.record("database", Outcome::healthy().observe("pool_size", 4, "connections"), millis(2)).unwrap();
    frozen.record("cache", Outcome::healthy(), millis(1)).unwrap();
}

fn unreachable() -> Outcome {
    Outcome::unhealthy("refused | 'x'=1 by 10.0.0.1\nCRITICAL").reason(Reason::Unreachable)
}

/// Answers each request with these bytes, on a thread that ends with the test's process.
fn answers(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind(port::local(0)).unwrap();
    let (address, bytes) = (listener.local_addr().unwrap(), bytes.into());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&bytes);
        }
    });
    address
}

#[test]
fn the_probe_reports_the_state_of_a_service_on_every_framework() {
    for framework in Framework::ALL {
        let frozen = frozen();
        let server = serve(framework, framework.outermost(), Endpoint::new(frozen.health()).full_for_bearer(TOKEN));
        let url = |path: &str| format!("http://{}{path}", server.address);
        assert_eq!(probe(&[&url("/health")]), (Some(0), "healthy\n".into()), "{framework:?}");
        assert_eq!(probe(&["-q", &url("/readyz")]), (Some(0), String::new()));
        frozen.record("cache", unreachable(), millis(1)).unwrap();
        assert_eq!(probe(&[&url("/health")]), (Some(0), "degraded: cache unreachable\n".into()));
        assert_eq!(probe(&["--expect", "healthy", &url("/health")]).0, Some(1));
        frozen.record("database", unreachable(), millis(3)).unwrap();
        assert_eq!(probe(&[&url("/health")]), (Some(1), "unhealthy: database unreachable, cache unreachable\n".into()));
        assert_eq!(probe(&[&url("/readyz")]), (Some(1), "unhealthy: database unreachable\n".into()));
        assert_eq!(probe(&["--expect", "503", &url("/readyz")]).0, Some(0));
        assert_eq!(probe(&[&url("/livez")]), (Some(0), "healthy\n".into()));
        // A list without a check.
        assert_eq!(probe(&[&url("/livez?verbose")]), (Some(0), "healthy\n".into()));
        assert_eq!(probe(&[&url("/nowhere/at/all")]).0, Some(1));
        let nagios = probe(&["--nagios", &url("/health")]);
        assert_eq!(nagios.0, Some(2));
        assert!(
            nagios.1.starts_with("HEALTH CRITICAL: database unreachable, cache unreachable | 'cache'="),
            "{}",
            nagios.1
        );
        assert!(nagios.1.contains("| 'cache'=0.001s;;;0 'database'=0.003s;;;0 'time'=0."), "{}", nagios.1);
        // With a token the output has more details, but a message can neither start performance data nor a line.
        let (code, text) = said(
            Command::new(program::built().join("health-probe"))
                .args(["-t", "180s", "--nagios", "-v", "--token-env", "PROBE_TOKEN", &url("/health")])
                .env("PROBE_TOKEN", TOKEN),
            b"",
        );
        assert_eq!((code, text.matches('|').count(), text.lines().count()), (Some(2), 1, 3), "{text}");
        assert!(text.contains("database: unhealthy, unreachable, refused / 'x'=1 by 10.0.0.1 CRITICAL"), "{text}");
    }
}

#[test]
fn a_missing_or_malformed_answer_is_reported_in_time() {
    let refused = probe(&["http://127.0.0.1:1/readyz"]);
    assert_eq!(refused.0, Some(1));
    assert!(refused.1.starts_with("unhealthy: 127.0.0.1:1: Connection refused"), "{}", refused.1);
    let server = serve(Framework::Axum, Form::Routes, Endpoint::new(frozen().health()));
    let proxy = Proxy::before(server.address.port());
    let url = format!("http://127.0.0.1:{}/health", proxy.port());
    for (fault, patience, within) in [
        (NetworkFault::BlackHole, "700ms", "no answer within 700ms"),
        (NetworkFault::Trickle, "700ms", "no answer within 700ms"),
        (NetworkFault::Endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), "180s", "too large"),
        (NetworkFault::Flood(b"HTTP/1.1 200 OK\r\n\r\n", b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), "180s", "too large"),
    ] {
        proxy.set(fault);
        let (code, text) = probe(&["--nagios", "-t", patience, &url]);
        // The guidelines of Nagios require CRITICAL and not UNKNOWN for a missing answer.
        assert_eq!(code, Some(2), "{fault:?}: {text}");
        assert!(text.contains(within), "{fault:?}: {text}");
    }
    for (bytes, code, expected) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], 2, "the answer is not HTTP"),
        (b"", 2, "without an answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok", 2, "before its body was complete"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://evil/\r\n\r\n", 3, "redirects are not followed"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", 3, "there is no such page"),
        (b"HTTP/1.1 503 x\r\n\r\n\xff\xfe{\"status\":\"healthy\"}", 2, "HTTP 503"),
    ] {
        let address = answers(bytes);
        let (found, text) = probe(&["--nagios", &format!("http://{address}/health")]);
        assert!(found == Some(code) && text.contains(expected), "{expected}: {found:?} {text}");
    }
}

/// The end of the answer ends the probe, although the connection stays open.
#[test]
fn an_answer_is_complete_before_its_connection_closes() {
    let ok = "content-length: 2\r\n\r\nok";
    let headers = "a: b\r\n".repeat(70);
    for answer in [
        format!("HTTP/1.1 200 OK\r\n{ok}"),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n{ok}"),
        format!("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n{ok}"),
        format!("HTTP/1.1 200 OK\r\n{headers}{ok}"),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
    ] {
        let listener = TcpListener::bind(port::local(0)).unwrap();
        let address = listener.local_addr().unwrap();
        let bytes = answer.clone();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(bytes.as_bytes()).unwrap();
            // Waits until the probe has disconnected.
            while stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {}
        });
        assert_eq!(probe(&[&format!("http://{address}/readyz")]), (Some(0), "healthy\n".into()), "{answer}");
        server.join().unwrap();
    }
}

/// Answers `ok` over TLS with this certificate, on a thread that ends with the test's process.
fn answers_over_tls(certificate: &Kind) -> SocketAddr {
    let Kind::Tls { chain, key } = certificate else { panic!("no certificate") };
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind(port::local(0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            if stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            }
        }
    });
    address
}

#[test]
fn https_trusts_the_ca_file_or_the_platform() {
    let (authority, other) = (Authority::new(), Authority::named("another authority"));
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (ours, theirs) = (file("ours.pem", &authority.pem()), file("theirs.pem", &other.pem()));
    let address = answers_over_tls(&authority.sign("localhost", -1, 30));
    let url = format!("https://localhost:{}/readyz", address.port());
    assert_eq!(probe(&["--ca-file", &ours, &url]), (Some(0), "healthy\n".into()));
    for arguments in [&["--ca-file", &theirs, &url][..], &[&url]] {
        let (code, text) = probe(arguments);
        assert!(code == Some(1) && text.contains("invalid peer certificate: UnknownIssuer"), "{arguments:?}: {text}");
    }
    let (code, text) = probe(&["--ca-file", &ours, &url.replace("localhost", "127.0.0.1")]);
    assert!(code == Some(1) && text.contains("certificate not valid for name"), "{text}");
    let expired = answers_over_tls(&authority.sign("localhost", -30, -1));
    let (code, text) = probe(&["--nagios", "--ca-file", &ours, &format!("https://localhost:{}/", expired.port())]);
    assert!(code == Some(2) && text.contains("certificate expired"), "{text}");
    // A server without TLS, and a server that never answers.
    let plain = answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(probe(&[&format!("https://127.0.0.1:{}/", plain.port())]).0, Some(1));
    let silent = TcpListener::bind(port::local(0)).unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    assert_eq!(probe(&["--timeout", "700ms", &url]), (Some(1), "unhealthy: no answer within 700ms\n".into()));
    let empty = file("empty.pem", "");
    let (code, text) = probe(&["--ca-file", &empty, &url]);
    assert!(code == Some(1) && text.contains("the file has no certificate"), "{text}");
}

#[test]
fn an_unexpected_code_is_reported() {
    let url = format!("http://{}/readyz", answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    assert_eq!(probe(&["--expect", "204", &url]), (Some(1), "HTTP 200 instead of 204: healthy\n".into()));
    assert_eq!(probe(&["--expect", "200", &url]), (Some(0), "healthy\n".into()));
}

#[test]
fn wait_ends_when_the_service_is_up_or_the_time_is_over() {
    // The service listens, but its first three answers are 503.
    let listener = TcpListener::bind(port::local(0)).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = thread::spawn(move || {
        for answer in ["503 Service Unavailable", "503 Service Unavailable", "503 Service Unavailable", "200 OK"] {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 2\r\n\r\nok").unwrap();
        }
    });
    let found = probe(&["--wait", "180s", &format!("http://{address}/readyz")]);
    answer.join().unwrap();
    assert_eq!(found, (Some(0), "healthy\n".into()));
    // The service does not listen before the first attempt is over.
    let address = port::local(port::free());
    let mut waiting = Waiting::start(&["--wait", "180s", &format!("http://{address}/readyz")], "");
    let listener = TcpListener::bind(address).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let _ = stream.read(&mut [0; 4096]);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
    drop(stream);
    assert_eq!(waiting.end(), (Some(0), "healthy\n".into()));
    assert_eq!(probe(&["--wait", "1s", "http://127.0.0.1:1/readyz"]).0, Some(1), "the wait ends after its time");
}

#[test]
fn a_unix_socket_is_probed_like_a_port() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    assert_eq!(probe(&[&format!("unix:{}:/readyz?verbose", path.display())]), (Some(0), "healthy\n".into()));
    let request = server.join().unwrap();
    assert!(request.starts_with("GET /readyz?verbose HTTP/1.1\r\nHost: localhost\r\n"), "{request}");
    assert!(request.contains("\r\nConnection: close\r\n"), "{request}");
    let (code, text) = probe(&[&format!("unix:{}:/readyz", directory.path().join("none").display())]);
    assert!(code == Some(1) && text.contains("No such file"), "{text}");
}

#[test]
fn grpc_probes_the_server_or_one_of_its_services() {
    let mut server = service::Server::start(Kind::Grpc);
    let url = format!("http://127.0.0.1:{}", health_tests::daemon::Server::port(&server));
    let token = ["-t", "180s", "--grpc", "--token-env", "PROBE_TOKEN"];
    let ask = |more: &[&str]| {
        let mut command = Command::new(program::built().join("health-probe"));
        said(command.args(token).args(more).arg(&url).env("PROBE_TOKEN", service::TOKEN), b"")
    };
    assert_eq!(ask(&[]), (Some(0), "healthy\n".into()));
    let unknown = ask(&["--service", "nobody"]);
    assert_eq!(unknown, (Some(1), "unknown: there is no service of that name\n".into()));
    assert_eq!(ask(&["--nagios", "--service", "nobody"]).0, Some(3));
    let (code, text) = probe(&["--grpc", "--nagios", &url]);
    assert!(code == Some(2) && text.contains("Unauthenticated"), "{text}");
    health_tests::daemon::Server::freeze(&server);
    let frozen = ask(&["--timeout", "700ms"]);
    assert_eq!(frozen, (Some(1), "unhealthy: no answer within 700ms\n".into()));
    health_tests::daemon::Server::thaw(&server);
    health_tests::daemon::Server::stop(&mut server);
    let (code, text) = ask(&["--nagios"]);
    assert!(code == Some(2) && text.contains("refused"), "{text}");

    // The server starts while the probe waits.
    let mut waiting = Waiting::start(&["--grpc", "--token-env", "PROBE_TOKEN", "--wait", "180s", &url], service::TOKEN);
    health_tests::daemon::Server::run(&mut server);
    assert_eq!(waiting.end(), (Some(0), "healthy\n".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_works_over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let incoming = tokio_stream::wrappers::UnixListenerStream::new(tokio::net::UnixListener::bind(&path).unwrap());
    let health = Health::builder().check("database", check_fn(|| async { Ok(()) })).start().unwrap();
    assert!(health.ready().await);
    let server = tonic::transport::Server::builder().add_service(health_tonic::service(health.clone()));
    let served = tokio::spawn(server.serve_with_incoming(incoming));
    let url = format!("unix:{}", path.display());
    let ask = |service: &str| tokio::task::block_in_place(|| probe(&["--grpc", "--service", service, &url]));
    assert_eq!(ask("database"), (Some(0), "healthy\n".into()));
    let more_slashes = format!("unix://{}", path.display());
    let asked = tokio::task::block_in_place(|| probe(&["--grpc", &more_slashes]));
    assert_eq!(asked, (Some(0), "healthy\n".into()));
    health.drain(Duration::ZERO).await;
    assert_eq!(ask(""), (Some(1), "unhealthy: NOT_SERVING\n".into()));
    served.abort();
}

#[test]
fn usage_errors_are_explained_and_never_exit_with_2() {
    for (arguments, code, expected) in [
        (&["--nope"][..], 1, "--nope"),
        (&[], 1, "there is no URL"),
        (&["ftp://app/"], 1, "must begin with http://, https:// or unix:"),
        (&["--ca-file", "/nowhere", "https://app/"], 1, "--ca-file /nowhere: "),
        (&["--grpc", "https://app/"], 1, "--grpc does not support TLS"),
        (&["--nagios"], 3, "HEALTH UNKNOWN: there is no URL"),
        (&["--nagios", "-t", "x", "http://a"], 3, "is not a time"),
        (&["--help"], 0, "HEALTHCHECK CMD"),
        (&["--version"], 0, "health-probe 0."),
        (&["--nagios", "--help"], 3, "exit codes"),
    ] {
        let (found, text) = probe(arguments);
        assert!(found == Some(code) && text.contains(expected), "{arguments:?}: {found:?} {text}");
    }
}

#[test]
fn nagios_follows_a_service_through_every_state() {
    let frozen = frozen();
    let endpoint = Endpoint::new(frozen.health()).degraded_code(429);
    let server = serve(Framework::Axum, Form::Middleware, endpoint);
    let hostile = concat!(
        r#"{"status":"unhealthy","reason":"a | 'x'=1","checks":{"it's=|\n":{"status":"unhealthy","#,
        r#""reason":"| rm\r\n","duration_ms":1}}}"#
    );
    let hostile = answers(format!("HTTP/1.1 503 x\r\ncontent-length: {}\r\n\r\n{hostile}", hostile.len()));
    let more = format!(
        "define service {{\n host_name orders\n service_description hostile\n check_command check_health!{}\n\
         \u{20}check_period always\n check_interval 1\n retry_interval 1\n max_check_attempts 1\n\
         \u{20}contact_groups operators\n}}\n",
        hostile.port()
    );
    let nagios = Nagios::watching(server.address.port(), &more);
    let known = nagios.says("health", "0", "HEALTH OK: 2 checks");
    assert!(known.numbers.contains("'database'=0.002s;;;0"), "{known:?}");
    nagios.says("health code", "0", "HTTP OK");

    frozen.record("cache", unreachable(), millis(1)).unwrap();
    nagios.says("health", "1", "HEALTH WARNING: cache unreachable");
    nagios.says("health code", "1", "429");

    frozen.record("database", unreachable(), millis(1)).unwrap();
    nagios.says("health", "2", "HEALTH CRITICAL: database unreachable, cache unreachable");
    nagios.says("health code", "2", "503");
    // Nagios notifies after three attempts, and the notification names the failing checks.
    let told = |subject: &str, text: &str| {
        wait::until(subject, || {
            let mails = nagios.mails();
            mails.contains(&format!("-s {subject} operators@example.org")) && mails.contains(text)
        });
    };
    told("PROBLEM: health of orders is CRITICAL", "HEALTH CRITICAL: database unreachable, cache unreachable");

    well(&frozen);
    nagios.says("health", "0", "HEALTH OK");
    nagios.says("health code", "0", "HTTP OK");
    told("RECOVERY: health of orders is OK", "HEALTH OK: 2 checks");
    assert!(!nagios.mails().contains("health code"), "only one of the two services notifies: {}", nagios.mails());
    drop(server);
    nagios.says("health", "2", "Connection refused");
    nagios.says("health code", "2", "");

    let known = nagios.says("hostile", "2", "HEALTH CRITICAL");
    assert_eq!(known.output.trim(), "HEALTH CRITICAL: a / 'x'=1, it's=/  / rm");
    assert!(known.numbers.starts_with("'it_s_/ '=0.001s;;;0 'time'=0."), "{known:?}");
}
