//! Graceful shutdown: waits for a termination signal, drains, and completes when the server should shut down.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::health::{Health, drain::Drain};

/// Returns a future that waits for a termination signal (SIGTERM, SIGINT, Ctrl-C) and then drains. Readiness turns 503
/// with the signal. The future completes when the delay has passed and no work is in progress ([`Health::in_flight`]),
/// or when work in progress has reached its limit. Then the framework's own graceful shutdown can begin.
///
/// Signals are handled from this call on, so that none is missed while the server starts. From then on the first signal
/// no longer ends the process by itself: await the future. Signals within 1 s after the first are ignored, because
/// wrappers and terminals send duplicates. A later signal ends the process at once, with the exit code 128 plus the
/// number of the signal.
///
/// Every adapter re-exports this function.
///
/// # Errors
///
/// Returns an error if the process cannot listen for signals, or if the call is made outside a Tokio runtime with I/O
/// enabled.
pub fn shutdown(health: &Health, delay: Duration) -> io::Result<Shutdown> {
    // Tokio offers no other way to find out whether a runtime has I/O.
    let asked = std::panic::catch_unwind(signals::asked).map_err(|_| {
        io::Error::other(
            "shutdown must be called in a Tokio runtime with I/O enabled: use #[tokio::main] or enable_all()",
        )
    })??;
    Ok(Shutdown { health: health.clone(), delay, limit: None, state: State::Waiting(asked) })
}

/// The future of [`shutdown`], for the graceful shutdown of a framework.
#[must_use = "signals no longer end the process: await the future to drain"]
pub struct Shutdown {
    health: Health,
    delay: Duration,
    limit: Option<Duration>,
    state: State,
}

enum State {
    Waiting(Pin<Box<dyn Future<Output = ()> + Send>>),
    Draining(Drain),
}

impl Shutdown {
    /// Sets how long work in progress may extend the drain after its delay. Default 15 s.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl Future for Shutdown {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.state {
                State::Waiting(asked) => std::task::ready!(asked.as_mut().poll(context)),
                State::Draining(drain) => return Pin::new(drain).poll(context).map(|_| ()),
            }
            let drain = self.health.drain(self.delay);
            self.state = State::Draining(match self.limit {
                Some(limit) => drain.limit(limit),
                None => drain,
            });
        }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("delay", &self.delay).finish_non_exhaustive()
    }
}

/// The time after the first signal in which further signals are ignored as duplicates.
const DUPLICATES: Duration = Duration::from_secs(1);

#[cfg(unix)]
mod signals {
    use std::{
        io,
        pin::Pin,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        flag,
        iterator::Signals,
    };
    use tokio::{
        select,
        signal::unix::{SignalKind, signal},
    };

    use super::DUPLICATES;

    /// Returns a future that waits for the first signal. A later signal that is not a duplicate ends the process. The
    /// signal handler itself ends the process, and a dedicated thread waits until duplicates are over, so that a
    /// runtime whose workers are all blocked cannot delay the end.
    pub(super) fn asked() -> io::Result<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let ends_the_process = Arc::new(AtomicBool::new(false));
        for number in [SIGTERM, SIGINT] {
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&ends_the_process))?;
        }
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        thread::Builder::new().name("health-signals".to_owned()).spawn(move || {
            if signals.forever().next().is_some() {
                thread::sleep(DUPLICATES);
                ends_the_process.store(true, Ordering::Release);
            }
        })?;
        Ok(Box::pin(async move {
            select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }))
    }
}

#[cfg(not(unix))]
mod signals {
    use std::{io, pin::Pin};

    use tokio::{
        signal::windows::ctrl_c,
        time::{Instant, timeout_at},
    };

    use super::DUPLICATES;

    /// The exit code after a second Ctrl-C.
    const INTERRUPTED: i32 = 130;

    /// Returns a future that waits for the first Ctrl-C. A later Ctrl-C that is not a duplicate ends the process.
    pub(super) fn asked() -> io::Result<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let mut interrupts = ctrl_c()?;
        Ok(Box::pin(async move {
            interrupts.recv().await;
            let duplicates_end = Instant::now() + DUPLICATES;
            tokio::spawn(async move {
                while timeout_at(duplicates_end, interrupts.recv()).await.is_ok() {}
                if interrupts.recv().await.is_some() {
                    std::process::exit(INTERRUPTED);
                }
            });
        }))
    }
}
