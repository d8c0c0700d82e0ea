//! `load PORT CONNECTIONS MILLISECONDS ROUNDS PATH...`: generates load on the paths of one server, one path after the
//! other in each round, and prints one line of JSON for each path and round. Each connection sends its next request as
//! soon as it has received an answer.

use std::{
    env,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, connections, milliseconds, rounds, paths @ ..] = &arguments[..] else { panic!("PORT CONNECTIONS ...") };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let window = Duration::from_millis(number(milliseconds));
    for round in 0..number(rounds) {
        for path in paths {
            let measured = measure(number(port), number(connections), window, path).await;
            println!("{{\"round\":{round},\"path\":\"{path}\",{measured}}}");
        }
    }
}

async fn measure(port: u64, connections: u64, window: Duration, path: &str) -> String {
    let request: &'static str = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").leak();
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(async move {
            let (mut times, mut failed) = (Vec::new(), 0_u64);
            let mut buffer = vec![0; 4 * 1024 * 1024];
            while began.elapsed() < window {
                let Ok(mut stream) = TcpStream::connect(format!("127.0.0.1:{port}")).await else {
                    failed += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                stream.set_nodelay(true).expect("a socket");
                while began.elapsed() < window {
                    let asked = Instant::now();
                    let answer = timeout(PATIENCE, answer(&mut stream, request, &mut buffer)).await;
                    // After an unexpected code, a closed connection or a timeout, the client opens another connection.
                    let Ok(Some(Answer { is_expected: true, is_kept })) = answer else {
                        failed += 1;
                        break;
                    };
                    times.push(asked.elapsed());
                    if !is_kept {
                        break;
                    }
                }
            }
            (times, failed)
        });
    }
    let results = tasks.join_all().await;
    let seconds = began.elapsed().as_secs_f64();
    let failed: u64 = results.iter().map(|(_, failed)| failed).sum();
    let mut times: Vec<Duration> = results.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_unstable();
    let at = |thousandths: usize| {
        let position = times.len().saturating_sub(1) * thousandths / 1000;
        times.get(position).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    format!(
        "\"per_second\":{:.0},\"answers\":{},\"failed\":{failed},\"p50_us\":{:.0},\"p99_us\":{:.0},\"p999_us\":{:.0},\
         \"slowest_us\":{:.0}",
        times.len() as f64 / seconds,
        times.len(),
        at(500),
        at(990),
        at(999),
        at(1000),
    )
}

struct Answer {
    /// Whether the code is 200, or 503, which a health route answers during an outage.
    is_expected: bool,
    /// Whether the server keeps the connection open.
    is_kept: bool,
}

/// Sends a request and reads its answer. Returns `None` if the connection was closed before the end of the answer.
async fn answer(stream: &mut TcpStream, request: &str, buffer: &mut [u8]) -> Option<Answer> {
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut read = 0;
    loop {
        let count = stream.read(&mut buffer[read..]).await.ok().filter(|count| *count > 0)?;
        read += count;
        let Some(end) = buffer[..read].windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let field = |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name).map(str::trim));
        let is_kept = field("connection:") != Some("close");
        let is_expected = ["http/1.1 200", "http/1.1 503"].iter().any(|begin| head.starts_with(begin));
        let is_chunked = field("transfer-encoding:") == Some("chunked");
        let length: usize = field("content-length:").and_then(|it| it.parse().ok()).unwrap_or_default();
        loop {
            let is_whole = if is_chunked { buffer[..read].ends_with(b"0\r\n\r\n") } else { read >= end + 4 + length };
            if is_whole {
                return Some(Answer { is_expected, is_kept });
            }
            let count = stream.read(&mut buffer[read..]).await.ok().filter(|count| *count > 0)?;
            read += count;
        }
    }
}
