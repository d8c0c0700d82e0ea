//! Abusive clients on every server: no other client is disturbed, the dependency gets no extra load, and nothing leaks.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use health_core::{CheckExt as _, Endpoint, Health, check_fn};
use health_tests::{
    http,
    mount::{Framework, Server, serve},
    process,
    support::{millis, secs},
    wait::{self, HANG},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

const MAX_AGE: Duration = millis(200);
const RANDOM: usize = 4_000;
const IDLE: usize = 2_000;

/// A service with one dependency that counts the runs of its check.
struct Victim {
    server: Server,
    runs: Arc<AtomicU64>,
    _health: Health,
    _runtime: tokio::runtime::Runtime,
}

impl Victim {
    fn start(framework: Framework) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let runs = Arc::new(AtomicU64::new(0));
        let health = runtime.block_on(async {
            let counted = Arc::clone(&runs);
            let check = check_fn(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                async { Ok(()) }
            });
            let check = check.every(secs(3600)).max_age(MAX_AGE);
            let health = Health::builder().check("database", check).start().unwrap();
            assert!(health.ready().await);
            health
        });
        let endpoint = Endpoint::from(health.clone()).full_for_bearer("a-token-of-16-bytes");
        let server = serve(framework, framework.outermost(), endpoint);
        Self { server, runs, _health: health, _runtime: runtime }
    }

    /// Asserts that other clients are answered.
    fn is_well(&self, after: &str) {
        let answer = http::get(self.server.address, "/livez", &[]);
        assert_eq!(answer.status, 200, "{:?}, {after}", self.server);
    }
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A pseudo-random generator with a fixed seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn text(&mut self, most: usize) -> String {
        let length = self.below(most + 1);
        (0..length).map(|_| char::from(u8::try_from(33 + self.below(94)).unwrap())).collect()
    }
}

/// Returns a random request, often one for a path of the endpoint.
fn random_request(chance: &mut Chance) -> String {
    let method = match chance.below(8) {
        0 => chance.text(12),
        _ => chance.of(&["GET", "HEAD", "OPTIONS", "POST", "DELETE", "get", "TRACE"]).to_owned(),
    };
    let path =
        chance.of(&["/health", "/health/live", "/health/checks/", "/livez", "/readyz/", "/", "//health", "*", ""]);
    let query =
        chance.of(&["", "?", "?verbose", "?format=", "?exclude=database&exclude=", "?format=text&format=", "#"]);
    let (more, rest) = (chance.text(20), chance.text(20));
    let mut request = format!("{method} {path}{more}{query}{rest} HTTP/1.1\r\nhost: localhost\r\n");
    for _ in 0..chance.below(4) {
        let name =
            chance.of(&["accept", "authorization", "health-local", "x-forwarded-for", "expect", "te", "upgrade"]);
        let value = match chance.below(3) {
            0 => chance.of(&["text/plain", "application/json;q=0.5,*/*", "Bearer a-token-of-16-bytes", "1"]).to_owned(),
            _ => chance.text(60),
        };
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request + "connection: close\r\n\r\n"
}

/// Returns the status code of an answer, if there is one.
fn code_of(bytes: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(bytes.get(..12)?).ok()?;
    line.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}

/// The time to wait for an answer that may never come, because a server cannot always know that a request is complete.
const PATIENCE: Duration = secs(2);

fn exchange(server: SocketAddr, request: &[u8], patience: Duration) -> Option<u16> {
    let mut stream = connect(server);
    stream.set_read_timeout(Some(patience)).unwrap();
    // The server may close the connection before everything is sent.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    code_of(&answer)
}

/// Sends random, oversized, slow, idle and pipelined requests.
fn abused(victim: &Victim, random: usize) {
    let server = victim.server.address;

    let answered = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..4 {
            let answered = Arc::clone(&answered);
            scope.spawn(move || {
                let mut chance = Chance(0x9e37_79b9 + number);
                for _ in 0..random / 4 {
                    let request = random_request(&mut chance);
                    let code = exchange(server, request.as_bytes(), PATIENCE);
                    assert!(code.is_none_or(|code| code < 500), "{code:?} to {request:?}");
                    answered.fetch_add(usize::from(code.is_some()), Ordering::Relaxed);
                }
            });
        }
    });
    assert!(
        answered.load(Ordering::Relaxed) > random / 2,
        "only {} random requests were answered",
        answered.load(Ordering::Relaxed)
    );
    victim.is_well("random requests");

    for request in ["CONNECT localhost:1 HTTP/1.1\r\n", "GET localhost:1 HTTP/1.1\r\n", "OPTIONS * HTTP/1.1\r\n"] {
        let code = exchange(server, format!("{request}host: localhost\r\nconnection: close\r\n\r\n").as_bytes(), HANG);
        assert!(code.is_some_and(|code| code < 500), "{code:?} to {request}");
    }

    let long = "x".repeat(200 << 10);
    for request in [
        format!("GET /health?{long} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
        format!("GET /health/checks/{long} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\naccept: {long}\r\nconnection: close\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{}\r\n\r\n", "a: b\r\n".repeat(30_000)),
        format!("{long} / HTTP/1.1\r\n\r\n"),
    ] {
        let code = exchange(server, request.as_bytes(), PATIENCE);
        assert!(code.is_none_or(|code| code < 500), "{code:?} to {}", &request[..40]);
    }
    victim.is_well("oversized requests");

    const SLOW: usize = 40;
    let half = Barrier::new(SLOW + 1);
    thread::scope(|scope| {
        for _ in 0..SLOW {
            scope.spawn(|| {
                let mut stream = connect(server);
                for part in ["GET /health HTTP/1.1\r\n", "host: local"] {
                    part.bytes().for_each(|byte| drop(stream.write_all(&[byte])));
                    // Waits after each half of the request.
                    half.wait();
                }
            });
        }
        // All slow clients are in the middle of their requests.
        half.wait();
        victim.is_well("slow clients");
        half.wait();
    });

    let idle: Vec<TcpStream> = (0..IDLE).map(|_| connect(server)).collect();
    victim.is_well("idle connections");
    drop(idle);

    let mut stream = connect(server);
    let count = 200;
    let request = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let last = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all((request.repeat(count - 1) + last).as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), count, "every pipelined request gets an answer");
    victim.is_well("pipelining");
}

