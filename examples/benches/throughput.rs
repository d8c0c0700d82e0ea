//! The throughput of each example's health routes over that of its own `/`, in the same run: alternating, median of
//! five. Run by `tests/bench`; `--assert` fails below 0.8.

use std::{
    env,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

const EXAMPLES: [(&str, &str); 3] = [
    ("actix", env!("CARGO_BIN_EXE_actix")),
    ("axum", env!("CARGO_BIN_EXE_axum")),
    ("warp", env!("CARGO_BIN_EXE_warp")),
];

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
const WINDOW: Duration = Duration::from_secs(1);
const LOWEST: f64 = 0.8;
const ROUTES: [&str; 3] = ["/livez", "/health/ready", "/health"];

fn main() -> ExitCode {
    let asserts = env::args().any(|argument| argument == "--assert");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut lowest = f64::INFINITY;
    println!("requests per second over {CONNECTIONS} connections, median of {ROUNDS} times {WINDOW:?}:");
    for (example, program) in EXAMPLES {
        let program = Program::start(program);
        for route in ROUTES {
            let measure = || runtime.block_on(compare(program.address, route));
            let mut compared = measure();
            // Where it matters, what a busy machine may have spoilt is measured again, twice at most.
            for _ in 0..2 {
                if asserts && compared.ratio < LOWEST {
                    compared = measure();
                }
            }
            let Compared { own, health, ratio } = compared;
            lowest = lowest.min(ratio);
            println!("{example:6} /  {own:8.0}   {route:14} {health:8.0}   ratio {ratio:.2}");
        }
    }
    if asserts && lowest < LOWEST {
        eprintln!("a health route has less than {LOWEST} of the throughput of `/`");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Requests per second of `/` and of a health route, and the second over the first.
struct Compared {
    own: f64,
    health: f64,
    ratio: f64,
}

async fn compare(server: SocketAddr, route: &str) -> Compared {
    let (mut own, mut health) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        own.push(requests_per_second(server, "/").await);
        health.push(requests_per_second(server, route).await);
    }
    // Each measurement is compared with the one just before it, as the machine's mood changes.
    let ratio = median(health.iter().zip(&own).map(|(health, own)| health / own).collect());
    Compared { own: median(own), health: median(health), ratio }
}

/// A running example; ended with this value.
struct Program {
    process: Child,
    address: SocketAddr,
}

impl Program {
    fn start(program: &str) -> Self {
        let mut command = Command::new(program);
        for variable in ["DATABASE_URL", "REDIS_URL", "DRAIN_SECONDS", "HEALTH_TOKEN"] {
            command.env_remove(variable);
        }
        command.env("BIND_ADDR", "127.0.0.1:0").env("RUST_LOG", "off").stdout(Stdio::piped());
        let mut process = command.spawn().expect("an example");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("its first line");
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        Self { process, address: address.expect("where it listens") }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn requests_per_second(server: SocketAddr, path: &str) -> f64 {
    let request: &'static str = Box::leak(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_boxed_str());
    let began = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(async move {
            let mut stream = TcpStream::connect(server).await.expect("a server");
            stream.set_nodelay(true).expect("a socket");
            let mut buffer = vec![0; 64 * 1024];
            let mut count = 0_u32;
            while began.elapsed() < WINDOW {
                stream.write_all(request.as_bytes()).await.expect("a server that reads");
                answer(&mut stream, &mut buffer).await;
                count += 1;
            }
            count
        });
    }
    let counts = connections.join_all().await;
    f64::from(counts.into_iter().sum::<u32>()) / began.elapsed().as_secs_f64()
}

/// Reads one answer and nothing more.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut read = 0;
    loop {
        let count = stream.read(&mut buffer[read..]).await.expect("an answer");
        assert!(count > 0, "the server closed the connection");
        read += count;
        let bytes = &buffer[..read];
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        if read >= head + 4 + length(&bytes[..head]) {
            return;
        }
    }
}

fn length(head: &[u8]) -> usize {
    let name = b"content-length: ";
    let start = head.windows(name.len()).position(|window| window.eq_ignore_ascii_case(name)).expect("a length");
    let digits = head[start + name.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}
