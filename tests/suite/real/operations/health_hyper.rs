//! The server without a framework: the requests that it accepts, and its end.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    thread,
};

use health_core::{Endpoint, Health, Outcome, check_fn, testing::Frozen};
use health_hyper::{Listener, Server};
use health_tests::{
    http,
    support::{Lines, secs},
    wait::{self, HANG},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{runtime::Runtime, sync::oneshot};

const LIVE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Returns a frozen service, whose answers do not change.
fn frozen() -> Frozen {
    let frozen =
        Frozen::new(Health::builder().version("1.4.2").check("database", check_fn(|| async { Ok(()) }))).unwrap();
    frozen.record("database", Outcome::healthy(), secs(0)).unwrap();
    frozen
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Starts a server on the runtime with this maximum number of connections.
fn serve(runtime: &Runtime, frozen: &Frozen, most: usize) -> (SocketAddr, Server) {
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (address, health_hyper::serve(frozen.health(), listener).max_connections(most).spawn())
    })
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream
}

/// Requests `/livez` on a connection that stays open and returns the answer.
fn live(stream: &mut (impl Read + Write)) -> String {
    stream.write_all(LIVE).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

/// Returns whether the server has closed the connection without sending another byte.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_unix_socket_is_served_like_a_port() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("worker.sock");
    let (frozen, runtime) = (frozen(), runtime());
    // A client of a Unix socket has no address, so `full_for` cannot grant more by it.
    let endpoint = Endpoint::new(frozen.health()).full_for(|request| request.peer().is_some());
    let bind = || runtime.block_on(health_hyper::bind_unix(&path));
    let listener = bind().unwrap();
    let served = async { health_hyper::serve(endpoint, listener).spawn() };
    let server = runtime.block_on(served);
    let ask = |request: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream.write_all(format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask("GET /livez");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    let answer = ask("GET /health");
    assert!(answer.contains(r#"{"status":"healthy","#) && !answer.contains("1.4.2"), "{answer}");
    let answer = ask("HEAD /livez");
    assert!(answer.contains("content-length: 2\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = ask("OPTIONS /livez");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("content-length: 0\r\n"), "{answer}");
    let answer = ask("POST /livez");
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD, OPTIONS\r\n"), "{answer}");
    let answer = ask("GET /elsewhere");
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("text/plain; charset=utf-8\r\n"), "{answer}");

    // A socket in use is not replaced. After the end of the server its file is replaced.
    assert_eq!(bind().unwrap_err().kind(), ErrorKind::AddrInUse);
    runtime.block_on(server.end());
    assert!(path.exists());
    drop(bind().unwrap());
    // A file that is no socket is not replaced.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    assert_eq!(bind().unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn malformed_requests_get_400_and_every_pipelined_request_gets_an_answer() {
    let (frozen, runtime) = (frozen(), runtime());
    let (address, server) = serve(&runtime, &frozen, 256);
    assert_eq!(http::exchange(address, b"\x00\x01nonsense\r\n\r\n").status, 400);
    assert_eq!(http::exchange(address, b"GET /livez HTTP/9.9\r\n\r\n").status, 400);
    let mut stream = connect(address);
    let last = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(&[&LIVE.repeat(99)[..], last].concat()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 100);
    runtime.block_on(server.end());
}

#[test]
fn the_end_finishes_answers_in_progress_and_closes_idle_connections() {
    let (frozen, runtime) = (frozen(), runtime());
    let (address, server) = serve(&runtime, &frozen, 256);
    let (mut idle, mut busy, mut stuck) = (connect(address), connect(address), connect(address));
    assert!(!live(&mut idle).contains("connection: close"));
    let (begin, rest) = LIVE.split_at(20);
    busy.write_all(begin).unwrap();
    stuck.write_all(begin).unwrap();
    // The answer to another client's request shows that the server has read the incomplete ones.
    assert_eq!(http::get(address, "/livez", &[]).text(), "ok");
    let ended = runtime.spawn(server.end());
    assert!(is_closed(&mut idle));
    busy.write_all(rest).unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    // The request of this client never ends, so the server closes the connection.
    runtime.block_on(ended).unwrap();
    assert!(is_closed(&mut stuck));
    assert!(TcpStream::connect(address).is_err(), "the port is closed");
}

#[test]
fn dropping_the_server_ends_it() {
    let (frozen, runtime) = (frozen(), runtime());
    let (address, server) = serve(&runtime, &frozen, 256);
    let mut idle = connect(address);
    live(&mut idle);
    drop(server);
    assert!(is_closed(&mut idle));
    wait::until("the port is closed", || TcpStream::connect(address).is_err());
}

#[test]
fn idle_clients_do_not_exhaust_the_connections() {
    let (frozen, runtime) = (frozen(), runtime());
    let (address, server) = serve(&runtime, &frozen, 4);
    let mut first = connect(address);
    live(&mut first);
    let idle: Vec<TcpStream> = (0..40).map(|_| connect(address)).collect();
    assert_eq!(http::get(address, "/livez", &[]).text(), "ok");
    assert!(is_closed(&mut first), "the server closes the connection that was idle for the longest time");
    drop(idle);
    runtime.block_on(server.end());
}

/// In a process without a free descriptor the server logs this once, closes an idle connection and answers.
#[test]
fn a_process_without_a_free_descriptor_still_serves() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(256), hard).unwrap();
    let (frozen, lines) = (frozen(), Lines::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let (logging, health) = (lines.logging(), frozen.health());
    let server = thread::spawn(move || {
        let _logs = tracing::dispatcher::set_default(&logging);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = Listener::from(tokio::net::TcpListener::from_std(listener).unwrap());
            let ended = async { drop(ended.await) };
            health_hyper::serve(health, listener).until(ended).await;
        });
    });
    let mut idle = connect(address);
    live(&mut idle);
    // Takes all remaining descriptors and gives back one for the client.
    let mut taken: Vec<File> = std::iter::repeat_with(|| File::open("/dev/null")).map_while(Result::ok).collect();
    assert!(taken.pop().is_some());
    let mut client = connect(address);
    client.write_all(LIVE).unwrap();
    wait::until("an error of accept", || lines.text().contains("cannot accept connections"));
    // The server has closed the idle connection to get its descriptor.
    assert!(is_closed(&mut idle));
    let mut answer = [0; 15];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(lines.text().matches("cannot accept connections").count(), 1);
    drop((taken, client, end));
    server.join().unwrap();
}