/// Sends more requests than the server can answer, on open connections, until the check has run again. Returns the
/// number of answers, the number of the check's runs and the duration.
fn flooded(victim: &Victim) -> (usize, u64, Duration) {
    let (server, began, before) = (victim.server.address, Instant::now(), victim.runs.load(Ordering::Relaxed));
    let answers = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut stream = connect(server);
                let request = "GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(10);
                let mut bytes = [0; 16 << 10];
                while !over.load(Ordering::Relaxed) {
                    stream.write_all(request.as_bytes()).unwrap();
                    let count = stream.read(&mut bytes).unwrap();
                    let text = String::from_utf8_lossy(&bytes[..count]);
                    assert!(!text.contains("HTTP/1.1 5"), "{text}");
                    answers.fetch_add(text.matches("HTTP/1.1 200").count(), Ordering::Relaxed);
                }
            });
        }
        // The flood also ends if the test panics.
        let _over = Ends(&over);
        wait::until("two runs in the flood", || victim.runs.load(Ordering::Relaxed) >= before + 2);
        victim.is_well("under a flood");
    });
    (answers.load(Ordering::Relaxed), victim.runs.load(Ordering::Relaxed) - before, began.elapsed())
}

/// Ends the flood when the test ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn abusive_clients_disturb_no_other_client_and_leave_nothing_behind() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(20_000).max(soft), hard).unwrap();
    for framework in Framework::ALL {
        let victim = Victim::start(framework);
        // The first time fills caches and pools.
        abused(&victim, RANDOM / 10);
        flooded(&victim);
        let before = process::usage();
        abused(&victim, RANDOM);
        let (answers, runs, lasted) = flooded(&victim);
        let most = u64::try_from(lasted.as_millis() / MAX_AGE.as_millis()).unwrap() + 2;
        assert!((1..=most).contains(&runs), "{framework:?}: {runs} runs in {lasted:?}, at most {most} are allowed");
        let mut after = process::usage();
        // A thread of Tokio's blocking pool ends after ten idle seconds.
        wait::until(&format!("{framework:?} uses no more than before, {before:?}"), || {
            after = process::usage();
            after.resident <= before.resident + (8 << 20) && after.threads <= before.threads
        });
        println!("{framework:?}: {answers} answers in {lasted:.1?}, {runs} runs; {before:?}, then {after:?}");
    }
}
