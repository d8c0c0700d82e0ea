//! A clock for tests that measure: it goes as fast as a bare thread gets on, so that a machine that is slow slows the
//! clock, too, and a limit on it is a ratio to work that is not ours, done at the same moment.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{port, wait};

/// What the thread does again and again: it sleeps for so long, and sends one byte there and back.
const STEP: Duration = Duration::from_millis(10);
/// A machine whose bare thread takes so long for one step stood still, and measures nothing.
const STOOD_STILL: Duration = Duration::from_millis(250);
/// How often a measurement is tried on a machine that stands still.
const TRIES: usize = 5;

#[derive(Debug, Default)]
struct Progress {
    steps: AtomicU64,
    /// The longest step, in nanoseconds.
    longest: AtomicU64,
    over: AtomicBool,
}

/// A running clock.
#[derive(Debug)]
pub struct BareClock {
    progress: Arc<Progress>,
    threads: Vec<JoinHandle<()>>,
}

impl BareClock {
    /// Starts a thread that steps, and a bare server that echoes.
    ///
    /// # Panics
    ///
    /// There is no thread or no loopback port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind(port::local(0)).expect("a loopback port");
        let address = listener.local_addr().expect("its address");
        let progress = Arc::<Progress>::default();
        let echo = thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("the clock's own connection");
            let mut byte = [0];
            while client.read_exact(&mut byte).is_ok() && client.write_all(&byte).is_ok() {}
        });
        let counted = Arc::clone(&progress);
        let steps = thread::spawn(move || {
            let mut server = TcpStream::connect(address).expect("the bare server");
            server.set_nodelay(true).expect("a socket");
            let mut began = Instant::now();
            while !counted.over.load(Ordering::Relaxed) {
                thread::sleep(STEP);
                let mut byte = [0];
                server.write_all(&byte).and_then(|()| server.read_exact(&mut byte)).expect("an echo");
                // Without a gap: the next step begins where this one ends.
                let ended = Instant::now();
                let took = u64::try_from((ended - began).as_nanos()).unwrap_or(u64::MAX);
                began = ended;
                counted.longest.fetch_max(took, Ordering::Relaxed);
                counted.steps.fetch_add(1, Ordering::Release);
            }
        });
        Self { progress, threads: vec![steps, echo] }
    }

    /// The time on this clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        STEP * u32::try_from(self.progress.steps.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    /// The longest step since the last call, which forgets it. The step under way is waited for, as it may be the longest.
    async fn longest_step(&self) -> Duration {
        let before = self.progress.steps.load(Ordering::Acquire);
        wait::true_of("a step of the bare clock", || self.progress.steps.load(Ordering::Acquire) > before).await;
        Duration::from_nanos(self.progress.longest.swap(0, Ordering::Relaxed))
    }
}

impl Drop for BareClock {
    fn drop(&mut self) {
        self.progress.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Measures, and judges what was measured. A step in which the machine stood still counts for nothing and is tried again.
///
/// # Panics
///
/// `judge` finds a fault in a measurement that counts; or none counts, which says "machine too busy" and is no fault.
pub async fn measure<T>(what: &str, clock: &BareClock, mut step: impl AsyncFnMut() -> T, judge: impl Fn(&T)) -> T {
    let mut stalls = Vec::new();
    for _ in 0..TRIES {
        let _ = clock.longest_step().await;
        let measured = step().await;
        let stall = clock.longest_step().await;
        if stall < STOOD_STILL {
            judge(&measured);
            return measured;
        }
        stalls.push(stall);
    }
    panic!(
        "machine too busy to measure, which is no fault of the product: {what}: a bare thread stood still for {stalls:.0?}"
    );
}
