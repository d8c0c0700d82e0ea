//! A prober that polls a served health page, as a load balancer would, and remembers every answer.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

/// How often it asks.
const EVERY: Duration = Duration::from_millis(5);

/// One answer.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was complete.
    pub at: Instant,
    /// How long it took.
    pub took: Duration,
    /// The status code.
    pub code: u16,
    /// The check's status word.
    pub status: String,
    /// Its reason, empty where there is none.
    pub reason: String,
}

/// Polls until it is dropped.
#[derive(Debug)]
pub struct Prober {
    samples: Arc<Mutex<Vec<Sample>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Prober {
    /// Polls a JSON page over a connection that is kept.
    #[must_use]
    pub fn start(server: SocketAddr, path: &str) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let (seen, stop) = (Arc::clone(&samples), Arc::clone(&stopped));
        let thread = thread::spawn(move || {
            let mut stream = TcpStream::connect(server).expect("a server");
            stream.set_nodelay(true).expect("a socket");
            stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                stream.write_all(request.as_bytes()).expect("a server that reads");
                let (code, body) = read(&mut stream);
                let at = Instant::now();
                let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
                let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
                let sample = Sample { at, took: at - asked, code, status: word("status"), reason: word("reason") };
                seen.lock().expect("samples").push(sample);
                sleep(EVERY);
            }
        });
        Self { samples, stopped, thread: Some(thread) }
    }

    /// Everything seen so far.
    ///
    /// # Panics
    ///
    /// The prober did.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        assert!(self.thread.as_ref().is_some_and(|thread| !thread.is_finished()), "the prober has failed");
        self.samples.lock().expect("samples").clone()
    }

    /// Waits for an answer with this status and reason and tells how long after `since` it came.
    ///
    /// # Panics
    ///
    /// None came within the time.
    pub async fn sees(&self, status: &str, reason: &str, since: Instant, within: Duration) -> Duration {
        loop {
            let samples = self.samples();
            let mut recent = samples.iter().filter(|sample| sample.at >= since);
            if let Some(found) = recent.find(|sample| sample.status == status && sample.reason == reason) {
                assert_eq!(found.code, if status == "unhealthy" { 503 } else { 200 });
                return found.at - since;
            }
            let last = samples.last().map(|sample| (sample.status.clone(), sample.reason.clone()));
            assert!(since.elapsed() < within, "no {status} {reason:?} within {within:?}; last {last:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Every answer since then that was not healthy.
    #[must_use]
    pub fn bad_since(&self, since: Instant) -> Vec<Sample> {
        self.samples().into_iter().filter(|sample| sample.at >= since && sample.status != "healthy").collect()
    }

    /// No request waited for a check: the 99th percentile is under 50 ms and the slowest under a quarter of the
    /// check's timeout, or, where the machine itself stalled, not beyond twice what an independent server took.
    ///
    /// # Panics
    ///
    /// One did.
    pub fn never_waited(&self, timeout: Duration, control: &Self) {
        let (count, median, p99, slowest) = self.times();
        let (_, _, stalled_p99, stalled) = control.times();
        println!("{count} answers: median {median:?}, 99th percentile {p99:?}, slowest {slowest:?}");
        println!("the independent server: 99th percentile {stalled_p99:?}, slowest {stalled:?}");
        assert!(p99 < Duration::from_millis(50).max(stalled_p99 * 2), "99th percentile {p99:?}");
        assert!(slowest < (timeout / 4).max(stalled * 2), "slowest {slowest:?} of {count}");
    }

    /// How many answers there were, and their median, 99th percentile and slowest time.
    fn times(&self) -> (usize, Duration, Duration, Duration) {
        let mut times: Vec<Duration> = self.samples().into_iter().map(|sample| sample.took).collect();
        times.sort();
        (times.len(), times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1])
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One answer of a connection that stays open.
fn read(stream: &mut TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4);
        if let Some(start) = head {
            let text = String::from_utf8_lossy(&bytes[..start]).to_ascii_lowercase();
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
            if bytes.len() >= start + length.unwrap_or(0_usize) {
                let code = text.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
                return (code, String::from_utf8_lossy(&bytes[start..]).into_owned());
            }
        }
        let count = stream.read(&mut chunk).expect("an answer");
        assert!(count > 0, "the server closed the connection");
        bytes.extend_from_slice(&chunk[..count]);
    }
}
