//! A clock for tests that measure time. It advances by the progress of a bare thread, so a slow machine also slows the
//! clock. A limit on this clock is therefore a ratio to unrelated work done at the same moment.

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

/// Length of the sleep in one step of the bare thread. After the sleep the step sends one byte and reads it back.
const STEP: Duration = Duration::from_millis(10);
/// A step of the bare thread that takes this long means that the machine stood still. Such a measurement is discarded.
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
    /// Starts the stepping thread and the echo server that it talks to.
    ///
    /// # Panics
    ///
    /// Panics if no thread or no loopback port is available.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind(port::local(0)).expect("a loopback port");
        let address = listener.local_addr().expect("the listener's address");
        let progress = Arc::<Progress>::default();
        let echo = thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("the clock's own connection");
            let mut byte = [0];
            while client.read_exact(&mut byte).is_ok() && client.write_all(&byte).is_ok() {}
        });
        let counted = Arc::clone(&progress);
        let steps = thread::spawn(move || {
            let mut server = TcpStream::connect(address).expect("the echo server");
            server.set_nodelay(true).expect("a socket that accepts TCP_NODELAY");
            let mut began = Instant::now();
            while !counted.over.load(Ordering::Relaxed) {
                thread::sleep(STEP);
                let mut byte = [0];
                server.write_all(&byte).and_then(|()| server.read_exact(&mut byte)).expect("an echo");
                // No gap between steps: the next step begins where this one ends.
                let ended = Instant::now();
                let took = u64::try_from((ended - began).as_nanos()).unwrap_or(u64::MAX);
                began = ended;
                counted.longest.fetch_max(took, Ordering::Relaxed);
                counted.steps.fetch_add(1, Ordering::Release);
            }
        });
        Self { progress, threads: vec![steps, echo] }
    }

    /// Returns the time on this clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        STEP * u32::try_from(self.progress.steps.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    /// Returns the longest step since the last call and resets it. Waits for the step in progress, which may be the
    /// longest.
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

/// Runs `step` and judges its result. A measurement during which the machine stood still is discarded and repeated.
///
/// # Panics
///
/// Panics if `judge` rejects a measurement, or with "machine too busy" if the machine stood still in every try, which
/// is no fault of the product.
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
        "machine too busy to measure {what}, which is no fault of the product: \
         a bare thread stood still for {stalls:.0?}"
    );
}
